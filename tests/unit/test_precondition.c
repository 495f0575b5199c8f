/* test_precondition.c - tests the preconditioners in float32 and in float64. The preconditioners must start as the
 * identity. The preconditioners must agree with simple implementations, and satisfy the adjoint identity <P g, r> =
 * <g, P^T r>. The test also covers the drawn initial values, and the error messages for wrong configurations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/rule_fixture.h"
#include "tensor/singular.h"

#ifdef WL_DOUBLE
static const double tolerance = 1e-13;
#else
static const double tolerance = 5e-6;
#endif

enum { LIMIT = 4000, SCRATCH = 40000 };

typedef struct fixture {
  wl_layout theta;
  wl_precondition *p;
  wl_real phi[LIMIT], scratch[SCRATCH], factor[LIMIT], theta_values[LIMIT], before[LIMIT];
  int64_t t;
} fixture;

/* Returns the arguments of the preconditioner for the gradient g. Also computes the factor that the preconditioner
 * derives from g. */
static wl_gradient step_at(fixture *f, const wl_real *g) {
  const wl_gradient step = {.t = f->t,
                            .n = f->theta.size,
                            .g = g,
                            .theta = f->theta_values,
                            .factor = f->factor,
                            .before = f->before};
  wl_precondition_find_factor(f->p, &step, f->factor, f->scratch);
  return step;
}

static void apply(fixture *f, const wl_real *g, wl_real *out) {
  const wl_gradient step = step_at(f, g);
  wl_precondition_apply(f->p, f->phi, &step, out, f->scratch);
}

static void adjoint(fixture *f, const wl_real *g, const wl_real *bar, wl_real *raw, double *grad) {
  wl_real theta[LIMIT] = {0}, before[LIMIT];
  const wl_gradient step = step_at(f, g);
  wl_precondition_adjoint(
      f->p, f->phi, &step,
      &(wl_gradient_bar){.out = bar, .g = raw, .theta = theta, .before = before, .phi = grad},
      f->scratch);
}

static void open_fixture(fixture *f, const char *text) {
  memset(f, 0, sizeof *f);
  assert_int_equal(wl_layout_add(&f->theta, "", "bias", 1, (int64_t[]){7}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&f->theta, "", "dense", 2, (int64_t[]){4, 6}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&f->theta, "", "conv", 4, (int64_t[]){3, 2, 3, 2}, NULL), WL_OK);
  if (fixture_precondition(text, "steps: 3", &f->theta, &f->p) != WL_OK) fail_msg("%s", wl_last_error());
  assert_true(f->p->phi.size <= LIMIT && f->p->scratch <= SCRATCH && f->p->factor <= LIMIT);
  f->p->ops->init(f->p, 3, f->phi);
}

static void close_fixture(fixture *f) {
  wl_precondition_destroy(&f->p);
  assert_null(f->p);
  wl_layout_clear(&f->theta);
}

static void randomise_phi(fixture *f) {
  wl_real noise[LIMIT];
  fixture_normal(9, f->p->phi.size, 0.5, noise);
  for (int64_t i = 0; i < f->p->phi.size; i++) f->phi[i] += noise[i];
}

static const char *const texts[] = {"name: scalar",
                                    "name: scalar, per: tensor",
                                    "name: diagonal",
                                    "name: kronecker",
                                    "name: scalar, per: step_tensor",
                                    "name: scalar, per: step, learn_decay: true",
                                    "name: scalar, per: step_tensor, learn_skip: true",
                                    "name: gap",
                                    "name: gap, approximate: true"};
enum { TEXTS = sizeof texts / sizeof *texts };

/* Every preconditioner of this test must return the bits of the gradient unchanged, and it must not write beyond the
 * last element. */
static void test_identity_at_the_start(void **state) {
  (void)state;
  for (int k = 0; k < TEXTS; k++) {
    static fixture f;
    open_fixture(&f, texts[k]);
    wl_real g[LIMIT], out[LIMIT];
    fixture_normal(1, f.theta.size, 1, g);
    for (int i = 0; i < LIMIT; i++) out[i] = -77;
    apply(&f, g, out);
    assert_memory_equal(g, out, (size_t)f.theta.size * sizeof *g);
    assert_true(out[f.theta.size] == -77);
    close_fixture(&f);
  }
}

static double dot(const wl_real *a, const wl_real *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* Tests the adjoint identity. Also tests that the gradient with respect to phi is the same if the output array is NULL,
 * and if the output array is the array r. */
static void test_adjoint_identity(void **state) {
  (void)state;
  for (int k = 0; k < TEXTS; k++) {
    static fixture f;
    open_fixture(&f, texts[k]);
    randomise_phi(&f);
    const int64_t n = f.theta.size;
    wl_real g[LIMIT], r[LIMIT], pg[LIMIT], ptr[LIMIT];
    double grad[2][LIMIT] = {{0}};
    fixture_normal(1, n, 1, g);
    fixture_normal(2, n, 1, r);
    apply(&f, g, pg);
    adjoint(&f, g, r, ptr, grad[0]);
    const double left = dot(pg, r, n), right = dot(g, ptr, n);
    if (!(fabs(left - right) <= tolerance * sqrt(dot(pg, pg, n) * dot(r, r, n))))
      fail_msg("%s: <Pg, r> = %.17g, <g, P'r> = %.17g", texts[k], left, right);
    adjoint(&f, g, r, NULL, grad[1]);
    assert_memory_equal(grad[0], grad[1], (size_t)f.p->phi.size * sizeof(double));
    adjoint(&f, g, r, r, grad[1]);
    assert_memory_equal(r, ptr, (size_t)n * sizeof *r);
    for (int64_t i = 0; i < f.p->phi.size; i++) assert_true(grad[1][i] == 2 * grad[0][i]);
    close_fixture(&f);
  }
}

/* Returns one element of the preconditioned gradient of a convolution filter. The element is a sum over p, q and s
 * with the matrices M0 (o, p), M1 (q, i) and M2 (s, r), as in the formulas of kronecker.c. */
static double conv_entry(const wl_real *m0, const wl_real *m1, const wl_real *m2, const wl_real *g,
                         int o, int i, int r) {
  double sum = 0;
  for (int p = 0; p < 3; p++)
    for (int q = 0; q < 2; q++)
      for (int s = 0; s < 6; s++)
        sum += (double)m0[o * 3 + p] * (double)m1[q * 2 + i] * (double)m2[s * 6 + r] *
               (double)g[(p * 2 + q) * 6 + s];
  return sum;
}

static const wl_real *matrix(const fixture *f, const char *name) {
  const wl_tensor_entry *b = wl_layout_find(&f->p->phi, name);
  assert_non_null(b);
  return f->phi + b->offset;
}

static void expect_near(const char *what, double value, double expected) {
  if (!(fabs(value - expected) <= 10 * tolerance * (1 + fabs(expected))))
    fail_msg("%s: %.17g, not %.17g", what, value, expected);
}

static void test_kronecker_against_plain_sums(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, "name: kronecker");
  randomise_phi(&f);
  wl_real g[LIMIT], out[LIMIT];
  fixture_normal(1, f.theta.size, 1, g);
  apply(&f, g, out);
  const wl_real *m0 = matrix(&f, "precondition.bias.axis0");
  for (int i = 0; i < 7; i++) expect_near("bias", (double)out[i], dot(m0 + 7 * i, g, 7));
  const wl_real *left = matrix(&f, "precondition.dense.axis0"),
                *right = matrix(&f, "precondition.dense.axis1");
  for (int a = 0; a < 4; a++)
    for (int b = 0; b < 6; b++) {
      double sum = 0;
      for (int p = 0; p < 4; p++)
        for (int q = 0; q < 6; q++)
          sum += (double)left[a * 4 + p] * (double)g[7 + p * 6 + q] * (double)right[q * 6 + b];
      expect_near("dense", (double)out[7 + a * 6 + b], sum);
    }
  for (int o = 0; o < 3; o++)
    for (int i = 0; i < 2; i++)
      for (int r = 0; r < 6; r++)
        expect_near(
            "conv", (double)out[31 + (o * 2 + i) * 6 + r],
            conv_entry(matrix(&f, "precondition.conv.axis0"), matrix(&f, "precondition.conv.axis1"),
                       matrix(&f, "precondition.conv.axis2"), g + 31, o, i, r));
  close_fixture(&f);
}

static void test_scalar_per_tensor(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, "name: scalar, initial: 0.5, per: tensor");
  assert_int_equal(f.p->phi.size, 3);
  const wl_real factors[] = {2, -3, (wl_real)0.25};
  for (int j = 0; j < 3; j++) {
    assert_true(f.phi[j] == (wl_real)0.5);
    f.phi[j] = factors[j];
  }
  wl_real g[LIMIT], out[LIMIT];
  fixture_normal(1, f.theta.size, 1, g);
  apply(&f, g, out);
  for (int i = 0; i < f.theta.size; i++)
    assert_true(out[i] == factors[i < 7 ? 0 : i < 31 ? 1 : 2] * g[i]);
  close_fixture(&f);
}

static void test_diagonal_draws(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, "name: diagonal, initial_range: [-0.5, 0.25]");
  double sum = 0, lowest = 1, highest = -1;
  for (int64_t i = 0; i < f.p->phi.size; i++) {
    sum += (double)f.phi[i];
    lowest = fmin(lowest, (double)f.phi[i]);
    highest = fmax(highest, (double)f.phi[i]);
  }
  assert_true(lowest >= -0.5 && lowest < -0.4 && highest < 0.25 && highest > 0.15);
  expect_near("mean is inside", fabs(sum / (double)f.p->phi.size + 0.125) < 0.1, 1);
  wl_real again[LIMIT], other[LIMIT];
  f.p->ops->init(f.p, 3, again);
  f.p->ops->init(f.p, 4, other);
  assert_memory_equal(f.phi, again, (size_t)f.p->phi.size * sizeof *again);
  assert_memory_not_equal(f.phi, other, (size_t)f.p->phi.size * sizeof *other);
  close_fixture(&f);
}

static void expect_config_error(const char *text, int64_t axis, const char *says) {
  wl_layout theta = {0};
  assert_int_equal(wl_layout_add(&theta, "", "wide", 1, &axis, NULL), WL_OK);
  wl_precondition *p = NULL;
  const wl_status status = fixture_precondition(text, "steps: 3", &theta, &p);
  assert_int_equal(status, WL_ERR_CONFIG);
  assert_null(p);
  if (strstr(wl_last_error(), says) == NULL)
    fail_msg("'%s' does not say '%s'", wl_last_error(), says);
  wl_layout_clear(&theta);
}

static void test_wrong_configurations(void **state) {
  (void)state;
  expect_config_error("name: kronecker", 4097, "'wide'");
  expect_config_error("name: diagonal, initial_range: [1, 0]", 5, "initial_range");
  expect_config_error("name: diagonal, initial_range: [1]", 5, "initial_range");
  expect_config_error("name: scalar, per: layer", 5, "per");
  expect_config_error("name: gap", 5, "weight matrices");
}

static void test_none(void **state) {
  (void)state;
  static const wl_layout theta;
  wl_precondition *p = (wl_precondition *)&theta;
  assert_string_equal(wl_preconditions[0]->name, "none");
  assert_int_equal(fixture_precondition("name: none", "steps: 3", &theta, &p), WL_OK);
  assert_null(p);
}

/* ---- Factors and decays for each step ----------------------------------------------------------- */

static void test_scalar_per_step_and_tensor(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f,
               "name: scalar, per: step_tensor, learn_decay: true, initial: 2, initial_decay: 3");
  assert_int_equal(f.p->phi.size, 2 * 9); /* 9 factors, one for each of 3 steps and 3 tensors */
  assert_true(f.phi[8] == 2 && f.phi[9] == 3);
  randomise_phi(&f);
  wl_real g[LIMIT], out[LIMIT];
  fixture_normal(1, f.theta.size, 1, g);
  fixture_normal(2, f.theta.size, 1, f.theta_values);
  for (f.t = 0; f.t < 5; f.t++) { /* after the third step, the factors of the last step are used */
    const int64_t row = 3 * (f.t < 3 ? f.t : 2);
    apply(&f, g, out);
    for (int i = 0; i < f.theta.size; i++) {
      const int64_t at = row + (i < 7 ? 0 : i < 31 ? 1 : 2);
      expect_near(
          "rate and decay", (double)out[i],
          (double)f.phi[at] * (double)g[i] + (double)f.phi[9 + at] * (double)f.theta_values[i]);
    }
  }
  close_fixture(&f);
}

/* Several steps of the rule sgd after the preconditioner `scalar` must equal the steps of the rule pamela. The keys
 * initial_skip and skip have opposite signs. */
static void test_scalar_skip_is_pamela(void **state) {
  (void)state;
  static fixture f;
  rule_fixture pamela;
  enum { N = 67 };
  open_fixture(&f,
               "name: scalar, learn_skip: true, initial: 0.5, initial_skip: -0.75, "
               "learn_decay: true, initial_decay: 0.25");
  assert_int_equal(f.theta.size, N);
  assert_true(f.phi[0] == (wl_real)0.5 && f.phi[1] == (wl_real)0.25 && f.phi[2] == (wl_real)-0.75);
  rule_fixture_open(&pamela, "name: pamela, rate: 0.5, decay: 0.25, skip: 0.75", N, 3);
  wl_real g[LIMIT] = {0}, out[LIMIT], u[LIMIT], memory[LIMIT] = {0};
  for (f.t = 0; f.t < 4; f.t++) {
    fixture_normal((uint64_t)f.t, N, 1, g);
    fixture_normal((uint64_t)(10 + f.t), N, 1, f.theta_values);
    apply(&f, g, out);
    wl_rule_step(pamela.rule, pamela.ws,
                 FIXTURE_STEP(f.t, pamela.blocks, g, f.theta_values, memory, memory, u));
    for (int i = 0; i < N; i++) expect_near("step", -(double)out[i], (double)u[i]);
    memcpy(f.before, out, N * sizeof *out);
  }
  rule_fixture_close(&pamela);
  close_fixture(&f);
}

/* ---- GAP ------------------------------------------------------------------------------------- */

/* Returns the factor m of a singular value, which is the function softplus_2 of an element of phi. */
static double softplus2(double x) { return 0.5 * log1p(exp(2 * (x + 0.5 * log(exp(2) - 1)))); }

/* Tests a diagonal gradient whose diagonal elements decrease. The singular vectors of this gradient are unit vectors,
 * so P must be a diagonal matrix. */
static void check_diagonal_gradient(const char *text) {
  static fixture f;
  open_fixture(&f, text);
  randomise_phi(&f);
  wl_real g[LIMIT] = {0}, out[LIMIT];
  for (int i = 0; i < 7; i++) g[i] = 1;
  for (int i = 0; i < 4; i++) g[7 + i * 6 + i] = (wl_real)(i % 2 ? i - 5 : 5 - i);
  for (int i = 0; i < 3; i++) g[31 + i * 12 + i] = (wl_real)(4 - i);
  apply(&f, g, out);
  const wl_real *dense = matrix(&f, "precondition.dense"), *conv = matrix(&f, "precondition.conv");
  for (int64_t i = 0; i < f.theta.size; i++) {
    double m = 1;
    if (i >= 7 && i < 31) m = softplus2((double)dense[(i - 7) / 6]);
    if (i >= 31) m = softplus2((double)conv[(i - 31) / 12]);
    expect_near(text, (double)out[i], m * (double)g[i]);
  }
  close_fixture(&f);
}

static void test_gap_of_a_diagonal_gradient(void **state) {
  (void)state;
  check_diagonal_gradient("name: gap");
  check_diagonal_gradient("name: gap, approximate: true");
}

/* For a matrix G of any shape and rank, the singular vectors must have length 1, be orthogonal, and diagonalise G
 * G^T. The singular values must be in descending order. */
static void check_singular(int64_t m, int64_t n, int64_t rank) {
  wl_real x[900], a[900] = {0}, u[900], p[900], q[900];
  static wl_real work[40000];
  assert_true(wl_singular_work(m, n) <= 40000);
  fixture_normal(10, m * rank, 1, p);
  fixture_normal(11, n * rank, 1, q);
  for (int64_t k = 0; k < rank; k++)
    for (int64_t j = 0; j < n; j++)
      for (int64_t i = 0; i < m; i++)
        a[j * m + i] += p[k * m + i] * q[k * n + j] * (wl_real)pow(0.5, (double)k);
  memcpy(x, a, sizeof x);
  assert_int_equal(wl_singular_left(m, n, a, u, work), rank);
  double last = INFINITY, total = 0, all = dot(x, x, m * n);
  for (int64_t i = 0; i < rank; i++) {
    wl_real image[32] = {0}; /* X^T u_i */
    for (int64_t j = 0; j < n; j++)
      for (int64_t k = 0; k < m; k++) image[j] += x[j * m + k] * u[i * m + k];
    const double square = dot(image, image, n);
    for (int64_t j = 0; j < rank; j++) {
      wl_real other[32] = {0};
      for (int64_t e = 0; e < n; e++)
        for (int64_t k = 0; k < m; k++) other[e] += x[e * m + k] * u[j * m + k];
      expect_near("orthogonal", dot(u + i * m, u + j * m, m), i == j);
      if (i != j) assert_true(fabs(dot(image, other, n)) <= 20 * tolerance * all);
    }
    assert_true(square <= last);
    last = square;
    total += square;
  }
  /* the singular vectors must span the column space of G */
  assert_true(fabs(total - all) <= 20 * tolerance * all);
}

static void test_singular_vectors(void **state) {
  (void)state;
  check_singular(5, 5, 5);
  check_singular(4, 9, 4);
  check_singular(20, 3, 3);
  check_singular(20, 30, 4);
  check_singular(30, 20, 1);
  check_singular(1, 6, 1);
  check_singular(6, 1, 1);
  wl_real a[4] = {0}, u[4], work[5000];
  assert_true(wl_singular_work(2, 2) <= 5000);
  assert_int_equal(wl_singular_left(2, 2, a, u, work), 0);
  a[1] = NAN;
  assert_int_equal(wl_singular_left(2, 2, a, u, work), 0);
}

/* ---- The clip -------------------------------------------------------------------------------- */

static void expect_clip(const char *episode, const double *expected) {
  static const wl_layout theta;
  const wl_real g[4] = {3, -4, 0, (wl_real)0.5};
  wl_real out[4], scratch[64];
  wl_precondition *p = NULL;
  assert_int_equal(fixture_precondition("name: none", episode, &theta, &p), WL_OK);
  assert_non_null(p);
  assert_true(wl_precondition_scratch(p, 4) <= 64);
  wl_precondition_apply(p, NULL, &(wl_gradient){.n = 4, .g = g}, out, scratch);
  for (int i = 0; i < 4; i++) expect_near(episode, (double)out[i], expected[i]);
  wl_precondition_destroy(&p);
}

static void test_clip(void **state) {
  (void)state;
  const double norm = sqrt(25.25), both = 2 / sqrt(2 * 2 + 2 * 2 + 0.25);
  expect_clip("clip_value: 2", (double[]){2, -2, 0, 0.5});
  expect_clip("clip_norm: 2", (double[]){6 / norm, -8 / norm, 0, 1 / norm});
  expect_clip("clip_norm: 6", (double[]){3, -4, 0, 0.5});
  expect_clip("clip_value: 2, clip_norm: 2", (double[]){2 * both, -2 * both, 0, 0.5 * both});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_identity_at_the_start),
      cmocka_unit_test(test_adjoint_identity),
      cmocka_unit_test(test_kronecker_against_plain_sums),
      cmocka_unit_test(test_scalar_per_tensor),
      cmocka_unit_test(test_diagonal_draws),
      cmocka_unit_test(test_wrong_configurations),
      cmocka_unit_test(test_none),
      cmocka_unit_test(test_scalar_per_step_and_tensor),
      cmocka_unit_test(test_scalar_skip_is_pamela),
      cmocka_unit_test(test_gap_of_a_diagonal_gradient),
      cmocka_unit_test(test_singular_vectors),
      cmocka_unit_test(test_clip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
