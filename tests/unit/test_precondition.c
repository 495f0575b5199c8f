/* test_precondition.c - preconditioners: identity at the start, plain references, the adjoint
 * identity <P g, r> = <g, P^T r>, draws, and what a wrong configuration says. Both precisions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/rule_fixture.h"

#ifdef WL_DOUBLE
static const double tolerance = 1e-13;
#else
static const double tolerance = 5e-6;
#endif

enum { LIMIT = 4000 };

typedef struct fixture {
  wl_layout theta;
  wl_precondition *p;
  wl_real phi[LIMIT], scratch[LIMIT];
} fixture;

static void open_fixture(fixture *f, const char *text) {
  memset(f, 0, sizeof *f);
  assert_int_equal(wl_layout_add(&f->theta, "", "bias", 1, (int64_t[]){7}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&f->theta, "", "dense", 2, (int64_t[]){4, 6}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&f->theta, "", "conv", 4, (int64_t[]){3, 2, 3, 2}, NULL), WL_OK);
  wl_config *config = NULL;
  assert_int_equal(fixture_config("precondition", wl_precondition_variants(), text, &config),
                   WL_OK);
  assert_int_equal(
      wl_precondition_create(wl_config_map(config, "precondition", 0), &f->theta, &f->p), WL_OK);
  wl_config_destroy(&config);
  assert_true(f->p->phi.size <= LIMIT && f->p->scratch <= LIMIT);
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

static const char *const texts[] = {"name: scalar", "name: scalar, per: tensor", "name: diagonal",
                                    "name: kronecker"};
enum { TEXTS = sizeof texts / sizeof *texts };

/* All leave the gradient as it is, to the bit, and the padding alone. */
static void test_identity_at_the_start(void **state) {
  (void)state;
  for (int k = 0; k < TEXTS; k++) {
    static fixture f;
    open_fixture(&f, texts[k]);
    wl_real g[LIMIT], out[LIMIT];
    fixture_normal(1, f.theta.size, 1, g);
    for (int i = 0; i < LIMIT; i++) out[i] = -77;
    f.p->ops->apply(f.p, f.phi, g, out, f.scratch);
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

/* Also: in place and without `raw` give the same gradient. */
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
    f.p->ops->apply(f.p, f.phi, g, pg, f.scratch);
    f.p->ops->adjoint(f.p, f.phi, g, r, ptr, grad[0], f.scratch);
    const double left = dot(pg, r, n), right = dot(g, ptr, n);
    if (!(fabs(left - right) <= tolerance * sqrt(dot(pg, pg, n) * dot(r, r, n))))
      fail_msg("%s: <Pg, r> = %.17g, <g, P'r> = %.17g", texts[k], left, right);
    f.p->ops->adjoint(f.p, f.phi, g, r, NULL, grad[1], f.scratch);
    assert_memory_equal(grad[0], grad[1], (size_t)f.p->phi.size * sizeof(double));
    f.p->ops->adjoint(f.p, f.phi, g, r, r, grad[1], f.scratch);
    assert_memory_equal(r, ptr, (size_t)n * sizeof *r);
    for (int64_t i = 0; i < f.p->phi.size; i++) assert_true(grad[1][i] == 2 * grad[0][i]);
    close_fixture(&f);
  }
}

/* Indices summed one by one: M0 (o, p), M1 (q, i), M2 (s, r) as kronecker.c writes them. */
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
  const wl_block *b = wl_layout_find(&f->p->phi, name);
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
  f.p->ops->apply(f.p, f.phi, g, out, f.scratch);
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
  f.p->ops->apply(f.p, f.phi, g, out, f.scratch);
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
  wl_config *config = NULL;
  wl_precondition *p = NULL;
  wl_status status = fixture_config("precondition", wl_precondition_variants(), text, &config);
  if (status == WL_OK)
    status = wl_precondition_create(wl_config_map(config, "precondition", 0), &theta, &p);
  assert_int_equal(status, WL_ERR_CONFIG);
  assert_null(p);
  if (strstr(wl_last_error(), says) == NULL)
    fail_msg("'%s' does not say '%s'", wl_last_error(), says);
  wl_config_destroy(&config);
  wl_layout_clear(&theta);
}

static void test_wrong_configurations(void **state) {
  (void)state;
  expect_config_error("name: kronecker", 4097, "'wide'");
  expect_config_error("name: diagonal, initial_range: [1, 0]", 5, "initial_range");
  expect_config_error("name: diagonal, initial_range: [1]", 5, "initial_range");
  expect_config_error("name: scalar, per: layer", 5, "per");
}

static void test_none(void **state) {
  (void)state;
  static const wl_layout theta;
  wl_config *config = NULL;
  wl_precondition *p = (wl_precondition *)&config;
  assert_string_equal(wl_preconditions[0]->name, "none");
  assert_int_equal(
      fixture_config("precondition", wl_precondition_variants(), "name: none", &config), WL_OK);
  assert_int_equal(wl_precondition_create(wl_config_map(config, "precondition", 0), &theta, &p),
                   WL_OK);
  assert_null(p);
  wl_config_destroy(&config);
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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
