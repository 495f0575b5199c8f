/* real.h - defines wl_real, the floating-point type of all computations (working precision).
 *
 * The same source files are compiled in two builds. In the build for training, wl_real is float. In
 * the build for checks of gradients, WL_DOUBLE is defined and wl_real is double. */
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

/* WL_LANES is the number of coordinates in one block. Every array with one number for each
 * coordinate is padded to whole blocks and aligned to WL_ALIGN bytes. In gradients, the padding
 * coordinates are zero. In theta and in a rule's state, the padding coordinates have the values
 * that the rule computes from zero gradients. The padding coordinates are equal on all ranks, and
 * no other coordinate depends on the padding. */
enum { WL_LANES = 16, WL_ALIGN = 64 };
/* Size of a huge page in bytes. Allocations of at least WL_HUGE_PAGE bytes are aligned to this size
 * and may use huge pages. */
enum { WL_HUGE_PAGE = 2097152 };

/* Returns n rounded up to whole blocks. */
static inline int64_t wl_pad(int64_t n) { return (n + WL_LANES - 1) / WL_LANES * WL_LANES; }

/* Returns the number of blocks that contain n coordinates. */
static inline int64_t wl_blocks(int64_t n) { return (n + WL_LANES - 1) / WL_LANES; }

#endif
