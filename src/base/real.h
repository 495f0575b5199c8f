/* real.h - the working precision, wl_real.
 *
 * The same sources are built twice. The build with wl_real = float is for training. The build with wl_real = double, in
 * which WL_DOUBLE is defined, is for verifying gradients. */
#ifndef WL_BASE_REAL_H
#define WL_BASE_REAL_H

#include <stdint.h>

#ifdef WL_DOUBLE
typedef double wl_real;
#define WL_REAL_NAME "float64"
#else
typedef float wl_real;
#define WL_REAL_NAME "float32"
#endif

/* WL_LANES is the number of coordinates in one block. Every array over coordinates is padded to whole blocks and
 * aligned to WL_ALIGN bytes. Padding coordinates of gradients are zero. Padding coordinates of theta and of a rule's
 * state have the values that the rule computes from zero gradients. These values are equal on all ranks, and no other
 * coordinate depends on them. */
enum { WL_LANES = 16, WL_ALIGN = 64 };
/* Size of a huge page. Allocations of at least this size are aligned to this size and may use huge pages. */
enum { WL_HUGE_PAGE = 2097152 };

/* Returns n rounded up to whole blocks. */
static inline int64_t wl_pad(int64_t n) { return (n + WL_LANES - 1) / WL_LANES * WL_LANES; }

/* Number of blocks that hold n coordinates. */
static inline int64_t wl_blocks(int64_t n) { return (n + WL_LANES - 1) / WL_LANES; }

#endif
