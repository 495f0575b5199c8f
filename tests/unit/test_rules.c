/* test_rules.c - tests the hand-designed rules in float32 and in float64. The test compares steps with torch.optim.
 * The test also covers schedules, learned scalars, and the error messages for wrong configurations. The test also
 * covers changes of a call or of the configuration that must not change any bit of the results. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "harness/rule_fixture.h"
#include "reference/optimizers_values.h"
#include "rule/schedule.h"

#ifdef WL_DOUBLE
static const double tolerance = 1e-13;
#else
static const double tolerance = 2e-6;
#endif

static const char *const learners[] = {
    "name: sgd, rate: 0.1, learn: [rate]",
    "name: momentum, rate: 0.1, learn: [rate, momentum]",
    "name: nesterov, rate: 0.1, learn: [rate, momentum]",
    "name: pamela, rate: 0.1, decay: 0.02, skip: 0.3, learn: [rate, decay, skip]",
    "name: rmsprop, rate: 0.1, learn: [rate, decay]",
    "name: adam, rate: 0.1, learn: [rate, beta1, beta2]",
    "name: adamw, rate: 0.1, weight_decay: 0.3, learn: [rate, beta1, beta2, weight_decay]",
    "name: nadam, rate: 0.1, learn: [rate, beta1, beta2]",
    "name: nadamw, rate: 0.1, weight_decay: 0.3, learn: [rate, beta1, beta2, weight_decay]",
    "name: lion, rate: 0.1, weight_decay: 0.3, learn: [rate, beta2, weight_decay]"};
enum { LEARNERS = sizeof learners / sizeof *learners };

/* ---- values ---- */

static void check_case(const struct reference_case *c) {
  char text[256];
  snprintf(text, sizeof text, "name: %s, %s", c->rule, c->options);
  rule_fixture f;
  rule_fixture_open(&f, text, 32, REFERENCE_STEPS);
  wl_real theta[32] = {0}, g[32] = {0}, u[32], state[2 * 32] = {0};
  for (int i = 0; i < REFERENCE_SIZE; i++) theta[i] = (wl_real)reference_start[i];
  for (int t = 0; t < REFERENCE_STEPS; t++) {
    for (int i = 0; i < REFERENCE_SIZE; i++) g[i] = (wl_real)reference_gradient[t][i];
    wl_rule_step(f.rule, f.ws, FIXTURE_STEP(t, f.blocks, g, theta, state, state, u));
    for (int i = 0; i < 32; i++) theta[i] += u[i];
    for (int i = 0; i < REFERENCE_SIZE; i++) {
      const double expected = c->theta[t][i], error = fabs((double)theta[i] - expected);
      if (!(error <= tolerance * (1 + fabs(expected))))
        fail_msg("%s: step %d, coordinate %d: %.17g, PyTorch has %.17g", text, t, i,
                 (double)theta[i], expected);
    }
    for (int i = REFERENCE_SIZE; i < 32; i++) assert_true(theta[i] == 0); /* the padding of the last block is zero */
  }
  rule_fixture_close(&f);
}

static void test_torch_values(void **state) {
  (void)state;
  for (int i = 0; i < REFERENCE_CASES; i++) check_case(&reference_cases[i]);
}

/* If a scalar is learned and has its configured value, a step must have the same bits as with a scalar that is not
 * learned. */
static void test_learned_scalars_start_at_the_configured(void **state) {
  (void)state;
  rule_fixture fixed, learned;
  rule_fixture_open(&fixed, "name: adamw, rate: 0.25, weight_decay: 0.5", 40, 10);
  rule_fixture_open(&learned,
                    "name: adamw, rate: 0.25, weight_decay: 0.5, learn: [rate, weight_decay], "
                    "learn_per: tensor",
                    40, 10);
  wl_real g[48] = {0}, theta[48] = {0}, s[2][2 * 48] = {{0}}, u[2][48];
  fixture_normal(1, 40, 1, g);
  fixture_normal(2, 40, 1, theta);
  wl_rule_step(fixed.rule, fixed.ws, FIXTURE_STEP(0, 3, g, theta, s[0], s[0], u[0]));
  wl_rule_step(learned.rule, learned.ws, FIXTURE_STEP(0, 3, g, theta, s[1], s[1], u[1]));
  assert_memory_equal(u[0], u[1], sizeof u[0]);
  assert_memory_equal(s[0], s[1], sizeof s[0]);
  assert_int_equal(learned.rule->phi.size, 2 * 3);
  rule_fixture_close(&fixed);
  rule_fixture_close(&learned);
}

/* ---- changes that must not change any bit ---- */

/* If phi contains a learning rate for each of T steps and each tensor, every coordinate must use the rate of its step
 * and tensor. Steps after T must use the rate of the last step. */
static void test_rates_by_step_and_tensor(void **state) {
  (void)state;
  rule_fixture f;
  rule_fixture_open(&f, "name: sgd, rate: 0.25, learn: [rate], learn_per: step_tensor", 40, 4);
  wl_real g[48] = {0}, theta[48] = {0}, u[48];
  assert_int_equal(f.rule->phi.size, 4 * 3);
  for (int j = 0; j < 12; j++) f.phi[j] = (wl_real)(j + 1);
  wl_rule_pack(f.rule, f.ws, f.phi);
  fixture_normal(1, 40, 1, g);
  for (int t = 0; t < 6; t++) {
    wl_rule_step(f.rule, f.ws, FIXTURE_STEP(t, 3, g, theta, NULL, NULL, u));
    for (int i = 0; i < 40; i++) {
      const int tensor = i < 20 ? 0 : i < 26 ? 1 : 2, row = t < 4 ? t : 3;
      assert_true(u[i] == -((wl_real)(3 * row + tensor + 1) * g[i]));
    }
  }
  rule_fixture_close(&f);
}

enum { STEPS = 20, N = 48, WIDEST = 2 };

typedef struct trace {
  wl_real g[STEPS * N], theta[(STEPS + 1) * N], loss_grad[STEPS * N],
      state[(STEPS + 1) * WIDEST * N];
  double weight[STEPS];
} trace;

typedef struct result {
  wl_real lam[N], mu[WIDEST * N], gbar[STEPS * N];
  double phi[4 * STEPS * 3]; /* at most 4 scalars, each with a separate value for every step and each of 3 tensors */
} result;

static void run_forward(const rule_fixture *f, trace *r) {
  const int64_t size = f->rule->state_width * N;
  wl_real u[N];
  fixture_normal(1, STEPS * N, 1, r->g);
  fixture_normal(2, N, 1, r->theta);
  fixture_normal(3, STEPS * N, 1, r->loss_grad);
  for (int k = 0; k < STEPS; k++) {
    r->weight[k] = 0.1 * (k % 4);
    wl_rule_step(f->rule, f->ws,
                 FIXTURE_STEP(k, f->blocks, r->g + k * N, r->theta + k * N, r->state + k * size,
                              r->state + (k + 1) * size, u));
    for (int i = 0; i < N; i++) r->theta[(k + 1) * N + i] = r->theta[k * N + i] + u[i];
  }
}

/* Runs the backward pass in chunks of `length` steps. */
static void run_backward(const rule_fixture *f, const trace *r, int length, result *out) {
  memset(out, 0, sizeof *out);
  fixture_normal(4, N, 1, out->lam);
  fixture_normal(5, f->rule->state_width * N, 1, out->mu);
  for (int k = STEPS - length; k >= 0; k -= length) {
    const wl_rule_chunk chunk = {.t0 = k,
                                 .steps = length,
                                 .blocks = f->blocks,
                                 .g = r->g + k * N,
                                 .theta = f->rule->reads_theta ? r->theta + k * N : NULL,
                                 .state = r->state + k * f->rule->state_width * N,
                                 .loss_grad = r->loss_grad + k * N,
                                 .loss_weight = r->weight + k,
                                 .lam = out->lam,
                                 .mu = out->mu,
                                 .gbar = out->gbar + k * N};
    wl_rule_backward(f->rule, f->ws, &chunk, out->phi);
  }
}

static void check_split(const rule_fixture *f, const char *text) {
  static trace r;
  static result whole, parts;
  memset(&r, 0, sizeof r);
  run_forward(f, &r);
  run_backward(f, &r, STEPS, &whole);
  for (int length = 1; length <= 10; length = length == 1 ? 10 : 11) {
    run_backward(f, &r, length, &parts);
    assert_memory_equal(whole.lam, parts.lam, sizeof whole.lam);
    assert_memory_equal(whole.mu, parts.mu, sizeof whole.mu);
    assert_memory_equal(whole.gbar, parts.gbar, sizeof whole.gbar);
    for (int64_t j = 0; j < f->rule->phi.size; j++)
      if (!(fabs(whole.phi[j] - parts.phi[j]) <= 1e-9 * (1e-3 + fabs(whole.phi[j]))))
        fail_msg("%s: phi[%d]: %.17g whole, %.17g in parts", text, (int)j, whole.phi[j],
                 parts.phi[j]);
  }
}

/* One chunk of 20 steps must have the same results as 2 chunks of 10 steps and as 20 chunks of one step. */
static void test_chunks_may_be_split(void **state) {
  (void)state;
  static const char *const per[] = {"run", "tensor", "step", "step_tensor"};
  for (int i = 0; i < 4 * LEARNERS; i++) {
    char text[256];
    snprintf(text, sizeof text, "%s, learn_per: %s, schedule: cosine", learners[i / 4], per[i % 4]);
    rule_fixture f;
    rule_fixture_open(&f, text, N, STEPS);
    check_split(&f, text);
    rule_fixture_close(&f);
  }
}

/* The results of a block must have the same bits whether it is computed alone or together with other blocks. */
static void test_blocks_may_be_split(void **state) {
  (void)state;
  for (int i = 0; i < LEARNERS; i++) {
    rule_fixture f;
    rule_fixture_open(&f, learners[i], N, STEPS);
    const int64_t size = f.rule->state_width * WL_LANES;
    wl_real g[N], theta[N], s[WIDEST * N], out[2][WIDEST * N] = {{0}}, u[2][N];
    fixture_normal(1, N, 1, g);
    fixture_normal(2, N, 1, theta);
    wl_rng_uniform((wl_stream){.seed = 1}, 0, WIDEST * N, 0.1, 1, s);
    wl_rule_step(f.rule, f.ws, FIXTURE_STEP(4, 3, g, theta, s, out[0], u[0]));
    for (int64_t b = 0; b < 3; b++)
      wl_rule_step(f.rule, f.ws,
                   FIXTURE_STEP(4, 1, g + b * WL_LANES, theta + b * WL_LANES, s + b * size,
                                out[1] + b * size, u[1] + b * WL_LANES));
    assert_memory_equal(u[0], u[1], sizeof u[0]);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    rule_fixture_close(&f);
  }
}

/* If all gradients are zero, the adjoints must still be finite. The gradient with respect to phi must be zero. */
static void test_no_gradient_at_all(void **state) {
  (void)state;
  for (int i = 0; i < LEARNERS; i++) {
    rule_fixture f;
    rule_fixture_open(&f, learners[i], N, STEPS);
    static trace r;
    static result out;
    memset(&r, 0, sizeof r);
    run_backward(&f, &r, STEPS, &out);
    for (int j = 0; j < N; j++) assert_true(isfinite(out.lam[j]) && isfinite(out.mu[j]));
    for (int j = 0; j < STEPS * N; j++) assert_true(isfinite(out.gbar[j]));
    for (int64_t j = 0; j < f.rule->phi.size; j++) assert_true(out.phi[j] == 0);
    rule_fixture_close(&f);
  }
}

/* ---- schedules ---- */

static void check_factor(const wl_schedule *s, int64_t t, double expected) {
  const double factor = wl_schedule_rate(s, 1.0, t);
  if (!(fabs(factor - expected) <= 1e-15))
    fail_msg("step %d: %.17g, not %.17g", (int)t, factor, expected);
}

static void test_schedules(void **state) {
  (void)state;
  wl_schedule s = {.kind = WL_SCHEDULE_CONSTANT,
                   .steps = 10,
                   .decay_every = 3,
                   .decay_factor = 0.5,
                   .final_fraction = 0.2};
  check_factor(&s, 7, 1);
  s.kind = WL_SCHEDULE_STEP;
  check_factor(&s, 2, 1);
  check_factor(&s, 3, 0.5);
  check_factor(&s, 11, 0.125);
  s.kind = WL_SCHEDULE_COSINE;
  check_factor(&s, 0, 1);
  check_factor(&s, 5, 0.6);
  check_factor(&s, 10, 0.2);
  check_factor(&s, 100, 0.2);
  s.warmup_steps = 4;
  check_factor(&s, 0, 0.25);
  check_factor(&s, 3, 1);
  check_factor(&s, 4, 1);
  check_factor(&s, 7, 0.6);
  check_factor(&s, 10, 0.2);
  s.kind = WL_SCHEDULE_STEP; /* the schedule `step` of the outer optimizer is combined with a warm-up */
  check_factor(&s, 1, 0.5);
  check_factor(&s, 4, 0.5);
  s.kind = WL_SCHEDULE_LINEAR;
  s.warmup_fraction = 0.1;
  wl_schedule over = wl_schedule_over(&s, 40);
  check_factor(&over, 1, 0.5);
  check_factor(&over, 4, 1);
  check_factor(&over, 22, 0.6);
  check_factor(&over, 41, 0.2);
  over = wl_schedule_over(&s, 0);
  check_factor(&over, 1, 1);
  check_factor(&over, 10, 0.2);
}

/* ---- creation ---- */

static void expect_config_error(const char *text, bool mixture, const char *says) {
  wl_layout theta;
  assert_int_equal(fixture_theta(N, &theta), WL_OK);
  wl_config *config = NULL;
  wl_rule *rule = NULL;
  wl_status status = fixture_config("rule", wl_rule_variants(), text, &config);
  if (status == WL_OK) {
    const wl_rule_setting setting = {.theta = &theta, .episode_steps = 10, .mixture = mixture};
    status = wl_rule_create(wl_config_map(config, "rule", 0), &setting, &rule);
  }
  assert_int_equal(status, WL_ERR_CONFIG);
  assert_null(rule);
  if (strstr(wl_last_error(), says) == NULL)
    fail_msg("'%s' does not say '%s'", wl_last_error(), says);
  wl_config_destroy(&config);
  wl_layout_clear(&theta);
}

static void test_wrong_configurations(void **state) {
  (void)state;
  expect_config_error("name: adam, learn: [momentum]", false, "its learnable scalars are rate, beta1, beta2");
  expect_config_error("name: adam, learn: [epsilon]", false, "epsilon");
  expect_config_error("name: sgd, momentum: 0.9", false, "momentum");
  expect_config_error("name: momentum, momentum: 0, learn: [momentum]", false, "above 0 and below 1");
  expect_config_error("name: adam, beta2: 1", false, "beta2");
  expect_config_error("name: adam, epsilon: 0", false, "epsilon");
  expect_config_error("name: sgd, learn: [rate], learn_per: tensor", true, "single task");
  expect_config_error("name: sgd, schedule: warmup_cosine, warmup_steps: 11", false,
                      "warmup_steps");
}

static void test_fixed_rules(void **state) {
  (void)state;
  static const char *const names[] = {"sgd",  "momentum", "nesterov", "pamela", "rmsprop",
                                      "adam", "adamw",    "nadam",    "nadamw", "lion"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    wl_rule *rule = NULL;
    wl_rule_ws *ws = NULL;
    const wl_layout one_block = {.size = WL_LANES};
    if (wl_rule_create_fixed(names[i], 0.5, &rule) != WL_OK) fail_msg("%s", wl_last_error());
    assert_string_equal(rule->ops->name, names[i]);
    assert_int_equal(rule->phi.size, 0);
    assert_int_equal(wl_rule_ws_create(rule, &one_block, true, 1, &ws), WL_OK);
    /* no scalar of this rule is learned, so the test need not call `pack` */
    wl_real g[WL_LANES] = {1}, theta[WL_LANES] = {0}, s[WIDEST * WL_LANES] = {0}, u[WL_LANES];
    wl_rule_step(rule, ws, FIXTURE_STEP(0, 1, g, theta, s, s, u));
    assert_true(u[0] < 0 && u[1] == 0);
    wl_rule_ws_destroy(&ws);
    wl_rule_destroy(&rule);
    assert_null(rule);
  }
  wl_rule *rule = NULL;
  assert_int_equal(wl_rule_create_fixed("gradient", 0.5, &rule), WL_ERR_CONFIG);
}

/* Makes each allocation of a call fail in turn. The call must then return an error, and it must neither leak memory
 * nor leave an incomplete rule. */
static void test_out_of_memory(void **state) {
  (void)state;
  wl_layout theta;
  wl_config *config = NULL;
  assert_int_equal(fixture_theta(N, &theta), WL_OK);
  assert_int_equal(fixture_config("rule", wl_rule_variants(),
                                  "name: adam, learn: [rate, beta1], learn_per: tensor", &config),
                   WL_OK);
  const wl_rule_setting setting = {.theta = &theta, .episode_steps = 10};
  int failures = 0;
  for (wl_status status = WL_ERR_OS; status != WL_OK; failures++) {
    wl_fault_request(WL_FAULT_ALLOC, failures + 1);
    wl_rule *rule = NULL;
    wl_rule_ws *ws = NULL;
    status = wl_rule_create(wl_config_map(config, "rule", 0), &setting, &rule);
    if (status == WL_OK) status = wl_rule_ws_create(rule, setting.theta, true, 1, &ws);
    assert_true(status == WL_OK || (status == WL_ERR_OS && ws == NULL));
    wl_rule_ws_destroy(&ws);
    wl_rule_destroy(&rule);
    assert_true(failures < 100);
  }
  wl_fault_request(WL_FAULT_ALLOC, 0);
  assert_true(failures > 8);
  wl_config_destroy(&config);
  wl_layout_clear(&theta);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_torch_values),
      cmocka_unit_test(test_learned_scalars_start_at_the_configured),
      cmocka_unit_test(test_rates_by_step_and_tensor),
      cmocka_unit_test(test_chunks_may_be_split),
      cmocka_unit_test(test_blocks_may_be_split),
      cmocka_unit_test(test_no_gradient_at_all),
      cmocka_unit_test(test_schedules),
      cmocka_unit_test(test_wrong_configurations),
      cmocka_unit_test(test_fixed_rules),
      cmocka_unit_test(test_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
