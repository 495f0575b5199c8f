/* gemm.h - declares functions that compute products of dense matrices. The matrices are row-major
 * arrays of wl_real. */
#ifndef WL_TENSOR_GEMM_H
#define WL_TENSOR_GEMM_H

#include <stdbool.h>

#include "base/real.h"
#include "base/status.h"

/* Limits BLAS to one thread until the process ends. Environment variables do not change this
 * setting. There are two reasons: the results of BLAS depend on its number of threads, and ranks
 * and OpenMP threads already use the cores. Warploom's programs call this function. The library
 * libwarploom does not call this function, because a library must not change its caller's setting
 * of BLAS. */
void wl_gemm_use_one_thread(void);

/* Computes products of small integers with BLAS, and returns WL_ERR_OS if a product is wrong. On
 * some processors, some versions of OpenBLAS choose kernels that compute wrong products. The check
 * needs less than a millisecond. */
wl_status wl_gemm_check(void);

/* The sizes of a product. The result C has the shape (m,n), and k is the number of terms in each
 * sum. */
typedef struct wl_mnk {
  int64_t m, n, k;
} wl_mnk;

/* These functions compute products C of two matrices: wl_gemm_nn computes A B, wl_gemm_nt computes
 * A B^T, and wl_gemm_tn computes A^T B. The comment after each prototype contains the shapes of A
 * and B. If `keep` is true, the product is added to C. C must not overlap A or B. */
void wl_gemm_nn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k), B (k,n) */
void wl_gemm_nt(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k), B (n,k) */
void wl_gemm_tn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (k,m), B (k,n) */

/* These functions compute the same products as wl_gemm_nn, wl_gemm_nt and wl_gemm_tn with `keep`
 * equal to false. If Warploom's kernels use vectors of 64 bytes (AVX-512) and the kernels of BLAS
 * use shorter vectors, Warploom's kernels compute products of all sizes. In all other cases, these
 * functions call wl_gemm_nn, wl_gemm_nt and wl_gemm_tn. */
void wl_gemm_wide_nn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);
void wl_gemm_wide_nt(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);
void wl_gemm_wide_tn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);

#endif
