/* test_tensor_rules.c - rules that see tensors: values of an independent script, threads, symmetries, scale.
 * Built in both precisions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/rule_fixture.h"
#include "reference/tensor_rules_values.h"

#ifdef WL_DOUBLE
static const double tolerance = 1e-9;
#else
static const double tolerance = 2e-3; /* Newton-Schulz enlarges rounding errors */
#endif

enum { SHAPES = 5, MOST_PHI = 4000, MOST_STATE = 32 * TENSOR_N };
static const struct {
  int ndim;
  int64_t shape[WL_MAX_DIMS];
} shapes[SHAPES] = {{1, {7}}, {2, {12, 5}}, {2, {3, 20}}, {4, {3, 2, 2, 2}}, {1, {1}}};

typedef struct runner {
  wl_layout theta;
  wl_rule *rule;
  wl_rule_ws *ws;
  wl_real phi[MOST_PHI];
  wl_real g[TENSOR_N + WL_LANES], p[TENSOR_N + WL_LANES], u[TENSOR_N + WL_LANES];
  wl_real state[MOST_STATE];
} runner;

static void open_rule(runner *r, const char *options, int threads) {
  wl_config *config = NULL;
  if (fixture_config("rule", wl_rule_variants(), options, &config) != WL_OK)
    fail_msg("%s", wl_last_error());
  const wl_rule_setting setting = {.theta = &r->theta, .episode_steps = TENSOR_T};
  if (wl_rule_create(wl_config_map(config, "rule", 0), &setting, &r->rule) != WL_OK)
    fail_msg("%s", wl_last_error());
  wl_config_destroy(&config);
  assert_true(r->rule->phi.size <= MOST_PHI);
  assert_true(wl_rule_state_reals(r->rule, &r->theta) <= MOST_STATE);
  assert_int_equal(wl_rule_ws_create(r->rule, &r->theta, threads, &r->ws), WL_OK);
  if (r->rule->phi.size == 0) return;
  r->rule->ops->init(r->rule, 1, r->phi);
}

/* The script's meta-parameters: those that are not drawn, plus a wiggle. */
static void wiggle_phi(runner *r) {
  const wl_block *const base = wl_layout_find(&r->rule->phi, "base");
  const int64_t kept = base ? base->size : 0;
  for (int64_t i = 0; i < r->rule->phi.size; i++)
    r->phi[i] = (i < kept ? r->phi[i] : 0) + (wl_real)(0.2 * sin(0.6 * (double)i + 0.1));
}

static void open_runner(runner *r, const char *options, int threads) {
  memset(r, 0, sizeof *r);
  char name[] = "tensor0";
  for (int j = 0; j < SHAPES; j++, name[6]++)
    assert_int_equal(wl_layout_add(&r->theta, "", name, shapes[j].ndim, shapes[j].shape, NULL),
                     WL_OK);
  assert_int_equal(r->theta.size, TENSOR_N);
  open_rule(r, options, threads);
  for (int i = 0; i < TENSOR_N; i++) r->p[i] = (wl_real)(0.3 * sin(1.1 * i + 0.2));
}

static void close_runner(runner *r) {
  wl_rule_ws_destroy(&r->ws);
  wl_rule_destroy(&r->rule);
  wl_layout_clear(&r->theta);
}

static void set_gradient(runner *r, int t, double scale) {
  for (int j = 0; j < SHAPES; j++)
    for (int64_t k = 0; k < r->theta.blocks[j].size; k++) {
      const double i = (double)(r->theta.blocks[j].offset + k);
      r->g[r->theta.blocks[j].offset + k] =
          (wl_real)(scale * 0.01 * (j + 1) * sin(0.9 * i + 1.7 * t + 0.01 * i * i));
    }
}

static void take_step(runner *r, int t) {
  const wl_inner_step step = {t,    TENSOR_T, 2.0 / (1.0 + t), wl_blocks(TENSOR_N),
                              r->g, r->p,     r->state,        r->state,
                              r->u, NULL};
  wl_rule_step(r->rule, r->ws, &step);
  for (int i = 0; i < TENSOR_N; i++) r->p[i] += r->u[i];
}

static double rms_of(const double *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sqrt(sum / (double)n);
}

/* Errors are compared with the root mean square of their tensor. */
static void compare(const runner *r, const char *options, int t, const double *expected) {
  for (int j = 0; j < SHAPES; j++) {
    const wl_block *const b = &r->theta.blocks[j];
    const double size = rms_of(expected + b->offset, b->size);
    for (int64_t i = b->offset; i < b->offset + b->size; i++) {
      const double error = fabs((double)r->u[i] - expected[i]);
      if (!(error <= tolerance * size))
        fail_msg("%s: step %d, tensor %d, coordinate %d: %.17g, the script has %.17g", options, t,
                 j, (int)i, (double)r->u[i], expected[i]);
    }
  }
  for (int i = TENSOR_N; i < wl_pad(TENSOR_N); i++) assert_true(r->u[i] == 0);
}

static void test_values(void **state) {
  (void)state;
  static runner r;
  for (int c = 0; c < TENSOR_CASES; c++) {
    open_runner(&r, tensor_cases[c].options, 1);
    wiggle_phi(&r);
    wl_rule_pack(r.rule, r.ws, r.phi);
    for (int t = 0; t < TENSOR_STEPS; t++) {
      set_gradient(&r, t, 1);
      take_step(&r, t);
      compare(&r, tensor_cases[c].options, t, tensor_cases[c].u[t]);
    }
    close_runner(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_values)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
