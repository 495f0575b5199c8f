/* gemm.c - matrix products: BLAS, and plain loops where a call of BLAS costs more than the product.
 *
 * The choice depends on the sizes alone, and BLAS runs with one thread (wl_gemm_use_one_thread),
 * so equal calls yield equal bits. Products with a vector always take a plain loop,
 * whichever of the three forms suits it. */
#include "tensor/gemm.h"

#include <cblas.h>

#include "tensor/kernels.h"

/* m n k below which our kernels win, measured on Zen 3 with OpenBLAS 0.3.21 in float32. */
enum { SMALL = 2000000 };

#ifdef WL_DOUBLE
#define WL_BLAS_GEMM cblas_dgemm
#else
#define WL_BLAS_GEMM cblas_sgemm
#endif

void wl_gemm_use_one_thread(void) { openblas_set_num_threads(1); }

static bool is_below(int64_t limit, int64_t m, int64_t n, int64_t k) {
  return (double)m * (double)n * (double)k < (double)limit;
}

static void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int64_t m, int64_t n, int64_t k,
                 const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  const blasint lda = (blasint)(ta == CblasNoTrans ? k : m),
                ldb = (blasint)(tb == CblasNoTrans ? n : k);
  WL_BLAS_GEMM(CblasRowMajor, ta, tb, (blasint)m, (blasint)n, (blasint)k, 1, a, lda, b, ldb,
               keep ? 1 : 0, c, (blasint)n);
}

void wl_gemm_nn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep) {
  if (n == 1) /* a column B is a row B^T */
    wl_kernels()->nt(m, 1, k, a, b, c, keep);
  else if (m == 1 || k == 1 || is_below(SMALL, m, n, k)) wl_kernels()->nn(m, n, k, a, b, c, keep);
  else blas(CblasNoTrans, CblasNoTrans, m, n, k, a, b, c, keep);
}

void wl_gemm_nt(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep) {
  if (k == 1) /* a column B is a row B^T */
    wl_kernels()->nn(m, n, 1, a, b, c, keep);
  else if (m == 1 || n == 1 || is_below(SMALL, m, n, k)) wl_kernels()->nt(m, n, k, a, b, c, keep);
  else blas(CblasNoTrans, CblasTrans, m, n, k, a, b, c, keep);
}

void wl_gemm_tn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep) {
  if (n == 1) /* C^T = B^T A */
    wl_kernels()->nn(1, m, k, b, a, c, keep);
  else if (m == 1 || k == 1 || is_below(SMALL, m, n, k)) wl_kernels()->tn(m, n, k, a, b, c, keep);
  else blas(CblasTrans, CblasNoTrans, m, n, k, a, b, c, keep);
}
