/* test_task_augment.c - tests the values that an episode draws for its augmentations, in float64. The test compares
 * the distributions of these values with the documentation. The test also compares each augmented task with the same
 * task without augmentation. */
#include "task/image_source.h"
#include "task_fixture.h"

enum { EPISODES = 4000 };

/* Binds the workspace of the fixture to the episode with the given index. */
static void bind_to(fixture *f, int64_t index) {
  const wl_episode episode = episode_number(index);
  assert_ok(wl_task_bind(f->task, f->ws, &episode));
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Applies the Kolmogorov-Smirnov test to n values, which should be uniformly distributed in [0, 1]. A correct sample
 * exceeds the bound 2.23 / sqrt(n) only with the probability 1e-4. */
static void expect_uniform(double *u, int n, const char *what) {
  qsort(u, (size_t)n, sizeof *u, ascending);
  double distance = 0.0;
  for (int i = 0; i < n; i++)
    distance = fmax(distance, fmax(fabs(u[i] - i / (double)n), fabs((i + 1) / (double)n - u[i])));
  if (!(distance <= 2.23 / sqrt(n))) fail_msg("%s: distance %g of %d", what, distance, n);
  assert_true(u[0] >= 0.0 && u[n - 1] <= 1.0);
}

static void test_loss_scale(void **state) {
  (void)state;
  static double u[EPISODES];
  fixture f = open_fixture(
      "{family: quadratic, dimension: 2, batch: 2, loss_scale: {log_uniform: [1e-3, 1e3]}}");
  for (int e = 0; e < EPISODES; e++) {
    bind_to(&f, e);
    u[e] = (log10(wl_task_loss_scale(f.ws)) + 3) / 6;
  }
  expect_uniform(u, EPISODES, "log-uniform loss_scale");
  close_fixture(&f);
  f = open_fixture("{family: quadratic, dimension: 2, batch: 2, loss_scale: {uniform: [2, 6]}}");
  for (int e = 0; e < EPISODES; e++) {
    bind_to(&f, e);
    u[e] = (wl_task_loss_scale(f.ws) - 2) / 4;
  }
  expect_uniform(u, EPISODES, "uniform loss_scale");
  close_fixture(&f);
  f = open_fixture(
      "{family: quadratic, dimension: 2, batch: 2, loss_scale: {one_of: [0.5, 3, 7]}}");
  int seen[3] = {0};
  for (int e = 0; e < EPISODES; e++) {
    bind_to(&f, e);
    const double s = wl_task_loss_scale(f.ws);
    seen[s < 1 ? 0 : s < 5 ? 1 : 2] += s == 0.5 || s == 3.0 || s == 7.0;
  }
  for (int k = 0; k < 3; k++) assert_close(seen[k], EPISODES / 3.0, 5 * sqrt(EPISODES * 2 / 9.0));
  close_fixture(&f);
}

/* Contains two tasks in the same episode, `plain` and `varied`. Only `varied` has augmentations. Each task has a
 * separate theta_0. */
typedef struct pair {
  fixture plain, varied;
} pair;

static pair open_pair(const char *plain, const char *varied) {
  return (pair){open_fixture(plain), open_fixture(varied)};
}

static void start_pair(pair *p, int64_t index) {
  fixture *const both[] = {&p->plain, &p->varied};
  for (int k = 0; k < 2; k++) {
    bind_to(both[k], index);
    assert_ok(wl_task_theta0(both[k]->task, both[k]->ws, both[k]->theta));
  }
}

static void close_pair(pair *p) {
  close_fixture(&p->plain);
  close_fixture(&p->varied);
}

#define NET "family: mlp, widths: [6, 5], batch: 8, initialisation: he, normalisation: layer"

/* The two tasks must be the same network with different parameters. At theta_0, the loss of `varied` must be
 * loss_scale times the loss of `plain`. Each element of the gradient of `varied` must be the element of `plain`
 * multiplied by loss_scale and by a factor c. The factors c must be log-uniformly distributed. The kind of
 * reparametrisation determines how many different factors an episode has. */
static void test_reparametrisation(void **state) {
  (void)state;
  static const char *const kinds[] = {"global", "tensor", "parameter"};
  for (int kind = 0; kind < 3; kind++) {
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "{" NET ", reparametrise: %s, reparametrise_range: [0.01, 10], loss_scale: 3}",
             kinds[kind]);
    pair p = open_pair("{" NET "}", yaml);
    static double u[EPISODES];
    int found = 0;
    const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 2};
    for (int e = 0; found < EPISODES / 2 && e < EPISODES; e++) {
      start_pair(&p, e);
      const double plain = wl_task_loss(p.plain.task, p.plain.ws,
                                        &(wl_task_point){&batch, p.plain.theta, NULL}, p.plain.grad,
                                        NULL),
                   varied = wl_task_loss(p.varied.task, p.varied.ws,
                                         &(wl_task_point){&batch, p.varied.theta, NULL},
                                         p.varied.grad, NULL);
      assert_close(varied, 3 * plain, 1e-13 * (1 + 3 * plain));
      const wl_layout *layout = wl_task_theta(p.plain.task);
      double last = 0.0;
      for (int64_t i = 0, b = 0; i < p.plain.n; i++) {
        while (i >= layout->tensors[b].offset + layout->tensors[b].size) b++;
        if (p.plain.theta[i] == 0.0) continue; /* biases and shifts are initially 0, so they have no factor */
        const double c = p.plain.theta[i] / p.varied.theta[i];
        const bool first = i == layout->tensors[b].offset;
        assert_close(p.varied.grad[i], 3 * c * p.plain.grad[i],
                     1e-12 * (1 + fabs(p.varied.grad[i])));
        if (last > 0.0 && (kind == 0 || (kind == 1 && !first))) assert_close(c, last, 1e-13 * c);
        if (kind == 2 ? i < 100 : kind == 1 ? first : last == 0.0)
          if (found < EPISODES) u[found++] = (log10(c) + 2) / 3;
        last = c;
      }
    }
    for (int i = 0; i < found; i++)
      u[i] = fmin(fmax(u[i], 0.0), 1.0); /* because of rounding, a value may be slightly outside of [0, 1] */
    expect_uniform(u, found, kinds[kind]);
    close_pair(&p);
  }
}

/* In a quarter of the episodes, each tensor must be multiplied by a separate factor. */
static void test_scale_jitter(void **state) {
  (void)state;
  pair p = open_pair("{family: mlp, widths: [3], batch: 4}",
                     "{family: mlp, widths: [3], batch: 4, scale_jitter: 0.25}");
  static double u[4 * EPISODES];
  int jittered = 0, found = 0;
  const wl_layout *layout = wl_task_theta(p.plain.task);
  for (int e = 0; e < EPISODES; e++) {
    start_pair(&p, e);
    const bool moved = p.plain.theta[0] != p.varied.theta[0];
    jittered += moved;
    for (int b = 0; b < layout->count; b++) {
      const int64_t at = layout->tensors[b].offset, last = at + layout->tensors[b].size - 1;
      const double factor = p.varied.theta[at] / p.plain.theta[at];
      assert_close(p.varied.theta[last], factor * p.plain.theta[last], 1e-14);
      assert_true(moved ? factor >= 0.03 * (1 - 1e-14) && factor <= 2 * (1 + 1e-14)
                        : factor == 1.0);
      if (moved) u[found++] = fmin(fmax((log(factor) - log(0.03)) / log(2 / 0.03), 0.0), 1.0);
    }
  }
  assert_close(jittered, 0.25 * EPISODES, 5 * sqrt(EPISODES * 3 / 16.0));
  expect_uniform(u, found, "scale_jitter");
  close_pair(&p);
}

/* The difference between the gradients with and without noise must be distributed as N(0, sd^2). This difference must
 * change from step to step. If a step is computed again, the difference must be the same. The inner loss must contain
 * the linear function whose gradient is this noise. Outer losses and the losses of evaluations must not contain the
 * noise. */
static void test_gradient_noise(void **state) {
  (void)state;
  pair p = open_pair("{family: mlp, widths: [4], batch: 4}",
                     "{family: mlp, widths: [4], batch: 4, gradient_noise: 0.5}");
  const int64_t n = p.plain.n;
  double sum = 0.0, square = 0.0, before = 0.0;
  enum { STEPS = 40 };
  start_pair(&p, 1);
  for (int t = 0; t < STEPS; t++) {
    const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, t};
    const double plain = wl_task_loss(p.plain.task, p.plain.ws,
                                      &(wl_task_point){&batch, p.plain.theta, NULL}, p.plain.grad,
                                      NULL),
                 varied = wl_task_loss(p.varied.task, p.varied.ws,
                                       &(wl_task_point){&batch, p.varied.theta, NULL},
                                       p.varied.grad, NULL);
    double linear = 0.0;
    for (int64_t i = 0; i < n; i++) {
      const double xi = p.varied.grad[i] - p.plain.grad[i];
      linear += xi * p.plain.theta[i];
      sum += xi;
      square += xi * xi;
    }
    assert_close(varied - plain, linear, 1e-12);
    assert_true(p.varied.grad[0] - p.plain.grad[0] != before);
    before = p.varied.grad[0] - p.plain.grad[0];
  }
  assert_close(sum / (STEPS * (double)n), 0.0, 5 * 0.5 / sqrt(STEPS * (double)n));
  assert_close(square / (STEPS * (double)n), 0.25, 5 * 0.25 * sqrt(2 / (STEPS * (double)n)));
  const wl_batch others[] = {{WL_FOR_OUTER_BATCH, WL_SPLIT_HELDOUT, 3},
                             {WL_FOR_EVAL_BATCH, WL_SPLIT_TRAIN, 0}};
  for (int k = 0; k < 2; k++)
    assert_true(wl_task_loss(p.plain.task, p.plain.ws,
                             &(wl_task_point){&others[k], p.plain.theta, NULL}, NULL, NULL) ==
                wl_task_loss(p.varied.task, p.varied.ws,
                             &(wl_task_point){&others[k], p.varied.theta, NULL}, NULL, NULL));
  close_pair(&p);
}

/* In this test, an episode must use either a tenth of the training data or all data. */
static void test_data_fraction(void **state) {
  (void)state;
  write_tiny("drawn", false);
  fixture f = open_fixture(
      "{family: mlp, data: drawn, widths: [], batch: 40, data_fraction: {one_of: [0.1, 1]}}");
  fixture tenth =
      open_fixture("{family: mlp, data: drawn, widths: [], batch: 40, data_fraction: 0.1}");
  fixture all = open_fixture("{family: mlp, data: drawn, widths: [], batch: 40}");
  int few = 0;
  enum { TRIES = 400 };
  const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 1};
  for (int e = 0; e < TRIES; e++) {
    fixture *const each[] = {&f, &tenth, &all};
    double loss[3];
    for (int k = 0; k < 3; k++) {
      bind_to(each[k], e);
      loss[k] = wl_task_loss(each[k]->task, each[k]->ws, &(wl_task_point){&batch, f.theta, NULL},
                             NULL, NULL);
    }
    assert_true(loss[0] == loss[1] || loss[0] == loss[2]);
    few += loss[0] == loss[1];
  }
  assert_close(few, TRIES / 2.0, 5 * sqrt(TRIES / 4.0));
  close_fixture(&f);
  close_fixture(&tenth);
  close_fixture(&all);
}

/* Each combination of choices must count as a separate task, and the combinations must share the proportion of the
 * entry. */
static void test_combinations(void **state) {
  (void)state;
  wl_task *task = NULL;
  assert_ok(task_from(
      "{family: mlp, proportion: 6, widths: {one_of: [[3], [4, 4], []]}, activation: {one_of: [relu, gelu]}}",
      &task));
  assert_close(task->proportion, 1.0, 1e-15);
  assert_int_equal(task->n, 196 * 3 + 3 + 30 + 10);
  wl_task_destroy(&task);
  assert_int_equal(task_from("{family: quadratic, scale_jitter_range: [2, 1]}", &task),
                   WL_ERR_CONFIG);
  assert_non_null(strstr(wl_last_error(), "scale_jitter_range"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_loss_scale),    cmocka_unit_test(test_reparametrisation),
      cmocka_unit_test(test_scale_jitter),  cmocka_unit_test(test_gradient_noise),
      cmocka_unit_test(test_data_fraction), cmocka_unit_test(test_combinations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
