/* singular.h - computes left singular vectors of a matrix with LAPACK. */
#ifndef WL_TENSOR_SINGULAR_H
#define WL_TENSOR_SINGULAR_H

#include "base/real.h"

/* Returns the number of wl_reals of work for a matrix (m,n). */
int64_t wl_singular_work(int64_t m, int64_t n);

/* Computes the left singular vectors of A (m,n) in descending order of singular values. Row i of u (rank,m) is vector
 * i. A is stored by columns (a[i + j m]) and is overwritten. `work` has wl_singular_work(m, n) elements. Returns the
 * rank, which is the number of singular values above the rounding error. Returns 0 if A is zero or not finite.
 * Allocates no memory.
 *
 * A QR decomposition with column pivoting finds the rank r. The singular vectors of A are Q times the singular vectors
 * of the first r rows of R. Gradients of small batches have low rank. For low rank, this method takes a third of the
 * time of a full decomposition. */
int64_t wl_singular_left(int64_t m, int64_t n, wl_real *a, wl_real *u, wl_real *work);

#endif
