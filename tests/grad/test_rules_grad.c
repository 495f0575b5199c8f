/* test_rules_grad.c - tests the backward pass of every hand-designed rule. The backward pass must compute the adjoint
 * of the forward pass over several steps. The test compares derivatives of F with central differences, with respect
 * to gradients, theta, state and learned scalars:
 *
 *   F = sum_{k=0..K} w_k L_k(theta_k) + <r, s_K>,   L_k(theta) = sum_i sin(c_i theta_i + k)
 *
 * The gradients g of the steps are fixed inputs, which do not depend on theta. The forward pass starts at a step t0 >
 * 0, and its initial state is not zero. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "grad/directional.h"
#include "harness/rule_fixture.h"

enum { N = 48, K = 7, T0 = 3, MOST_WIDTH = 8 };

/* x = [g: K N][theta_0: N][s_0: width N][phi] */
typedef struct rollout {
  rule_fixture f;
  int64_t width, theta_at, state_at, phi_at, size;
  double weight[K + 1];
  wl_real r[MOST_WIDTH * N]; /* coefficients r of the final state s_K in F */
} rollout;

static double scale_of(int64_t i) { return 1 + 0.1 * (double)(i % 7); }

static double loss(const wl_real *theta, int64_t k) {
  double sum = 0;
  for (int64_t i = 0; i < N; i++) sum += sin(scale_of(i) * theta[i] + (double)k);
  return sum;
}

static void loss_gradient(const wl_real *theta, int64_t k, wl_real *out) {
  for (int64_t i = 0; i < N; i++) out[i] = scale_of(i) * cos(scale_of(i) * theta[i] + (double)k);
}

/* Runs forward. Runs the forward pass over K steps. The caller provides theta_trace [K+1][N] and `state`. The
 * function writes s_K to `state`. */
static void forward(const rollout *r, const wl_real *x, wl_real *theta_trace, wl_real *state) {
  wl_real u[N];
  wl_rule_pack(r->f.rule, r->f.ws, x + r->phi_at);
  memcpy(theta_trace, x + r->theta_at, N * sizeof *x);
  memcpy(state, x + r->state_at, (size_t)(r->width * N) * sizeof *x);
  for (int64_t k = 0; k < K; k++) {
    const wl_real *theta = theta_trace + k * N;
    wl_rule_step(r->f.rule, r->f.ws,
                 FIXTURE_STEP(T0 + k, r->f.blocks, x + k * N, theta, state, state, u));
    for (int64_t i = 0; i < N; i++) theta_trace[(k + 1) * N + i] = theta[i] + u[i];
  }
}

static double objective(void *context, const double *x) {
  const rollout *r = context;
  wl_real theta[(K + 1) * N], state[MOST_WIDTH * N];
  forward(r, x, theta, state);
  double sum = 0;
  for (int64_t k = 0; k <= K; k++) sum += r->weight[k] * loss(theta + k * N, k);
  for (int64_t i = 0; i < r->width * N; i++) sum += r->r[i] * state[i];
  return sum;
}

/* Computes the gradient of F with `size` elements, in the order of the elements of x. */
static void adjoint(rollout *r, const wl_real *x, double *gradient) {
  wl_real theta[(K + 1) * N], state[MOST_WIDTH * N], loss_grad[(K + 1) * N];
  forward(r, x, theta, state);
  for (int64_t k = 0; k <= K; k++) loss_gradient(theta + k * N, k, loss_grad + k * N);
  memset(gradient, 0, (size_t)r->size * sizeof *gradient);
  wl_real *lam = gradient + r->theta_at, *mu = gradient + r->state_at;
  for (int64_t i = 0; i < N; i++) lam[i] = r->weight[K] * loss_grad[K * N + i];
  memcpy(mu, r->r, (size_t)(r->width * N) * sizeof *mu);
  const wl_rule_chunk chunk = {.t0 = T0,
                               .steps = K,
                               .blocks = r->f.blocks,
                               .g = x,
                               .theta = theta,
                               .state = x + r->state_at,
                               .loss_grad = loss_grad,
                               .loss_weight = r->weight,
                               .lam = lam,
                               .mu = mu,
                               .gbar = gradient};
  wl_rule_backward(r->f.rule, r->f.ws, &chunk, gradient + r->phi_at);
}

static void rollout_open(rollout *r, wl_real *x, const char *text, int64_t episode_steps) {
  *r = (rollout){.weight = {0.3, -0.7, 1.1, 0, 0.9, 0.4, -0.2, 1.3}};
  rule_fixture_open(&r->f, text, N, episode_steps);
  r->width = r->f.rule->state_width;
  r->theta_at = K * N;
  r->state_at = r->theta_at + N;
  r->phi_at = r->state_at + r->width * N;
  r->size = r->phi_at + r->f.rule->phi.size;
  fixture_normal(1, r->state_at, 1, x);
  /* second moments must be positive, but other states may be negative */
  wl_rng_uniform((wl_stream){.seed = 3}, 0, r->width * N, 0.4, 1.2, x + r->state_at);
  fixture_normal(2, r->f.rule->phi.size, 0.03, x + r->phi_at);
  for (int64_t i = 0; i < r->f.rule->phi.size; i++) x[r->phi_at + i] += r->f.phi[i];
  fixture_normal(3, r->width * N, 1, r->r);
}

/* Returns a step h of the differences. The step is large enough to show how the error decreases with h. RNNprop
 * requires a smaller step, because the slope of its ELU has a kink. */
static double step_for(const char *text) {
  if (strstr(text, "rnnprop")) return 1e-3;
  return strstr(text, "nadam") ? 2e-3 : 4e-3;
}

static void check_rule(const char *text, int64_t episode_steps) {
  static rollout r;
  static wl_real x[(K + 1 + MOST_WIDTH) * N + 1000], gradient[(K + 1 + MOST_WIDTH) * N + 1000];
  rollout_open(&r, x, text, episode_steps);
  adjoint(&r, x, gradient);
  const struct {
    const char *what;
    int64_t first, count;
  } parts[] = {{"g", 0, r.theta_at},
               {"theta", r.theta_at, N},
               {"state", r.state_at, r.width * N},
               {"all", 0, r.size}};
  for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
    if (parts[p].count == 0) continue;
    /* with Lion, F is piecewise linear in the gradients and the state, so the test covers only theta */
    if (strstr(text, "lion") && p != 1) continue;
    char name[256];
    snprintf(name, sizeof name, "%s: %s", text, parts[p].what);
    directional_check(&(directional){.name = name,
                                     .f = objective,
                                     .context = &r,
                                     .x = x,
                                     .gradient = gradient,
                                     .first = parts[p].first,
                                     .count = parts[p].count,
                                     .h = step_for(text),
                                     .tolerance = 1e-9});
  }
  for (int j = 0; j < r.f.rule->phi.count; j++) {
    const wl_tensor_entry *b = &r.f.rule->phi.tensors[j];
    char name[256];
    snprintf(name, sizeof name, "%s: %s", text, b->name);
    directional_check(&(directional){.name = name,
                                     .f = objective,
                                     .context = &r,
                                     .x = x,
                                     .gradient = gradient,
                                     .first = r.phi_at + b->offset,
                                     .count = b->size,
                                     .h = step_for(text),
                                     .tolerance = 1e-9});
  }
  rule_fixture_close(&r.f);
}

static const char *const rules[] = {
    "name: sgd, rate: 0.1, learn: [rate]",
    "name: momentum, rate: 0.1, momentum: 0.8, learn: [rate, momentum]",
    "name: nesterov, rate: 0.1, momentum: 0.8, learn: [momentum, rate]",
    "name: pamela, rate: 0.1, decay: 0.05, skip: 0.3, learn: [rate, decay, skip]",
    "name: rmsprop, rate: 0.1, decay: 0.85, learn: [rate, decay]",
    "name: adam, rate: 0.1, beta1: 0.8, beta2: 0.95, learn: [rate, beta1, beta2]",
    "name: adamw, rate: 0.1, beta1: 0.8, beta2: 0.95, weight_decay: 0.3, "
    "learn: [rate, beta1, beta2, weight_decay]",
    "name: nadam, rate: 0.1, beta1: 0.8, beta2: 0.95, learn: [rate, beta1, beta2]",
    "name: nadamw, rate: 0.1, beta1: 0.8, beta2: 0.95, weight_decay: 0.3, "
    "learn: [rate, beta1, beta2, weight_decay]",
    "name: lion, rate: 0.1, beta2: 0.9, weight_decay: 0.3, learn: [rate, beta2, weight_decay]"};

static void check_all(const char *more, int64_t episode_steps) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    char text[256];
    snprintf(text, sizeof text, "%s, %s", rules[i], more);
    check_rule(text, episode_steps);
  }
}

static void test_per_run(void **state) {
  (void)state;
  check_all("learn_per: run", 20);
}

static void test_per_tensor(void **state) {
  (void)state;
  check_all("learn_per: tensor, schedule: cosine, final_fraction: 0.1", 20);
}

/* The test runs K = 7 steps from t0 = 3, so the episode has 10 steps. Each of the learned scalars has a separate
 * value for every step. */
static void test_per_step(void **state) {
  (void)state;
  check_all("learn_per: step", T0 + K);
}

static void test_per_step_and_tensor(void **state) {
  (void)state;
  check_all("learn_per: step_tensor, schedule: cosine, final_fraction: 0.1", T0 + K);
}

/* If the episode is longer than the list of learned values, each later step uses the last value. */
static void test_beyond_the_episode(void **state) {
  (void)state;
  check_all("learn_per: step_tensor", T0 + 3);
  check_all("learn_per: step, schedule: step, decay_every: 2, decay_factor: 0.8", T0 + 3);
}

static void test_nothing_learned(void **state) {
  (void)state;
  check_rule("name: adamw, rate: 0.1, beta2: 0.95, weight_decay: 0.3", 20);
  check_rule("name: nesterov, rate: 0.1, schedule: warmup_cosine, warmup_steps: 5", 20);
  check_rule("name: rnnprop, hidden: [2, 1]", 20);
  check_rule("name: rnnprop, hidden: [2, 1], rate: 0.1", 20);
  check_rule("name: lstm, preprocessing: adam, hidden: [2, 1], rate: 0.1", 20);
  check_rule("name: lstm, preprocessing: adam, hidden: [3], rate: 0", 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_per_run),
      cmocka_unit_test(test_per_tensor),
      cmocka_unit_test(test_per_step),
      cmocka_unit_test(test_per_step_and_tensor),
      cmocka_unit_test(test_beyond_the_episode),
      cmocka_unit_test(test_nothing_learned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
