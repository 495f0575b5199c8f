/* test_estimators.c - tests estimators of the meta-gradient on a quadratic function whose meta-gradient has a closed
 * form.
 *
 * The function has one coordinate: L(theta) = (w theta - y)^2. The rule is gradient descent, and its learning rate r is
 * the only meta-parameter:
 *
 *   theta_{t+1} - y/w = rho (theta_t - y/w),   rho = 1 - 2 r w^2,   L_t = rho^{2t} L_0,   drho/dr = -(1 - rho) / r
 *
 * A window has one step, and its loss is the loss after this step. For an episode of T windows, the derivatives are:
 *
 * - The exact derivative is sum_t dL_t/dr = sum_{t=1..T} 2 t rho^{2t-1} L_0 drho/dr.
 * - The truncated derivative treats theta at the start of each window as a constant, so the window of step t
 *   contributes 2 rho L_{t-1} drho/dr. */
#include <float.h>

#include "estimator/antithetic.h"
#include "window_fixture.h"

enum { LONGEST = 32 };

#define QUADRATIC                                       \
  "task: {family: quadratic, dimension: 1, batch: 1}\n" \
  "rule: {name: sgd, rate: 0.01, learn: [rate]}\n"      \
  "window: {steps: 1, weights: last}\n"                 \
  "outer: {units: 2}\n"

typedef struct toy {
  problem of;
  wl_estimator *estimator;
  wl_unroll_ws *ws;
  wl_unit *unit;
  double *scratch, *vector;
  double first_loss, rho; /* loss L_0 at the start of the episode, and the value of rho for the
                           * present phi */
} toy;

/* Computes w^2 from the losses L_0 and L_1 of the episode. Sets phi to the learning rate at which rho is 0.9. */
static void choose_rate(toy *t) {
  wl_window_result result;
  wl_unit *unit = start_unit(&t->of, t->ws, 0);
  double losses[2];
  assert_ok(wl_window_forward(t->ws, unit, 1, &(wl_window_options){.losses = losses}, &result));
  const double curvature = (1.0 - sqrt(losses[1] / losses[0])) / t->of.phi[0]; /* 2 w^2 */
  t->first_loss = losses[0];
  t->rho = 0.9;
  t->of.phi[0] = (1.0 - t->rho) / curvature;
  wl_unit_destroy(&unit);
}

/* The tests set the values that the outer loop normally sets. */
static const wl_estimator_setting setting = {.seed = 1, .units = 2, .whole_episodes = true};

static toy open_job(const char *job, const char *estimator) {
  toy t = {0};
  char yaml[1024];
  snprintf(yaml, sizeof yaml, "%sestimator: %s\n", job, estimator);
  t.of = open_problem(yaml);
  const wl_problem *p = &t.of.of;
  assert_ok(wl_estimator_create(t.of.config, p->model, &p->spec, &setting, &t.estimator));
  assert_ok(wl_unroll_ws_create(p->model, p->tasks[0], &t.estimator->spec, t.estimator->ops->traces,
                                1, &t.ws));
  wl_unroll_set_phi(t.ws, t.of.phi);
  assert_ok(wl_unit_create_with(p->model, p->tasks[0], &t.estimator->shape, &t.unit));
  assert_ok(WL_NEW(t.scratch, wl_estimator_scratch(t.estimator) + 1));
  assert_ok(WL_NEW(t.vector, t.estimator->width));
  return t;
}

static toy open_toy(const char *estimator) {
  toy t = open_job(QUADRATIC, estimator);
  choose_rate(&t);
  t.estimator->es.sigma = 0.02 * t.of.phi[0];
  return t;
}

static void close_toy(toy *t) {
  wl_free(t->scratch);
  wl_free(t->vector);
  wl_unit_destroy(&t->unit);
  wl_unroll_ws_destroy(&t->ws);
  wl_estimator_destroy(&t->estimator);
  close_problem(&t->of);
}

static double slope_of_rho(const toy *t) { return -(1.0 - t->rho) / t->of.phi[0]; }
static double exact(const toy *t, int64_t windows) {
  double sum = 0.0;
  for (int64_t k = 1; k <= windows; k++) sum += 2.0 * (double)k * pow(t->rho, 2.0 * (double)k - 1);
  return sum * t->first_loss * slope_of_rho(t);
}
static double truncated(const toy *t, int64_t windows) {
  double sum = 0.0;
  for (int64_t k = 1; k <= windows; k++) sum += 2.0 * t->rho * pow(t->rho, 2.0 * (double)(k - 1));
  return sum * t->first_loss * slope_of_rho(t);
}
/* Computes the gradient of the loss at the end of the episode with respect to phi. */
static double exact_end(const toy *t, int64_t windows) {
  return exact(t, windows) - exact(t, windows - 1);
}

/* Begins the episode. The number `draw` selects the perturbations of phi. */
static void begin_episode(toy *t, uint64_t draw, int64_t windows) {
  const wl_episode episode = {t->of.of.seed, WL_SPACE_CHECK, 3, 0};
  t->estimator->seed = draw;
  t->unit->horizon = windows;
  wl_unroll_set_phi(t->ws, t->of.phi);
  assert_ok(wl_unit_start(t->ws, t->unit, &episode));
}

/* Runs the window at step k and adds its contribution to t->vector. */
static void run_one_window(toy *t, int64_t k) {
  const wl_estimator *e = t->estimator;
  wl_run_outcome outcomes[8];
  double terms[8][WL_IMITATION_TERMS];
  for (int r = 0; r < 8; r++) outcomes[r].imitation = terms[r];
  wl_estimator_job job = {.ws = t->ws,
                          .scratch = t->scratch,
                          .unit = t->unit,
                          .t = k,
                          .steps = 1,
                          .phi = t->of.phi,
                          .vector = t->vector};
  for (job.run = 0; job.run < e->runs; job.run++) {
    assert_ok(e->ops->run(e, &job, &outcomes[job.run]));
    assert_true(outcomes[job.run].counted);
  }
  if (e->ops->finish) e->ops->finish(e, &job, outcomes);
  t->unit->t = k + 1;
}

/* Runs all windows of the episode and returns the sum of their contributions. */
static double run_episode(toy *t, uint64_t draw, int64_t windows) {
  begin_episode(t, draw, windows);
  t->vector[0] = 0.0;
  for (int64_t k = 0; k < windows; k++) run_one_window(t, k);
  return t->vector[0];
}

typedef struct moments {
  /* mean and standard deviation of the estimates, and the standard error of the mean */
  double mean, deviation, error;
} moments;

static moments measure(const char *estimator, int64_t windows, int draws, toy *keep) {
  toy t = open_toy(estimator);
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < draws; i++) {
    const double g = run_episode(&t, 1000 + (uint64_t)i, windows);
    sum += g;
    squares += g * g;
  }
  const double mean = sum / draws, deviation = sqrt(squares / draws - mean * mean);
  *keep = t;
  return (moments){mean, deviation, deviation / sqrt((double)draws)};
}

/* Checks that the mean is within three standard errors of `is`, and that its distance from `is_not` is many standard
 * errors. */
static void expect_mean(const char *estimator, int64_t windows, double (*is)(const toy *, int64_t),
                        double (*is_not)(const toy *, int64_t)) {
  toy t;
  const moments m = measure(estimator, windows, 100000, &t);
  const double off = (m.mean - is(&t, windows)) / m.error;
  print_message("%s: %.6g +- %.2g, expected %.6g, %.1f errors off\n", estimator, m.mean, m.error,
                is(&t, windows), off);
  if (!(fabs(off) <= 3.0)) fail_msg("%s: %.2f standard errors off", estimator, off);
  if (is_not) assert_true(fabs(m.mean - is_not(&t, windows)) > 10.0 * m.error);
  close_toy(&t);
}

static void test_bptt_is_truncated(void **state) {
  (void)state;
  toy t = open_toy("{name: bptt}");
  assert_true(fabs(run_episode(&t, 1, 6) / truncated(&t, 6) - 1.0) <= 1e-9);
  close_toy(&t);
}

static void test_biased(void **state) {
  (void)state;
  expect_mean("{name: es}", 6, truncated, exact);
}

/* With es, both runs of an antithetic pair must start each window from the same state. With nres, each run of a pair
 * must continue from its own last state. */
static void test_es_joins(void **state) {
  (void)state;
  const char *const estimators[] = {"{name: es, pairs: 2}", "{name: nres, pairs: 2}"};
  for (int i = 0; i < 2; i++) {
    toy t = open_toy(estimators[i]);
    run_episode(&t, 1, 3);
    for (int p = 0; p < 4; p += 2) {
      const wl_unit plus = wl_unit_particle(t.of.of.model, t.unit, p),
                    minus = wl_unit_particle(t.of.of.model, t.unit, p + 1);
      assert_true((plus.theta[0] == minus.theta[0]) == (i == 0));
      assert_true((plus.start_loss == minus.start_loss));
    }
    close_toy(&t);
  }
}

static void test_unbiased(void **state) {
  (void)state;
  expect_mean("{name: nres}", 6, exact, truncated);
  expect_mean("{name: pes}", 6, exact, truncated);
}

static void test_telescoping(void **state) {
  (void)state;
  expect_mean("{name: nres, loss: telescoping}", 4, exact_end, exact);
  expect_mean("{name: pes, loss: telescoping}", 4, exact_end, exact);
}

/* For a monotonic F, the expectation of eps sign(F(+eps) - F(-eps)) / (2 sigma^2) is E|eps| / (2 sigma^2), multiplied
 * by the sign of the slope of F. */
static double sign_of_end(const toy *t, int64_t windows) {
  return copysign(1.0 / (t->estimator->es.sigma * sqrt(2.0 * 3.14159265358979324)),
                  exact_end(t, windows));
}

/* full_es uses the loss at the end of the episode. All batches of the quadratic function are the same. */
static void test_full_es(void **state) {
  (void)state;
  expect_mean("{name: full_es, batches: 2}", 4, exact_end, exact);
  expect_mean("{name: full_es, batches: 2, sign: true}", 4, sign_of_end, exact_end);
}

/* Forward-only estimators do not differentiate inner steps. The setting `order: second` must therefore result in an
 * error that names the key. */
static void test_no_order(void **state) {
  (void)state;
  static const char *const names[] = {"nres", "pes", "es", "full_es"};
  for (int i = 0; i < 4; i++) {
    char yaml[512];
    snprintf(yaml, sizeof yaml,
             "task: {family: quadratic, dimension: 1, batch: 1}\nrule: {name: sgd, learn: [rate]}\n"
             "window: {steps: 1, order: second}\nestimator: {name: %s}\n",
             names[i]);
    problem p = open_problem(yaml);
    wl_estimator *e = NULL;
    assert_int_equal(wl_estimator_create(p.config, p.of.model, &p.of.spec, &setting, &e),
                     WL_ERR_CONFIG);
    assert_non_null(strstr(wl_last_error(), "window.order"));
    assert_non_null(strstr(wl_last_error(), names[i]));
    close_problem(&p);
  }
}

/* With es, both runs of a pair have the same loss at the start of a window. The difference
 * between the two runs is therefore the same for the change of the loss and for the final loss of the window. */
static void test_es_telescopes(void **state) {
  (void)state;
  toy change = open_toy("{name: es, loss: telescoping}"), end = open_toy("{name: es, loss: last}");
  assert_true(run_episode(&change, 1, 6) == run_episode(&end, 1, 6));
  close_toy(&change);
  close_toy(&end);
}

/* Each step has its own learning rate. Derivatives of a window's loss with respect to the rates of different windows
 * are therefore orthogonal vectors. */
#define RATES                                                       \
  "task: {family: quadratic, dimension: 1, batch: 1}\n"             \
  "rule: {name: sgd, rate: 0.01, learn: [rate], learn_per: step}\n" \
  "episode: {steps: 32}\n"                                          \
  "window: {steps: 1, weights: last}\n"                             \
  "outer: {units: 2}\n"

/* Returns the variance of a window's contribution. The function sums the variance over the meta-parameters and
 * averages the sum over the windows of an episode. */
static double window_variance(const char *estimator, int64_t windows) {
  enum { DRAWS = 300 };
  toy t = open_job(RATES, estimator);
  const int64_t n = t.of.of.model->phi.size;
  double *sum = NULL, squares = 0.0, mean = 0.0;
  assert_ok(WL_NEW(sum, windows * n));
  for (int i = 0; i < DRAWS; i++) {
    begin_episode(&t, 1000 + (uint64_t)i, windows);
    for (int64_t k = 0; k < windows; k++) {
      memset(t.vector, 0, (size_t)n * sizeof *t.vector);
      run_one_window(&t, k);
      for (int64_t j = 0; j < n; j++) {
        sum[k * n + j] += t.vector[j] / DRAWS;
        squares += t.vector[j] * t.vector[j] / DRAWS;
      }
    }
  }
  for (int64_t j = 0; j < windows * n; j++) mean += sum[j] * sum[j];
  wl_free(sum);
  close_toy(&t);
  return (squares - mean) / (double)windows;
}

/* Let v_u be the derivative of the loss of window w with respect to the meta-parameters that window u uses, for u <=
 * w. Let P be the number of meta-parameters. The variance of nres is (P + 1) |sum_u v_u|^2. The variance of pes is w
 * P sum_u |v_u|^2 + |sum_u v_u|^2, which is never smaller. In this test the v_u are orthogonal, so the variance of
 * pes is about w times as large. */
static void test_variances(void **state) {
  (void)state;
  for (int64_t windows = 20; windows <= LONGEST; windows += 6) {
    const double nres = window_variance("{name: nres}", windows),
                 pes = window_variance("{name: pes}", windows);
    print_message("%d windows: variance of nres %.3g, of pes %.3g\n", (int)windows, nres, pes);
    assert_true(nres <= pes);
  }
}

/* The mean must not depend on the number of antithetic pairs, and the variance must be proportional to 1 / (number of
 * pairs). */
static void test_pairs(void **state) {
  (void)state;
  toy t;
  const moments one = measure("{name: nres}", 4, 20000, &t);
  close_toy(&t);
  const moments four = measure("{name: nres, pairs: 4}", 4, 20000, &t);
  close_toy(&t);
  assert_true(fabs(one.mean - four.mean) <= 4.0 * one.error);
  assert_true(fabs(one.deviation / four.deviation - 2.0) <= 0.1);
}

/* Tests the weights of the estimator `mixture`. The weights are inverse variances, which the estimator computes from
 * sums over units. */
static void test_mixture(void **state) {
  (void)state;
  toy t = open_toy("{name: mixture}");
  const double b[3] = {1.0, 2.0, 3.0}, s[3] = {5.0, 9.0, 4.0}; /* the two estimates b and s of each
                                                                * of three units */
  double sum[4] = {0}, gradient = 0.0;
  for (int u = 0; u < 3; u++) {
    double unit[4] = {b[u], s[u], 0, 0};
    t.estimator->ops->close(t.estimator, unit);
    for (int i = 0; i < 4; i++) sum[i] += unit[i];
  }
  wl_estimator_combine(t.estimator, sum, 3, &gradient);
  const double vb = 2.0 / 3.0, vs = 14.0 / 3.0; /* population variances */
  assert_true(fabs(gradient - (2.0 / vb + 6.0 / vs) / (1.0 / vb + 1.0 / vs)) <= 1e-12);
  /* if the variance of one estimate is zero, only this estimate is used */
  const double certain[4] = {6.0, 18.0, 12.0, 122.0};
  wl_estimator_combine(t.estimator, certain, 3, &gradient);
  assert_true(gradient == 2.0);
  /* here, both estimates of a window agree with the truncated gradient */
  assert_true(fabs(run_episode(&t, 1, 6) / truncated(&t, 6) - 1.0) <= 1e-9);
  close_toy(&t);
}

/* Tests how an estimator transforms losses. */
static void test_losses(void **state) {
  (void)state;
  toy t = open_toy("{name: nres, clip: 2, transform: log, floor: 0.5, failed_loss: 20}");
  const wl_estimator *e = t.estimator;
  assert_true(wl_antithetic_transformed(e, t.unit, 1.0) == log(1.5));
  assert_true(wl_antithetic_transformed(e, t.unit, 9.0) == log(2.5));
  assert_true(wl_antithetic_transformed(e, t.unit, -3.0) ==
              log(0.5)); /* noise that is added to the gradient can make a loss negative */
  assert_true(wl_antithetic_transformed(e, t.unit, NAN) == log(2.5));
  assert_true(wl_antithetic_transformed(e, t.unit, INFINITY) == log(2.5));
  close_toy(&t);
  t = open_toy("{name: nres}");
  assert_true(isnan(wl_antithetic_transformed(t.estimator, t.unit, NAN)));
  close_toy(&t);
}

/* Returns the outcome of a window whose loss becomes infinite because of the learning rate. */
static wl_run_outcome failed_run(const char *estimator, int64_t horizon) {
  toy t = open_job(
      "task: {family: quadratic, dimension: 1, batch: 1}\n"
      "rule: {name: sgd, rate: 0.01, learn: [rate]}\n"
      "window: {steps: 4}\nouter: {units: 2, every: episode}\n",
      estimator);
  wl_run_outcome outcome;
  begin_episode(&t, 1, horizon);
  t.of.phi[0] = DBL_MAX / 4;
  const wl_estimator_job first = {.ws = t.ws,
                                  .scratch = t.scratch,
                                  .unit = t.unit,
                                  .steps = 4,
                                  .phi = t.of.phi,
                                  .vector = t.vector};
  assert_ok(t.estimator->ops->run(t.estimator, &first, &outcome));
  close_toy(&t);
  return outcome;
}

/* If the loss of a run becomes infinite, the metrics and the meta-loss must be computed with the value of `failed_loss`
 * instead. */
static void test_failed_runs(void **state) {
  (void)state;
  const wl_run_outcome mean = failed_run("{name: nres, loss: mean, clip: 5, failed_loss: 20}", 4);
  assert_false(mean.window.finite);
  assert_true(mean.counted && mean.loss > 3.0 && mean.loss <= 5.0);
  assert_true(mean.window.meta_loss == mean.loss && mean.window.last_loss == 20.0);
  const wl_run_outcome none = failed_run("{name: nres, loss: mean}", 4);
  assert_true(!none.counted && !isfinite(none.window.last_loss));
  const wl_run_outcome whole = failed_run("{name: full_es, failed_loss: 20}", 4);
  assert_true(whole.counted && whole.window.meta_loss == 20.0);
  const wl_run_outcome half = failed_run("{name: full_es, failed_loss: 20}", 8);
  assert_true(half.counted && half.window.meta_loss == 0.0);
}

/* Returns the loss at theta_0 that the estimator uses for one run in the first window. */
static double counted_loss(const char *job, const char *estimator) {
  toy t = open_job(job, estimator);
  wl_run_outcome outcome;
  begin_episode(&t, 1, 1);
  const wl_estimator_job first = {.ws = t.ws,
                                  .scratch = t.scratch,
                                  .unit = t.unit,
                                  .steps = 1,
                                  .phi = t.of.phi,
                                  .vector = t.vector};
  assert_ok(t.estimator->ops->run(t.estimator, &first, &outcome));
  close_toy(&t);
  return outcome.loss;
}

/* The key loss_scale of a task may be drawn or constant. In both cases, this key must not change the losses that the
 * estimator uses. */
static void test_loss_scale(void **state) {
  (void)state;
  static const char *const settings[] = {"{name: nres, loss: mean}",
                                         "{name: pes, loss: mean, transform: log, clip: 2}"};
  for (int i = 0; i < 2; i++) {
    const double plain = counted_loss(QUADRATIC, settings[i]);
    const double scaled = counted_loss(
        "task: {family: quadratic, dimension: 1, batch: 1, loss_scale: {log_uniform: [50, 5000]}}\n"
        "rule: {name: sgd, rate: 0.01, learn: [rate]}\nwindow: {steps: 1, weights: last}\nouter: {units: 2}\n",
        settings[i]);
    assert_true(plain != 0.0 && fabs(scaled - plain) <= 1e-12 * fabs(plain));
  }
}

/* Tests the key `clip` with a separate bound for each entry of `task`. The first entry of `task` consists of two
 * tasks. */
static void test_clip_by_entry(void **state) {
  (void)state;
  problem p = open_problem(
      "task:\n"
      "  - {family: quadratic, dimension: {one_of: [2, 3]}, batch: 1}\n"
      "  - {family: quadratic, dimension: 4, batch: 1}\n"
      "rule: {name: sgd, learn: [rate]}\n"
      "estimator: {name: nres, clip: [1, 7]}\n");
  wl_estimator *e = NULL;
  assert_ok(wl_estimator_create(p.config, p.of.model, &p.of.spec, &setting, &e));
  assert_int_equal(p.of.n_tasks, 3);
  const double bound[3] = {1, 1, 7};
  for (int i = 0; i < 3; i++)
    assert_true(wl_antithetic_transformed(e, &(wl_unit){.task_index = i}, 100.0) == bound[i]);
  wl_estimator_destroy(&e);
  close_problem(&p);
}

/* Prepares the estimator nres with two antithetic pairs on the quadratic function. The inner steps imitate a teacher,
 * which is gradient descent with the learning rate r_e = 2 r. */
static toy open_pupil(const char *keys) {
  char estimator[240];
  toy t = open_toy("{name: nres}");
  snprintf(estimator, sizeof estimator,
           "{name: nres, pairs: 2, loss: last}\nimitation: {teacher: momentum, momentum: 0, rate: "
           "%.17g, scale: 0.3, %s}",
           2.0 * t.of.phi[0], keys);
  close_toy(&t);
  t = open_toy(estimator);
  *t.unit->imitates = true;
  return t;
}

/* Stores the perturbation of phi of each pair in `eps`. The window of one step uses these perturbations. */
static void draw_pairs(toy *t, double eps[2]) {
  const wl_estimator_job job = {.scratch = t->scratch, .unit = t->unit};
  for (int p = 0; p < 2; p++) eps[p] = (double)*wl_antithetic_draw(t->estimator, &job, p, 0);
}

/* D_dist = (r / r_e - 1)^2 is a term of the imitation loss. Between the two runs of a pair, D_dist differs by 4 eps
 * (r / r_e - 1) / r_e = -eps / r. If the inner steps follow the teacher, no loss depends on r. Dividing by the root
 * mean square over the pairs results in -eps / sqrt(mean eps^2). */
static void test_imitation(void **state) {
  (void)state;
  toy t = open_pupil("distance: 1");
  double eps[2];
  const double found = run_episode(&t, 5, 1), sigma = t.estimator->es.sigma;
  draw_pairs(&t, eps);
  const double squares = eps[0] * eps[0] + eps[1] * eps[1];
  const double expected = -0.3 * squares / sqrt(squares / 2) / (2 * sigma * sigma * 2);
  assert_true(fabs(found - expected) <= 1e-9 * fabs(expected));
  close_toy(&t);
}

/* Tests that the inner step still mixes both learning rates if all weights of the imitation loss are zero. If all
 * these weights are zero, theta_1 - y/w = (1 - 2 w^2 (f r_e + (1 - f) r)) (theta_0 - y/w). */
static void test_forced_path(void **state) {
  (void)state;
  toy t = open_pupil("distance: 0, force: 0.25");
  double eps[2], expected = 0.0;
  const double found = run_episode(&t, 5, 1), sigma = t.estimator->es.sigma, r = t.of.phi[0];
  draw_pairs(&t, eps);
  for (int p = 0; p < 2; p++) {
    double loss[2];
    for (int i = 0; i < 2; i++) {
      const double rate = 0.25 * 2 * r + 0.75 * (r + (i == 0 ? eps[p] : -eps[p]));
      const double factor = 1.0 - (1.0 - t.rho) * rate / r;
      loss[i] = factor * factor * t.first_loss;
    }
    expected += eps[p] * (loss[0] - loss[1]) / (2 * sigma * sigma * 2);
  }
  assert_true(fabs(found - expected) <= 1e-9 * fabs(expected));
  close_toy(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bptt_is_truncated), cmocka_unit_test(test_biased),
      cmocka_unit_test(test_es_joins),          cmocka_unit_test(test_unbiased),
      cmocka_unit_test(test_telescoping),       cmocka_unit_test(test_es_telescopes),
      cmocka_unit_test(test_variances),         cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_mixture),           cmocka_unit_test(test_losses),
      cmocka_unit_test(test_failed_runs),       cmocka_unit_test(test_loss_scale),
      cmocka_unit_test(test_clip_by_entry),     cmocka_unit_test(test_full_es),
      cmocka_unit_test(test_no_order),          cmocka_unit_test(test_imitation),
      cmocka_unit_test(test_forced_path)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
