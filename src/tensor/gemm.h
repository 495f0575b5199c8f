/* gemm.h - computes dense products of row-major matrices in the working precision. */
#ifndef WL_TENSOR_GEMM_H
#define WL_TENSOR_GEMM_H

#include <stdbool.h>

#include "base/real.h"
#include "base/status.h"

/* Sets BLAS to one thread for the rest of the process. Environment variables do not change this setting. The results of
 * BLAS depend on its number of threads, and ranks and OpenMP threads already use the cores. Only programs call this
 * function. The C library does not call it, because it must not change the setting of its caller. */
void wl_gemm_use_one_thread(void);

/* Checks BLAS with products of small integers. Returns WL_ERR_OS if a product is wrong. Some versions of OpenBLAS
 * choose kernels that compute wrong products on some processors. The check takes less than a millisecond. */
wl_status wl_gemm_check(void);

/* Sizes of a product. C is (m,n), and k is the number of terms of each sum. */
typedef struct wl_mnk {
  int64_t m, n, k;
} wl_mnk;

/* These functions compute C (m,n) = product, or C += product with `keep`. The comment at each declaration gives the
 * product. C must not overlap A or B. */
void wl_gemm_nn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k) B (k,n) */
void wl_gemm_nt(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k) B (n,k) */
void wl_gemm_tn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (k,m) B (k,n) */

/* These functions compute the same products as the functions above. If Warploom's kernels have 64-byte vectors
 * (AVX-512) and the kernels of BLAS do not, Warploom's kernels are used for all sizes. In other cases, the functions
 * above are called. */
void wl_gemm_wide_nn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);
void wl_gemm_wide_nt(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);
void wl_gemm_wide_tn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);

#endif
