/* gemm.c - matrix products by BLAS, or by our own loops if the call of BLAS takes longer than the product.
 *
 * The choice depends only on the sizes, and BLAS runs with one thread (wl_gemm_use_one_thread), so equal calls yield
 * equal bits. Products with a vector always use our own loops, in the fastest of the forms nn, nt and tn. */
#include "tensor/gemm.h"

#include <cblas.h>
#include <stdatomic.h>
#include <string.h>

#include "base/blas.h"
#include "base/build_info.h"
#include "base/isa.h"
#include "tensor/kernels.h"

/* Below this m n k our kernels are faster, measured on Zen 3 with OpenBLAS 0.3.21 in float32. */
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
  if (n == 1) /* B has one column, stored like one row of B^T */
    wl_kernels()->nt(m, 1, k, a, b, c, keep);
  else if (m == 1 || k == 1 || is_below(SMALL, m, n, k)) wl_kernels()->nn(m, n, k, a, b, c, keep);
  else blas(CblasNoTrans, CblasNoTrans, m, n, k, a, b, c, keep);
}

void wl_gemm_nt(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                bool keep) {
  if (k == 1) /* B has one column, stored like one row of B^T */
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

/* ---- The check of BLAS ---- */

enum { M = 37, N = 53, K = 129 }; /* odd numbers, so that the check includes partial tiles */

/* The factors are small integers, so sums of products are exact in any order. */
static void fill(wl_real *x, int count, int factor) {
  for (int i = 0; i < count; i++) x[i] = (wl_real)(i * factor % 7 - 3);
}

static bool is_product(const wl_real *a, int a_row, int a_column, const wl_real *b, int b_row,
                       int b_column, const wl_real *c) {
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      wl_real sum = 0;
      for (int l = 0; l < K; l++) sum += a[i * a_row + l * a_column] * b[l * b_row + j * b_column];
      if (!(c[i * N + j] == sum)) return false;
    }
  return true;
}

wl_status wl_gemm_check(void) {
  wl_real a[M * K], b[K * N], c[M * N];
  fill(a, M * K, 5);
  fill(b, K * N, 3);
  blas(CblasNoTrans, CblasNoTrans, M, N, K, a, b, c, false);
  bool right = is_product(a, K, 1, b, N, 1, c);
  blas(CblasNoTrans, CblasTrans, M, N, K, a, b, c, false);
  right = right && is_product(a, K, 1, b, 1, K, c);
  blas(CblasTrans, CblasNoTrans, M, N, K, a, b, c, false);
  right = right && is_product(a, 1, M, b, N, 1, c);
  if (right) return WL_OK;
  return WL_FAIL(
      WL_ERR_OS,
      "OpenBLAS multiplies wrongly on this processor (%s, %s): choose other kernels by OPENBLAS_CORETYPE=Haswell, "
      "or install another version",
      wl_build_blas(), wl_build_processor());
}

static bool compare_widths(void) {
  static const char *const wide[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
  const char *const kernels = wl_blas_kernels();
  for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
    if (strcmp(kernels, wide[i]) == 0) return false;
  return wl_isa_choose() == WL_ISA_AVX512;
}

/* Whether our kernels have wider vectors than the kernels of BLAS. The result depends only on the processor, the
 * library and the environment, so equal calls yield equal bits. */
static bool ours_are_wider(void) {
  static _Atomic int known; /* 0: not determined yet; the value is equal in every thread */
  int answer = atomic_load_explicit(&known, memory_order_relaxed);
  if (answer == 0) {
    answer = compare_widths() ? 1 : -1;
    atomic_store_explicit(&known, answer, memory_order_relaxed);
  }
  return answer > 0;
}

void wl_gemm_wide_nn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                     wl_real *c) {
  if (ours_are_wider()) wl_kernels()->nn(m, n, k, a, b, c, false);
  else wl_gemm_nn(m, n, k, a, b, c, false);
}

void wl_gemm_wide_nt(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                     wl_real *c) {
  if (ours_are_wider()) wl_kernels()->nt(m, n, k, a, b, c, false);
  else wl_gemm_nt(m, n, k, a, b, c, false);
}

void wl_gemm_wide_tn(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                     wl_real *c) {
  if (ours_are_wider()) wl_kernels()->tn(m, n, k, a, b, c, false);
  else wl_gemm_tn(m, n, k, a, b, c, false);
}
