/* singular.c - computes left singular vectors with the functions geqp3, gesvd and ormqr of LAPACK, which OpenBLAS
 * contains. */
#include "tensor/singular.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* The Fortran interface. Arguments are passed by address. The lengths of strings are the last arguments. */
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

enum { PANEL = 64 }; /* largest block of columns in LAPACK's blocked algorithms */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* lapack_work returns the size of LAPACK's work array. wl_singular_work adds the other arrays: pivots and tau; R (r,n),
 * and the singular values and vectors of R. */
static int64_t lapack_work(int64_t m, int64_t n) { return (PANEL + 5) * (most(m, n) + PANEL); }
int64_t wl_singular_work(int64_t m, int64_t n) {
  const int64_t k = least(m, n);
  /* a blasint is at most as large as two wl_reals */
  return lapack_work(m, n) + 2 * n + k + k * n + k + k * k;
}

static bool is_finite(const wl_real *a, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += fabs((double)a[i]);
  return isfinite(sum);
}

/* Returns the number of rows of R above the rounding error. The diagonal of R is in descending order. */
static int64_t rank_of(const wl_real *r, int64_t m, int64_t n) {
  const double bound = (double)ROUNDING * (double)most(m, n) * fabs((double)r[0]);
  int64_t rank = 0;
  while (rank < least(m, n) && fabs((double)r[rank * (m + 1)]) > bound) rank++;
  return rank;
}

/* Copies the first `rank` rows of R, stored by columns, with zeros below the diagonal. */
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
  memset(pivots, 0, 2 * (size_t)n * sizeof *pivots); /* 0: the column may be permuted */
  GEQP3(&rows, &columns, a, &rows, (blasint *)pivots, tau, lapack, &size, &info);
  const blasint rank = (blasint)rank_of(a, m, n), none = 1;
  if (rank == 0) return 0;
  take_rows(a, m, n, rank, r);
  GESVD("A", "N", &rank, &columns, r, &rank, s, vectors, &rank, NULL, &none, lapack, &size, &info,
        1, 1);
  /* gesvd did not converge; the computed vectors are wrong and are not returned */
  if (info != 0) return 0;
  memset(u, 0, (size_t)(rank * m) * sizeof *u);
  for (int64_t i = 0; i < rank; i++)
    memcpy(u + i * m, vectors + i * rank, (size_t)rank * sizeof *u);
  ORMQR("L", "N", &rows, &rank, &rank, a, &rows, tau, u, &rows, lapack, &size, &info, 1, 1);
  return rank;
}
