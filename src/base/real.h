/* real.h - the working precision.
 *
 * The same sources build twice: with wl_real = float (what trains) and, with
 * WL_DOUBLE defined, with wl_real = double (what verifies gradients). */
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

/* Coordinates in one block of the structure-of-arrays layout. Every array over
 * coordinates is padded to whole blocks and aligned to WL_ALIGN bytes. Padding coordinates of gradients are zero. In
 * theta and in a rule's state they hold the values that the rule computes from zero gradients, equal on all ranks; no
 * other coordinate depends on them. */
enum { WL_LANES = 16, WL_ALIGN = 64 };
/* Allocations of this size and more are aligned to it and may use huge pages. */
enum { WL_HUGE_PAGE = 2097152 };

/* n rounded up to whole blocks. */
static inline int64_t wl_pad(int64_t n) { return (n + WL_LANES - 1) / WL_LANES * WL_LANES; }

/* Number of blocks that hold n coordinates. */
static inline int64_t wl_blocks(int64_t n) { return (n + WL_LANES - 1) / WL_LANES; }

#endif
