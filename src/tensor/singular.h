/* singular.h - left singular vectors of a matrix, by LAPACK. */
#ifndef WL_TENSOR_SINGULAR_H
#define WL_TENSOR_SINGULAR_H

#include "base/real.h"

/* wl_reals of work for a matrix (m,n). */
int64_t wl_singular_work(int64_t m, int64_t n);

/* The left singular vectors of A (m,n), stored by columns (a[i + j m]) and overwritten, in the order of falling
 * singular values: row i of u (rank,m) is the i-th. Returns the rank: the number of singular values above rounding.
 * 0 where A is zero or not finite. Allocates nothing.
 *
 * A first decomposition Q R with pivoted columns finds the rank r; the vectors are Q times those of the first r rows
 * of R. Gradients of small batches have low rank, and this takes a third of the time of a whole decomposition. */
int64_t wl_singular_left(int64_t m, int64_t n, wl_real *a, wl_real *u, wl_real *work);

#endif
