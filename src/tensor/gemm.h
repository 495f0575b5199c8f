/* gemm.h - dense products of row-major matrices, in the working precision. */
#ifndef WL_TENSOR_GEMM_H
#define WL_TENSOR_GEMM_H

#include <stdbool.h>

#include "base/real.h"
#include "base/status.h"

/* Sets BLAS to one thread for the rest of the process; environment variables do not change this setting. BLAS results
 * depend on its number of threads, and ranks and OpenMP threads already occupy the cores. Only programs call this
 * function; the library never changes the setting of a program. */
void wl_gemm_use_one_thread(void);

/* Checks BLAS with products of small integers. WL_ERR_OS: a product is wrong. Some versions of OpenBLAS choose kernels
 * that compute wrong products on some processors. The check takes less than a millisecond. */
wl_status wl_gemm_check(void);

/* Sizes of a product: C (m,n), and k, the length of its sums. */
typedef struct wl_mnk {
  int64_t m, n, k;
} wl_mnk;

/* C (m,n) = the product given after each declaration; with keep, C += the product. C must not overlap A or B. */
void wl_gemm_nn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k) B (k,n) */
void wl_gemm_nt(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k) B (n,k) */
void wl_gemm_tn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (k,m) B (k,n) */

/* Compute the products of the functions above. These functions use our own kernels for all sizes if these kernels have
 * 64-byte vectors (AVX-512) and the kernels of BLAS do not. Otherwise they call the functions above. */
void wl_gemm_wide_nn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);
void wl_gemm_wide_nt(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);
void wl_gemm_wide_tn(wl_mnk size, const wl_real *a, const wl_real *b, wl_real *c);

#endif
