/* gemm.c - matrix products: BLAS, and plain loops where a call of BLAS costs more than the product.
 *
 * The choice depends on the sizes alone, and BLAS runs with one thread (the program sees to
 * that), so equal calls yield equal bits. Vectors (a size of 1) always take the plain loop. */
#include "tensor/gemm.h"

#include <cblas.h>

#include "tensor/kernels.h"

enum { SMALL_PRODUCT = 20000 }; /* m n k below which plain loops win */

#ifdef WL_DOUBLE
#define WL_BLAS_GEMM cblas_dgemm
#else
#define WL_BLAS_GEMM cblas_sgemm
#endif

static bool is_small(int64_t m, int64_t n, int64_t k) {
  return m == 1 || n == 1 || k == 1 || (double)m * (double)n * (double)k < SMALL_PRODUCT;
}

static void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int64_t m, int64_t n, int64_t k, const wl_real *a,
                 const wl_real *b, wl_real *c, bool keep) {
  const blasint lda = (blasint)(ta == CblasNoTrans ? k : m), ldb = (blasint)(tb == CblasNoTrans ? n : k);
  WL_BLAS_GEMM(CblasRowMajor, ta, tb, (blasint)m, (blasint)n, (blasint)k, 1, a, lda, b, ldb, keep ? 1 : 0, c,
               (blasint)n);
}

void wl_gemm_nn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  if (is_small(m, n, k))
    wl_kernels()->nn(m, n, k, a, b, c, keep);
  else
    blas(CblasNoTrans, CblasNoTrans, m, n, k, a, b, c, keep);
}

void wl_gemm_nt(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  if (is_small(m, n, k))
    wl_kernels()->nt(m, n, k, a, b, c, keep);
  else
    blas(CblasNoTrans, CblasTrans, m, n, k, a, b, c, keep);
}

void wl_gemm_tn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  if (is_small(m, n, k))
    wl_kernels()->tn(m, n, k, a, b, c, keep);
  else
    blas(CblasTrans, CblasNoTrans, m, n, k, a, b, c, keep);
}
