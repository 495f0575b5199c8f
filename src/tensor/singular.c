/* singular.c - computes left singular vectors with the functions geqp3, gesvd and ormqr of LAPACK.
 * OpenBLAS contains these functions. */
#include "tensor/singular.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* LAPACK's Fortran functions. All arguments are passed by address. The last arguments are the
 * lengths of the string arguments. */
#ifdef WL_DOUBLE
#define GEQP3 dgeqp3_
#define GESVD dgesvd_
#define ORMQR dormqr_
#define ROUNDING DBL_EPSILON
#else
#define GEQP3 sgeqp3_
#define GESVD sgesvd_
#define ORMQR sormqr_
#define ROUNDING FLT_EPSILON
#endif
void GEQP3(const blasint *m, const blasint *n, wl_real *a, const blasint *lda, blasint *pivots,
           wl_real *tau, wl_real *work, const blasint *lwork, blasint *info);
void GESVD(const char *jobu, const char *jobvt, const blasint *m, const blasint *n, wl_real *a,
           const blasint *lda, wl_real *s, wl_real *u, const blasint *ldu, wl_real *vt,
           const blasint *ldvt, wl_real *work, const blasint *lwork, blasint *info, size_t, size_t);
void ORMQR(const char *side, const char *trans, const blasint *m, const blasint *n,
           const blasint *k, const wl_real *a, const blasint *lda, const wl_real *tau, wl_real *c,
           const blasint *ldc, wl_real *work, const blasint *lwork, blasint *info, size_t, size_t);

enum { PANEL = 64 }; /* largest number of columns that LAPACK's algorithms process together */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* The function lapack_work returns the size of LAPACK's work array. The function wl_singular_work
 * adds the sizes of the other arrays: the pivots, the scalars tau of the QR decomposition, the
 * matrix R, and the singular values and vectors of R. */
static int64_t lapack_work(int64_t m, int64_t n) { return (PANEL + 5) * (most(m, n) + PANEL); }
int64_t wl_singular_work(int64_t m, int64_t n) {
  const int64_t k = least(m, n);
  /* the size 2 n is sufficient for the pivots, because a blasint is not larger than two numbers of
   * type wl_real */
  return lapack_work(m, n) + 2 * n + k + k * n + k + k * k;
}

static bool is_finite(const wl_real *a, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += fabs((double)a[i]);
  return isfinite(sum);
}

/* Returns the rank, which is the number of diagonal elements of R above the rounding error. The
 * diagonal elements are in descending order. */
static int64_t rank_of(const wl_real *r, int64_t m, int64_t n) {
  const double bound = (double)ROUNDING * (double)most(m, n) * fabs((double)r[0]);
  int64_t rank = 0;
  while (rank < least(m, n) && fabs((double)r[rank * (m + 1)]) > bound) rank++;
  return rank;
}

/* Copies the first `rank` rows of R to a matrix that is stored column by column. The elements below
 * the diagonal are set to zero. */
static void take_rows(const wl_real *a, int64_t m, int64_t n, int64_t rank, wl_real *r) {
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < rank; i++) r[j * rank + i] = i <= j ? a[j * m + i] : 0;
}

int64_t wl_singular_left(int64_t m, int64_t n, wl_real *a, wl_real *u, wl_real *work) {
  const int64_t k = least(m, n);
  wl_real *lapack = work, *pivots = lapack + lapack_work(m, n), *tau = pivots + 2 * n, *r = tau + k,
          *s = r + k * n, *vectors = s + k;
  const blasint rows = (blasint)m, columns = (blasint)n, size = (blasint)lapack_work(m, n);
  blasint info = 0;
  if (!is_finite(a, m * n)) return 0;
  /* geqp3 may move every column whose pivot is 0 before the call */
  memset(pivots, 0, 2 * (size_t)n * sizeof *pivots);
  GEQP3(&rows, &columns, a, &rows, (blasint *)pivots, tau, lapack, &size, &info);
  const blasint rank = (blasint)rank_of(a, m, n), none = 1;
  if (rank == 0) return 0;
  take_rows(a, m, n, rank, r);
  GESVD("A", "N", &rank, &columns, r, &rank, s, vectors, &rank, NULL, &none, lapack, &size, &info,
        1, 1);
  /* gesvd did not converge, so the computed vectors are wrong */
  if (info != 0) return 0;
  memset(u, 0, (size_t)(rank * m) * sizeof *u);
  for (int64_t i = 0; i < rank; i++)
    memcpy(u + i * m, vectors + i * rank, (size_t)rank * sizeof *u);
  ORMQR("L", "N", &rows, &rank, &rank, a, &rows, tau, u, &rows, lapack, &size, &info, 1, 1);
  return rank;
}
