/* test_lbfgs.c - tests the rule `lbfgs` in float32 and in float64. The tests cover quadratic functions, negative
 * curvature, non-finite gradients, and a state that is updated in place. The test test_tensor_rules.c compares the
 * updates with reference values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "harness/rule_fixture.h"

enum { N = 30, PAD = 32, MOST_STATE = 22 * PAD, T = 60 };

typedef struct unit {
  wl_layout theta;
  wl_rule *rule;
  wl_rule_ws *ws;
  wl_real phi[8], g[PAD], p[PAD], u[PAD], state[MOST_STATE];
} unit;

static void open_unit(unit *x, const char *options, int ndim, const int64_t *shape) {
  memset(x, 0, sizeof *x);
  assert_int_equal(wl_layout_add(&x->theta, "", "x", ndim, shape, NULL), WL_OK);
  assert_int_equal(x->theta.size, N);
  wl_config *config = NULL;
  if (fixture_config("rule", wl_rule_variants(), options, &config) != WL_OK)
    fail_msg("%s", wl_last_error());
  const wl_rule_setting setting = {.theta = &x->theta, .episode_steps = T};
  assert_int_equal(wl_rule_create(wl_config_map(config, "rule", 0), &setting, &x->rule), WL_OK);
  wl_config_destroy(&config);
  assert_true(wl_rule_state_reals(x->rule, &x->theta) <= MOST_STATE);
  assert_int_equal(x->rule->phi.size, 8);
  assert_int_equal(wl_rule_ws_create(x->rule, &x->theta, false, 1, &x->ws), WL_OK);
  x->rule->ops->init(x->rule, 1, x->phi);
  wl_rule_pack(x->rule, x->ws, x->phi);
  for (int i = 0; i < N; i++) x->p[i] = (wl_real)(0.5 * sin(1.3 * i + 0.4));
}

static void close_unit(unit *x) {
  wl_rule_ws_destroy(&x->ws);
  wl_rule_destroy(&x->rule);
  wl_layout_clear(&x->theta);
}

/* Computes the update of one step without changing theta. */
static void compute_update(unit *x, int t, wl_real *s_out) {
  const wl_inner_step step = {t, T, NAN, PAD / WL_LANES, x->g, x->p, x->state, s_out, x->u, NULL};
  wl_rule_step(x->rule, x->ws, &step);
}

static void take_step(unit *x, int t) {
  compute_update(x, t, x->state);
  for (int i = 0; i < N; i++) x->p[i] += x->u[i];
}

/* Sets g to the gradient of the function sum_i c_i p_i^2 / 2. The coefficients c_i have the sign `sign`, and their
 * absolute values are 1, 10, 100, 1, 10, 100 and so on. */
static void set_gradient(unit *x, double sign) {
  static const double curvature[3] = {1, 10, 100};
  for (int i = 0; i < N; i++) x->g[i] = (wl_real)(sign * curvature[i % 3]) * x->p[i];
}

static double length(const wl_real *x, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
  return sqrt(sum);
}

/* Each slice has 3 coordinates with different curvatures. The tensor as a whole also has only 3 different curvatures.
 * The rule must find the minimum in both cases: if it treats each slice separately, and if it treats the whole tensor
 * as one slice. */
static void test_quadratic_functions(void **state) {
  (void)state;
  static const char *const rules[] = {"name: lbfgs, damping: 1e-9",
                                      "name: lbfgs, damping: 1e-9, per: tensor",
                                      "name: lbfgs, damping: 1e-9, memory: 2"};
  static unit x;
  for (int r = 0; r < 3; r++) {
    open_unit(&x, rules[r], 2, (int64_t[]){10, 3});
    for (int t = 0; t < T; t++) {
      set_gradient(&x, 1);
      take_step(&x, t);
    }
    for (int t = T; t <= 20 * T; t++) { /* in float32, the gradients underflow to zero */
      if (!(length(x.p, N) <= 1e-6))
        fail_msg("%s: distance %g from the minimum at step %d", rules[r], length(x.p, N), t);
      set_gradient(&x, 1);
      take_step(&x, t);
    }
    close_unit(&x);
  }
}

/* For a concave function, the rule must not store any pair in its memory. Each slice must move away from the maximum
 * by steps of the length `first_step`. */
static void test_concave_function(void **state) {
  (void)state;
  static unit x;
  open_unit(&x, "name: lbfgs, first_step: 0.02", 2, (int64_t[]){10, 3});
  for (int t = 0; t < 5; t++) {
    const double before = length(x.p, N);
    set_gradient(&x, -1);
    take_step(&x, t);
    for (int b = 0; b < 10; b++) {
      const double taken = length(x.u + 3 * b, 3), expected = 0.02 * sqrt(3);
      if (!(fabs(taken - expected) <= 1e-5 * expected)) fail_msg("step %d: length %g", t, taken);
    }
    assert_true(length(x.p, N) > before);
  }
  for (int i = 2 * PAD; i < MOST_STATE; i++) assert_true(x.state[i] == 0);
  close_unit(&x);
}

/* After four steps on a convex function, the rule must reject a pair of negative curvature, and no bit of the memory of
 * the rule may change. The next step must be at most `growth` times as long as the longest step in the memory. */
static void test_negative_curvature_is_skipped(void **state) {
  (void)state;
  static unit x;
  static wl_real kept[MOST_STATE];
  open_unit(&x, "name: lbfgs, growth: 2", 1, (int64_t[]){N});
  for (int t = 0; t < 4; t++) {
    set_gradient(&x, 1);
    take_step(&x, t);
  }
  memcpy(kept, x.state, sizeof kept);
  double longest = 0;
  for (int k = 0; k < 5; k++) longest = fmax(longest, length(kept + (2 + 2 * k) * PAD, N));
  for (int i = 0; i < N; i++) x.g[i] = x.state[i] - x.u[i]; /* y = -s */
  take_step(&x, 4);
  assert_memory_equal(kept + 2 * PAD, x.state + 2 * PAD, sizeof kept - 2 * PAD * sizeof *kept);
  assert_true(length(x.u, N) > 0 && length(x.u, N) <= 2.0001 * longest);
  close_unit(&x);
}

/* If a gradient is not finite, the parameters of its slice must not change in this step, and the memory of the slice
 * must not change either. If the difference of two gradients is not finite, the rule must not store the pair. The
 * other slices must have the same bits as without the non-finite gradient. */
static void test_gradients_that_are_not_finite(void **state) {
  (void)state;
  static const double bad[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38};
  static unit plain, x;
  for (int k = 0; k < 5; k++) {
    open_unit(&plain, "name: lbfgs", 2, (int64_t[]){10, 3});
    open_unit(&x, "name: lbfgs", 2, (int64_t[]){10, 3});
    for (int t = 0; t < 12; t++) {
      set_gradient(&plain, 1);
      set_gradient(&x, 1);
      if (t == 0 || t == 6) x.g[1] = (wl_real)bad[k];
      if (t == 7 && isfinite(bad[k])) x.g[1] = (wl_real)-bad[k];
      take_step(&plain, t);
      take_step(&x, t);
      for (int i = 0; i < 3; i++)
        assert_true(isfinite(x.p[i]) && (isfinite(x.g[i]) || x.u[i] == 0));
      assert_memory_equal(plain.u + 3, x.u + 3, (N - 3) * sizeof *x.u);
    }
    assert_true(length(x.p, 3) <
                0.1 * length((wl_real[]){(wl_real)0.19, (wl_real)0.5, (wl_real)0.07}, 3));
    close_unit(&plain);
    close_unit(&x);
  }
}

/* The learned damping can make the numbers of a pair overflow in float32. The rule must then not store the pair, and
 * the slice must still move by steps of the length `first_step`. */
static void test_large_damping(void **state) {
  (void)state;
  static unit x;
  open_unit(&x, "name: lbfgs, first_step: 0.02", 1, (int64_t[]){N});
  x.phi[5] = (wl_real)log(1e14); /* the damping */
  wl_rule_pack(x.rule, x.ws, x.phi);
  for (int t = 0; t < 5; t++) {
    set_gradient(&x, 1e25);
    take_step(&x, t);
    const double expected = 0.02 * sqrt(N);
    if (!(fabs(length(x.u, N) - expected) <= 1e-5 * expected))
      fail_msg("step %d: length %g", t, length(x.u, N));
  }
  for (int i = 2 * PAD; i < MOST_STATE; i++) assert_true(x.state[i] == 0);
  close_unit(&x);
}

/* The result must be the same whether s_in and s_out are the same array or different arrays. */
static void test_state_in_place(void **state) {
  (void)state;
  static unit one, two;
  static wl_real next[MOST_STATE];
  open_unit(&one, "name: lbfgs, memory: 3", 2, (int64_t[]){3, 10});
  open_unit(&two, "name: lbfgs, memory: 3", 2, (int64_t[]){3, 10});
  for (int t = 0; t < 8; t++) {
    const double sign = t == 5 ? -1 : 1;
    set_gradient(&one, sign);
    set_gradient(&two, sign);
    take_step(&one, t);
    memset(next, 0x7f, sizeof next);
    compute_update(&two, t, next);
    memcpy(two.state, next, (size_t)wl_rule_state_reals(two.rule, &two.theta) * sizeof *next);
    for (int i = 0; i < N; i++) two.p[i] += two.u[i];
    assert_memory_equal(one.u, two.u, sizeof one.u);
    assert_memory_equal(one.state, two.state,
                        (size_t)wl_rule_state_reals(two.rule, &two.theta) * sizeof *next);
  }
  close_unit(&one);
  close_unit(&two);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_quadratic_functions), cmocka_unit_test(test_concave_function),
      cmocka_unit_test(test_negative_curvature_is_skipped),
      cmocka_unit_test(test_gradients_that_are_not_finite), cmocka_unit_test(test_large_damping),
      cmocka_unit_test(test_state_in_place)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
