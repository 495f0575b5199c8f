/* test_draws.c - tests the random draws of the trainer: horizons of episodes, task families of a mixture, and initial
 * meta-parameters. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "harness/distribution.h"
#include "train/plan.h"
#include "train/schema.h"
#include "unit/cmocka_all.h"
#include "unroll/model.h"

/* ---- Horizons in [low, high] are log-uniform, and both ends can occur --------------------------- */

static int64_t horizon_of(const int64_t *steps, int count, int64_t episode) {
  return wl_plan_horizon(&(wl_plan_setting){.seed = 5, .horizon = steps, .n_horizon = count},
                         episode, 0);
}

/* The probability of the horizon k must be log((k + 1) / k) / log((high + 1) / low). */
static void check_horizon(int64_t low, int64_t high) {
  enum { DRAWS = 20000 };
  const int64_t steps[2] = {low, high};
  int64_t counts[64] = {0}, in_range = 0;
  double p[64];
  char what[64];
  for (int64_t e = 0; e < DRAWS; e++) {
    const int64_t drawn = horizon_of(steps, 2, e);
    if (drawn >= low && drawn <= high) counts[drawn - low]++, in_range++;
  }
  assert_int_equal(in_range, DRAWS);
  for (int64_t k = low; k <= high; k++)
    p[k - low] = log((double)(k + 1) / (double)k) / log((double)(high + 1) / (double)low);
  snprintf(what, sizeof what, "horizons [%lld, %lld]", (long long)low, (long long)high);
  assert_counts(what, counts, high - low + 1, p, DRAWS);
}

static void horizons(void **state) {
  (void)state;
  check_horizon(1, 2);
  check_horizon(4, 7);
  check_horizon(10, 40);
  check_horizon(1, 30);
  check_horizon(9, 9);
  for (int64_t e = 0; e < 50; e++) assert_int_equal(horizon_of((int64_t[]){6}, 1, e), 6);
}

/* Tests that long horizons are log-uniform. Some horizons must be close to the shortest and to the longest horizon. */
static void long_horizons(void **state) {
  (void)state;
  enum { DRAWS = 20000 };
  static double x[DRAWS], logs[DRAWS];
  const int64_t steps[2] = {100, 20000};
  for (int64_t e = 0; e < DRAWS; e++) {
    x[e] = (double)horizon_of(steps, 2, e);
    logs[e] = log(x[e]);
  }
  assert_uncorrelated("horizons of two episodes", logs, logs + 1, DRAWS - 1);
  assert_reaches_ends("long horizons", logs, DRAWS, log(100.0), log(20000.0), 1);
  for (int64_t e = 0; e < DRAWS; e++) x[e] += 0.5; /* a drawn horizon T represents the interval [T, T + 1) */
  assert_distributed("long horizons", x, DRAWS, cdf_log_uniform, 100, 20001);
}

/* Each staggered unit must have a separate horizon T and begin at a separate first step, which is uniform in [0,
 * T). */
static void staggered_starts(void **state) {
  (void)state;
  enum { UNITS = 20000, T = 8 };
  static double horizons[UNITS];
  int64_t counts[T] = {0};
  double p[T];
  const wl_plan_setting fixed = {.seed = 5,
                                 .units = UNITS,
                                 .ranks = 3,
                                 .tasks = 1,
                                 .proportion = (const double[]){1},
                                 .cost = (const double[]){1},
                                 .horizon = (const int64_t[]){T},
                                 .n_horizon = 1,
                                 .stagger = true};
  wl_plan *plan = NULL;
  assert_int_equal(wl_plan_create(&fixed, &plan), WL_OK);
  wl_plan_begin(plan);
  for (int k = 0; k < T; k++) p[k] = 1.0 / T;
  for (int64_t u = 0; u < UNITS; u++) {
    assert_in_range(plan->clock[u].t, 0, T - 1);
    counts[plan->clock[u].t]++;
  }
  assert_counts("first steps", counts, T, p, UNITS);
  /* in the meta-step after its first episode has ended, a unit must begin its second episode at step 0 */
  wl_plan_advance(plan, T);
  wl_plan_begin(plan);
  for (int64_t u = 0; u < UNITS; u++) {
    assert_int_equal(plan->clock[u].episode, 1);
    assert_int_equal(plan->clock[u].t, 0);
  }
  wl_plan_destroy(&plan);

  wl_plan_setting drawn = fixed;
  drawn.horizon = (const int64_t[]){10, 1000};
  drawn.n_horizon = 2;
  for (int64_t u = 0; u < UNITS; u++) horizons[u] = log((double)wl_plan_horizon(&drawn, 3, u));
  assert_uncorrelated("horizons of two units", horizons, horizons + 1, UNITS - 1);
}

/* ---- Families of a mixture ------------------------------------------------------------------- */

static void families(void **state) {
  (void)state;
  enum { UNITS = 8, EPISODES = 2500, DRAWS = UNITS * EPISODES };
  static double drawn[DRAWS];
  const double proportion[3] = {1, 2.5, 0.5}, cost[3] = {1, 1, 1};
  const double p[3] = {0.25, 0.625, 0.125};
  int64_t counts[3] = {0};
  const wl_plan_setting setting = {.seed = 5,
                                   .units = UNITS,
                                   .ranks = 2,
                                   .tasks = 3,
                                   .proportion = proportion,
                                   .cost = cost,
                                   .horizon = (const int64_t[]){6},
                                   .n_horizon = 1};
  wl_plan *plan = NULL;
  assert_int_equal(wl_plan_create(&setting, &plan), WL_OK);
  for (int64_t e = 0; e < EPISODES; e++, wl_plan_advance(plan, 0)) {
    wl_plan_begin(plan);
    for (int64_t u = 0; u < UNITS; u++) {
      assert_int_equal(plan->clock[u].episode, e);
      counts[plan->clock[u].task_index]++;
      drawn[e * UNITS + u] = (double)plan->clock[u].task_index;
    }
  }
  assert_counts("families of a mixture", counts, 3, p, DRAWS);
  assert_uncorrelated("families of two units", drawn, drawn + 1, DRAWS - 1);
  assert_uncorrelated("families of two episodes", drawn, drawn + UNITS, DRAWS - UNITS);
  wl_plan_destroy(&plan);
}

/* ---- Initial meta-parameters ----------------------------------------------------------------- */

typedef struct built {
  wl_config *config;
  wl_task *task;
  wl_model *model;
  double *phi;
} built;

static built build(const char *yaml, uint64_t seed) {
  built b = {0};
  const wl_task *tasks[1];
  assert_int_equal(wl_config_parse(yaml, "test", wl_schema(), NULL, 0, &b.config), WL_OK);
  assert_int_equal(wl_task_create(wl_config_map(b.config, "task", 0), 1, &b.task), WL_OK);
  tasks[0] = b.task;
  assert_int_equal(wl_model_create(b.config, tasks, 1, &b.model), WL_OK);
  assert_int_equal(WL_NEW(b.phi, b.model->phi.size), WL_OK);
  assert_int_equal(wl_model_init(b.model, b.task, seed, b.phi), WL_OK);
  return b;
}

static void clear(built *b) {
  wl_free(b->phi);
  wl_model_destroy(&b->model);
  wl_task_destroy(&b->task);
  wl_config_destroy(&b->config);
}

/* Collects the elements of the tensor `name` of the initial meta-parameters for several seeds, and tests their
 * distribution. If `identity` is true, the function first subtracts 1 from the diagonal. */
static void check_initial(const char *yaml, const char *name, int seeds, bool identity,
                          distribution_cdf cdf, double a, double b) {
  char what[320];
  double *x = NULL;
  int64_t size = 0;
  for (int s = 0; s < seeds; s++) {
    built m = build(yaml, (uint64_t)(100 + s));
    const wl_tensor_entry *block = wl_layout_find(&m.model->phi, name);
    assert_non_null(block);
    size = block->size;
    if (x == NULL) assert_int_equal(WL_NEW(x, size * seeds), WL_OK);
    for (int64_t i = 0; i < size; i++) {
      const bool on_diagonal = identity && i % (block->shape[1] + 1) == 0;
      x[s * size + i] = m.phi[block->offset + i] - (on_diagonal ? 1 : 0);
    }
    clear(&m);
  }
  snprintf(what, sizeof what, "initial %s of %s", name, yaml);
  const int64_t n = size * seeds;
  if (cdf == NULL) {
    for (int64_t i = 0; i < n; i++) assert_true(x[i] == a);
  } else {
    assert_uncorrelated(what, x, x + 1, n - 1);
    if (cdf == cdf_uniform) assert_reaches_ends(what, x, n, a, b, 1);
    if (cdf == cdf_truncated)
      assert_reaches_ends(what, x, n, -2.0001 * b, 2.0001 * b, TRUNCATED_DENSITY);
    assert_distributed(what, x, n, cdf, a, b);
  }
  wl_free(x);
}

static void initial_lstm(void **state) {
  (void)state;
  static const char yaml[] =
      "task: {family: quadratic, dimension: 2, batch: 1}\n"
      "rule: {name: lstm, hidden: [20, 20], preprocessing: none, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}\n";
  check_initial(yaml, "lstm1.weight", 4, false, cdf_truncated, 0, 1 / sqrt(21.0));
  check_initial(yaml, "lstm2.weight", 2, false, cdf_truncated, 0, 1 / sqrt(40.0));
  check_initial(yaml, "lstm2.bias", 30, false, cdf_truncated, 0, 1 / sqrt(40.0));
  check_initial(yaml, "output.weight", 100, false, cdf_truncated, 0, 1 / sqrt(20.0));
  check_initial(yaml, "output.bias", 3, false, NULL, 0, 0);
}

#define MLP "task: {family: mlp, data: synthetic, widths: [24], batch: 2"
#define SGD "}\nrule: {name: sgd, rate: 0.1}\n"

static void initial_preconditioners(void **state) {
  (void)state;
  check_initial(MLP SGD "precondition: {name: diagonal, initial_range: [0.005, 0.1]}\n",
                "precondition.dense1.weight", 1, false, cdf_uniform, 0.005, 0.1);
  check_initial(MLP SGD "precondition: {name: kronecker, noise: 0.02}\n",
                "precondition.dense1.weight.axis1", 8, true, cdf_normal, 0, 0.02);
  check_initial("task: {family: sinusoid" SGD "precondition: {name: gap, noise: 0.2}\n",
                "precondition.dense2.weight", 50, false, cdf_normal, 0, 0.2);
  check_initial("task: {family: sinusoid" SGD "precondition: {name: gap}\n",
                "precondition.dense2.weight", 1, false, NULL, 0, 0);
}

static void initial_warps(void **state) {
  (void)state;
  check_initial(MLP ", warp: linear, warp_noise: 0.05" SGD, "warp.dense1.linear.weight", 8, true,
                cdf_normal, 0, 0.05);
  check_initial(MLP ", warp: residual, warp_width: 16" SGD, "warp.dense1.residual.weight1", 10,
                false, cdf_normal, 0, 1 / sqrt(24.0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(horizons),         cmocka_unit_test(long_horizons),
      cmocka_unit_test(staggered_starts), cmocka_unit_test(families),
      cmocka_unit_test(initial_lstm),     cmocka_unit_test(initial_preconditioners),
      cmocka_unit_test(initial_warps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
