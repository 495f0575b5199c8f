/* test_tape_kernels.c - tests the kernels for exponential functions and for matrix products. The expected values of
 * exponential functions are those of libm in double precision. Simple loops compute the expected matrix products. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "tensor/gemm.h"
#include "tensor/kernels.h"
#include "unit/cmocka_all.h"

#ifdef WL_DOUBLE
static const double EPSILON = DBL_EPSILON;
#else
static const double EPSILON = FLT_EPSILON;
#endif

static double exact_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double exact_elu(double x) { return x > 0 ? x : expm1(x); }

/* Returns the largest relative error of a function for x in [low, high], as a multiple of the machine epsilon. */
static double worst_error(wl_map_kernel map, double (*exact)(double), double low, double high) {
  enum { POINTS = 20011 };
  wl_real x[POINTS], y[POINTS];
  for (int i = 0; i < POINTS; i++) x[i] = (wl_real)(low + (high - low) * i / (POINTS - 1));
  map(POINTS, x, y);
  double worst = 0;
  for (int i = 0; i < POINTS; i++) {
    const double want = exact((double)x[i]),
                 error = fabs((double)y[i] - want) / (fabs(want) * EPSILON + DBL_MIN);
    if (!(error <= worst)) worst = error; /* keeps NaN */
  }
  return worst;
}

static void test_exponentials(void **state) {
  (void)state;
  const wl_kernel_table *k = wl_kernels();
  assert_true(worst_error(k->exp, exp, -86.9, 88.7) <= 2.0);
  assert_true(worst_error(k->exp, exp, -0.5, 0.5) <= 2.0);
  assert_true(worst_error(k->sigmoid, exact_sigmoid, -86.0, 86.0) <= 3.0);
  assert_true(worst_error(k->tanh, tanh, -20.0, 20.0) <= 4.0);
  assert_true(worst_error(k->tanh, tanh, 1e-6, 1e-2) <= 4.0);
  assert_true(worst_error(k->elu, exact_elu, -80.0, 10.0) <= 3.0);
  assert_true(worst_error(k->elu, exact_elu, -1e-3, -1e-9) <= 3.0);
}

/* For infinite arguments, the result must be the limit of the function. For NaN, the result must be NaN. At zero, the
 * value must be exact. */
static void test_special_values(void **state) {
  (void)state;
  const wl_kernel_table *k = wl_kernels();
  const wl_map_kernel maps[] = {k->exp, k->sigmoid, k->tanh, k->elu};
  const double at_plus[] = {INFINITY, 1, 1, INFINITY}, at_minus[] = {0, 0, -1, -1},
               at_zero[] = {1, 0.5, 0, 0};
  for (int f = 0; f < 4; f++) {
    wl_real x[19], y[19];
    for (int i = 0; i < 19; i++)
      x[i] = (const wl_real[]){INFINITY, -INFINITY, NAN, 0, 1000, -1000}[i % 6];
    maps[f](19, x, y);
    for (int i = 0; i < 19; i++) {
      const double want = (const double[]){at_plus[f], at_minus[f], NAN,
                                           at_zero[f], at_plus[f],  at_minus[f]}[i % 6];
      if (i % 6 == 2) assert_true(isnan(y[i]));
      else if (f == 3 && i % 6 == 4) assert_true(y[i] == 1000);
      else assert_true(fabs((double)y[i] - want) <= 2e-38 || (double)y[i] == want);
    }
  }
}

typedef void (*product)(wl_mnk, const wl_real *, const wl_real *, wl_real *, bool);

/* Computes the element (i, j) of a product of matrices A and B. `form` is 0 for A B, 1 for A B^T, and 2 for A^T B. */
static double naive(int form, int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                    int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t p = 0; p < k; p++)
    sum += (double)(form == 2 ? a[p * m + i] : a[i * k + p]) *
           (double)(form == 1 ? b[j * k + p] : b[p * n + j]);
  return sum;
}

static wl_real *random_matrix(int64_t size) {
  wl_real *const out = malloc((size_t)size * sizeof *out);
  assert_non_null(out);
  for (int64_t i = 0; i < size; i++) out[i] = (wl_real)((double)rand() / RAND_MAX - 0.5);
  return out;
}

static void check_product(int form, product multiply, int64_t m, int64_t n, int64_t k) {
  wl_real *a = random_matrix(m * k + 1), *b = random_matrix(k * n + 1),
          *start = random_matrix(m * n);
  wl_real *c = malloc((size_t)(m * n) * sizeof *c),
          *again = malloc((size_t)(m * n + 1) * sizeof *c);
  assert_true(c && again);
  for (int keep = 0; keep < 2; keep++) {
    for (int64_t i = 0; i < m * n; i++) c[i] = keep ? start[i] : (wl_real)NAN;
    multiply((wl_mnk){m, n, k}, a, b, c, keep);
    for (int64_t i = 0; i < m * n; i++) {
      const double want =
          naive(form, m, n, k, a, b, i / n, i % n) + (keep ? (double)start[i] : 0.0);
      if (!(fabs((double)c[i] - want) <= 2.0 * EPSILON * (double)(k + 2)))
        fail_msg("form %d, %d x %d x %d, element %d: %g, not %g", form, (int)m, (int)n, (int)k,
                 (int)i, (double)c[i], want);
    }
  }
  /* the same call with arrays at other addresses must have the same bits as the first call */
  memmove(a + 1, a, (size_t)(m * k) * sizeof *a);
  memmove(b + 1, b, (size_t)(k * n) * sizeof *b);
  memcpy(again + 1, start, (size_t)(m * n) * sizeof *start);
  multiply((wl_mnk){m, n, k}, a + 1, b + 1, again + 1, true);
  assert_memory_equal(again + 1, c, (size_t)(m * n) * sizeof *c);
  free(a), free(b), free(c), free(start), free(again);
}

static void test_products(void **state) {
  (void)state;
  srand(1);
  const int64_t sizes[][3] = {{1, 1, 1},    {1, 7, 5},    {7, 1, 5},    {5, 7, 1},    {1, 1, 300},
                              {3, 5, 7},    {7, 9, 11},   {16, 16, 16}, {13, 20, 17}, {29, 31, 27},
                              {64, 1, 33},  {1, 64, 33},  {128, 20, 9}, {8, 40, 50},  {2, 3, 1000},
                              {21, 90, 70}, {19, 83, 530}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    check_product(0, wl_gemm_nn, sizes[i][0], sizes[i][1], sizes[i][2]);
    check_product(1, wl_gemm_nt, sizes[i][0], sizes[i][1], sizes[i][2]);
    check_product(2, wl_gemm_tn, sizes[i][0], sizes[i][1], sizes[i][2]);
  }
}

/* Exits with code 77 (skipped) if this processor does not support the instruction set in WARPLOOM_ISA, because the
 * test would then use other kernels. */
int main(void) {
  const char *const wanted = getenv("WARPLOOM_ISA");
  if (wanted && strcmp(wanted, wl_isa_name(wl_isa_choose())) != 0) {
    print_message("skipped: this processor has no %s\n", wanted);
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_exponentials),
                                     cmocka_unit_test(test_special_values),
                                     cmocka_unit_test(test_products)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
