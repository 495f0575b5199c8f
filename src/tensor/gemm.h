/* gemm.h - dense products of row-major matrices, in the working precision. */
#ifndef WL_TENSOR_GEMM_H
#define WL_TENSOR_GEMM_H

#include <stdbool.h>

#include "base/real.h"
#include "base/status.h"

/* Tells BLAS to use one thread for the rest of the process, whatever its environment says: its results
 * depend on the number of threads, and ranks and OpenMP fill the cores already. For programs; a library
 * leaves its host's setting alone. */
void wl_gemm_use_one_thread(void);

/* WL_ERR_OS where BLAS multiplies small whole numbers wrongly, as some versions do with the kernels that they choose on some
 * processors. Takes less than a millisecond. */
wl_status wl_gemm_check(void);

/* C (m,n) = ..., or C += ... with keep. */
void wl_gemm_nn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k) B (k,n) */
void wl_gemm_nt(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (m,k) B (n,k) */
void wl_gemm_tn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep); /* A (k,m) B (k,n) */

/* The same by our own kernels whatever the sizes, where they are compiled for 64-byte vectors: BLAS may lack
 * kernels for such a processor. Else as above. */
void wl_gemm_wide_nn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                     wl_real *c);
void wl_gemm_wide_nt(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                     wl_real *c);
void wl_gemm_wide_tn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                     wl_real *c);

#endif
