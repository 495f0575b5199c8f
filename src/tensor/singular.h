/* singular.h - declares functions that compute the left singular vectors of a matrix with
 * LAPACK. */
#ifndef WL_TENSOR_SINGULAR_H
#define WL_TENSOR_SINGULAR_H

#include "base/real.h"

/* Returns the number of wl_real elements in the work array for a matrix (m,n). */
int64_t wl_singular_work(int64_t m, int64_t n);

/* Computes the left singular vectors of a matrix A (m,n). The vectors are the rows of u (rank,m),
 * in descending order of the singular values. A is stored column by column, so element (i,j) is a[i
 * + j * m]. The function overwrites A. The array `work` has wl_singular_work(m, n) elements.
 * Returns the rank, which is the number of singular values above the rounding error. If A is zero
 * or not finite, the function returns 0. The function allocates no memory.
 *
 * A QR decomposition with column pivoting finds the rank r. The singular vectors of A are Q times
 * the singular vectors of the first r rows of R. Gradients of small batches have a low rank. For a
 * low rank, this method needs a third of the time of a full singular value decomposition. */
int64_t wl_singular_left(int64_t m, int64_t n, wl_real *a, wl_real *u, wl_real *work);

#endif
