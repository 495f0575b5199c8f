/* gemm.c - computes large matrix products with BLAS, and small matrix products with Warploom's
 * kernels. For a small product, a call of BLAS would need more time than the product itself.
 *
 * The choice between BLAS and Warploom's kernels depends only on the sizes, and BLAS runs with one
 * thread (wl_gemm_use_one_thread). Equal calls therefore compute equal bits. Warploom's kernels
 * compute all products in which a factor is a vector. For such a product, the code chooses the
 * fastest of the forms A B, A B^T and A^T B. */
#include "tensor/gemm.h"

#include <cblas.h>
#include <stdatomic.h>
#include <string.h>

#include "base/blas.h"
#include "base/build_info.h"
#include "base/isa.h"
#include "tensor/kernels.h"

/* If m * n * k is below SMALL, Warploom's kernels are faster than BLAS. The value of SMALL was
 * measured on a Zen 3 processor with OpenBLAS 0.3.21 in float32. */
enum { SMALL = 2000000 };

#ifdef WL_DOUBLE
#define WL_BLAS_GEMM cblas_dgemm
#else
#define WL_BLAS_GEMM cblas_sgemm
#endif

void wl_gemm_use_one_thread(void) { openblas_set_num_threads(1); }

static bool is_small(wl_mnk s) { return (double)s.m * (double)s.n * (double)s.k < (double)SMALL; }

/* The form of a product, which states for each of A and B whether the matrix is transposed. */
typedef struct form {
  CBLAS_TRANSPOSE a, b;
} form;
static const form NN = {CblasNoTrans, CblasNoTrans}, NT = {CblasNoTrans, CblasTrans},
                  TN = {CblasTrans, CblasNoTrans};

static void blas(form f, wl_mnk s, const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  const blasint lda = (blasint)(f.a == CblasNoTrans ? s.k : s.m),
                ldb = (blasint)(f.b == CblasNoTrans ? s.n : s.k);
  WL_BLAS_GEMM(CblasRowMajor, f.a, f.b, (blasint)s.m, (blasint)s.n, (blasint)s.k, 1, a, lda, b, ldb,
               keep ? 1 : 0, c, (blasint)s.n);
}

void wl_gemm_nn(wl_mnk s, const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  if (s.n == 1) /* B has one column, so B and B^T have the same elements in the same order */
    wl_kernels()->nt(s.m, 1, s.k, a, b, c, keep);
  else if (s.m == 1 || s.k == 1 || is_small(s)) wl_kernels()->nn(s.m, s.n, s.k, a, b, c, keep);
  else blas(NN, s, a, b, c, keep);
}

void wl_gemm_nt(wl_mnk s, const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  if (s.k == 1) /* B^T has one row, so B and B^T have the same elements in the same order */
    wl_kernels()->nn(s.m, s.n, 1, a, b, c, keep);
  else if (s.m == 1 || s.n == 1 || is_small(s)) wl_kernels()->nt(s.m, s.n, s.k, a, b, c, keep);
  else blas(NT, s, a, b, c, keep);
}

void wl_gemm_tn(wl_mnk s, const wl_real *a, const wl_real *b, wl_real *c, bool keep) {
  if (s.n == 1) /* the code computes C^T = B^T A */
    wl_kernels()->nn(1, s.m, s.k, b, a, c, keep);
  else if (s.m == 1 || s.k == 1 || is_small(s)) wl_kernels()->tn(s.m, s.n, s.k, a, b, c, keep);
  else blas(TN, s, a, b, c, keep);
}

/* ---- The check of BLAS ---- */

/* the sizes are odd, so that the check includes partial tiles */
enum { M = 37, N = 53, K = 129 };

/* Fills x with small integers. The sums of products of these integers are exact for any order of
 * the additions. */
static void fill(wl_real *x, int count, int factor) {
  for (int i = 0; i < count; i++) x[i] = (wl_real)(i * factor % 7 - 3);
}

/* A matrix whose element (i,j) is at[i * row + j * column]. */
typedef struct strided {
  const wl_real *at;
  int row, column;
} strided;

static bool is_product(strided a, strided b, const wl_real *c) {
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      wl_real sum = 0;
      for (int l = 0; l < K; l++)
        sum += a.at[i * a.row + l * a.column] * b.at[l * b.row + j * b.column];
      if (!(c[i * N + j] == sum)) return false;
    }
  return true;
}

wl_status wl_gemm_check(void) {
  static const wl_mnk size = {M, N, K};
  wl_real a[M * K], b[K * N], c[M * N];
  fill(a, M * K, 5);
  fill(b, K * N, 3);
  blas(NN, size, a, b, c, false);
  bool right = is_product((strided){a, K, 1}, (strided){b, N, 1}, c);
  blas(NT, size, a, b, c, false);
  right = right && is_product((strided){a, K, 1}, (strided){b, 1, K}, c);
  blas(TN, size, a, b, c, false);
  right = right && is_product((strided){a, 1, M}, (strided){b, N, 1}, c);
  if (right) return WL_OK;
  return WL_FAIL(
      WL_ERR_OS,
      "OpenBLAS computes wrong products on this processor (%s, %s): set OPENBLAS_CORETYPE=Haswell "
      "to choose other kernels, or install another version of OpenBLAS",
      wl_build_blas(), wl_build_processor());
}

static bool compare_widths(void) {
  static const char *const wide[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
  const char *const kernels = wl_blas_kernels();
  for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
    if (strcmp(kernels, wide[i]) == 0) return false;
  return wl_isa_choose() == WL_ISA_AVX512;
}

/* Returns true if Warploom's kernels use longer vectors than the kernels of BLAS. The result
 * depends only on the processor, the library and the environment. Equal products in one process
 * therefore have equal bits. */
static bool ours_are_wider(void) {
  /* 0: the lengths of the vectors have not been compared yet; 1: Warploom's kernels use longer
   * vectors than BLAS; -1: Warploom's kernels do not use longer vectors. The result of the
   * comparison is the same in all threads. */
  static _Atomic int known;
  int answer = atomic_load_explicit(&known, memory_order_relaxed);
  if (answer == 0) {
    answer = compare_widths() ? 1 : -1;
    atomic_store_explicit(&known, answer, memory_order_relaxed);
  }
  return answer > 0;
}

void wl_gemm_wide_nn(wl_mnk s, const wl_real *a, const wl_real *b, wl_real *c) {
  if (ours_are_wider()) wl_kernels()->nn(s.m, s.n, s.k, a, b, c, false);
  else wl_gemm_nn(s, a, b, c, false);
}

void wl_gemm_wide_nt(wl_mnk s, const wl_real *a, const wl_real *b, wl_real *c) {
  if (ours_are_wider()) wl_kernels()->nt(s.m, s.n, s.k, a, b, c, false);
  else wl_gemm_nt(s, a, b, c, false);
}

void wl_gemm_wide_tn(wl_mnk s, const wl_real *a, const wl_real *b, wl_real *c) {
  if (ours_are_wider()) wl_kernels()->tn(s.m, s.n, s.k, a, b, c, false);
  else wl_gemm_tn(s, a, b, c, false);
}
