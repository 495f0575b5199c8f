/* test_warp.c - tests these properties of warp layers, preconditioners and learned initialisations:
 *
 * - Warps and preconditioners that start as the identity must not change any bit of the first window.
 * - For Meta-SGD, the derivative of the look-ahead loss with respect to alpha must be -G_q o G_s, with the same bits.
 * - Descent with a scale warp s = 2^k must be descent with the diagonal preconditioner s^2, with the same bits.
 * - A step with a warp must be the preconditioned step with P = J J^T, up to terms of order a^2.
 * - The gradient of online Warp-Grad over an episode must be the sum of the look-ahead gradients of its steps.
 * - A vector that all outputs of a layer share (key `shared`) must behave like a matrix with equal columns.
 * - Leap and Reptile must follow their formulas for any division of the episode into windows. */
#include "window_fixture.h"

#define SINUSOID "task: {family: sinusoid, widths: [6, 5], activation: tanh, shots: 4"
#define LOOK_AHEAD "window: {steps: 1, weights: last, batch: fresh, order: second}\n"

/* ---- Identity at the start ------------------------------------------------------------------- */

typedef struct identity_case {
  const char *task, *warp;
} identity_case;

#define CONV "task: {family: conv, filters: [3, 2], batch: 4, activation: tanh, widths: [4]"
static identity_case identity_cases[] = {
    {SINUSOID, ", warp: [linear]"},
    {SINUSOID, ", warp: [scale, residual], warp_width: 3, warp_side: before"},
    {SINUSOID, ", warp: [linear, residual, scale], warp_after: [all, dense3]"},
    {CONV, ", warp: [conv3x3, conv1x1, scale]"},
    {CONV, ", warp: [residual, linear], warp_side: before"},
};
enum { IDENTITY_CASES = sizeof identity_cases / sizeof *identity_cases };

static problem open_variant(const char *task, const char *warp, const char *rest) {
  char yaml[1024];
  snprintf(yaml, sizeof yaml, "%s%s}\n%s", task, warp, rest);
  return open_problem(yaml);
}

static void test_identity(void **state) {
  const identity_case *c = *state;
  const char *rest =
      "rule: {name: sgd, rate: 0.1}\ninitialisation: {name: maml}\n"
      "window: {steps: 4, weights: sum, batch: fresh, order: second}\n";
  problem plain = open_variant(c->task, "", rest), warped = open_variant(c->task, c->warp, rest);
  outcome a = run_request(&plain, (request){.unit = 1}),
          b = run_request(&warped, (request){.unit = 1});
  assert_true(warped.of.model->warp_size > 0 && a.result.finite);
  assert_true(all_equal(a.losses, b.losses, a.steps + 1));
  for (int64_t i = 0; i < a.n; i++) assert_true(a.theta[i] == b.theta[i]);
  assert_int_equal(plain.of.model->theta0_at, 0);
  assert_true(all_equal(a.gradient, b.gradient + warped.of.model->theta0_at, a.n_phi));
  free_outcome(&a);
  free_outcome(&b);
  close_problem(&plain);
  close_problem(&warped);
}

/* Tests preconditioners that start as the identity, before rules with and without a state. */
static void test_identity_of_preconditioners(void **state) {
  (void)state;
  static const char *const preconditioners[] = {"gap", "gap, approximate: true",
                                                "scalar, per: step_tensor", "kronecker"};
  static const char *const rules[] = {"rule: {name: sgd, rate: 0.1}\n",
                                      "rule: {name: adam, rate: 0.1}\n"};
  static const char *const tasks[] = {SINUSOID, CONV};
  for (int k = 0; k < 16; k++) {
    char rest[512], yaml[768];
    snprintf(rest, sizeof rest,
             "%sinitialisation: {name: maml}\nepisode: {steps: 4}\n"
             "window: {steps: 4, weights: sum, batch: fresh, order: second}\n",
             rules[k % 2]);
    snprintf(yaml, sizeof yaml, "%sprecondition: {name: %s}\n", rest, preconditioners[k / 4]);
    problem plain = open_variant(tasks[k / 2 % 2], "", rest),
            conditioned = open_variant(tasks[k / 2 % 2], "", yaml);
    outcome a = run_request(&plain, (request){.unit = 1}),
            b = run_request(&conditioned, (request){.unit = 1});
    assert_true(a.result.finite && conditioned.of.model->theta0_at > 0);
    assert_true(all_equal(a.losses, b.losses, a.steps + 1));
    for (int64_t i = 0; i < a.n; i++) assert_true(a.theta[i] == b.theta[i]);
    assert_true(all_equal(a.gradient, b.gradient + conditioned.of.model->theta0_at, a.n_phi));
    free_outcome(&a);
    free_outcome(&b);
    close_problem(&plain);
    close_problem(&conditioned);
  }
}

/* ---- Meta-SGD -------------------------------------------------------------------------------- */

enum { MOST = 512 };

static void test_meta_sgd(void **state) {
  (void)state;
  problem p =
      open_problem(SINUSOID
                   "}\nrule: {name: sgd, rate: 1}\n"
                   "precondition: {name: diagonal, initial_range: [-0.1, 0.2]}\n" LOOK_AHEAD);
  const wl_task *task = p.of.tasks[0];
  wl_real theta[MOST], support[MOST], query[MOST];
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  wl_unit *unit = start_unit(&p, ws, 0);
  memcpy(theta, unit->theta, (size_t)task->n * sizeof *theta);
  wl_task_ws *task_ws = wl_unroll_task_ws(ws);
  const wl_batch inner = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0},
                 outer = {WL_FOR_OUTER_BATCH, WL_SPLIT_TRAIN, 1};
  wl_task_loss(task, task_ws, &(wl_task_point){&inner, theta, NULL}, support, NULL);
  outcome o = run_window(&p, ws, unit, 1, false);
  for (int64_t i = 0; i < task->n; i++) theta[i] += -((wl_real)p.phi[i] * support[i]);
  wl_task_loss(task, task_ws, &(wl_task_point){&outer, theta, NULL}, query, NULL);
  for (int64_t i = 0; i < task->n; i++) {
    assert_true(o.theta[i] == theta[i]);
    assert_true(o.gradient[i] == -((double)query[i] * (double)support[i]));
  }
  free_outcome(&o);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

/* With w = s o x, the step x - a (s o grad L(w)) changes w by -a s^2 o grad L(w). If s consists of powers of two, no
 * result is rounded. */
static void test_scale_is_diagonal(void **state) {
  (void)state;
  enum { D = 6, B = 3 };
  const char *task = "task: {family: quadratic, dimension: 6, batch: 3",
             *rule = "rule: {name: sgd, rate: 0.02}\n";
  char yaml[512];
  snprintf(yaml, sizeof yaml, "%sprecondition: {name: diagonal}\nwindow: {steps: 5}\n", rule);
  problem diagonal = open_variant(task, "", yaml);
  snprintf(yaml, sizeof yaml, "%swindow: {steps: 5}\n", rule);
  problem warped = open_variant(task, ", warp: scale", yaml);
  for (int64_t i = 0; i < D; i++) warped.phi[i] = ldexp(1.0, (int)(i % 4) - 2);
  for (int64_t i = 0; i < B * D; i++) diagonal.phi[i] = warped.phi[i % D] * warped.phi[i % D];
  wl_unroll_ws *ws[2] = {open_workspace(&diagonal, true, 1), open_workspace(&warped, true, 1)};
  wl_unit *unit[2] = {start_unit(&diagonal, ws[0], 0), start_unit(&warped, ws[1], 0)};
  for (int64_t i = 0; i < B * D; i++) unit[1]->theta[i] /= (wl_real)warped.phi[i % D];
  outcome a = run_window(&diagonal, ws[0], unit[0], 5, false),
          b = run_window(&warped, ws[1], unit[1], 5, false);
  assert_true(all_equal(a.losses, b.losses, 6));
  for (int64_t i = 0; i < B * D; i++)
    assert_true(a.theta[i] == b.theta[i] * (wl_real)warped.phi[i % D]);
  free_outcome(&a);
  free_outcome(&b);
  for (int i = 0; i < 2; i++) {
    wl_unit_destroy(&unit[i]);
    wl_unroll_ws_destroy(&ws[i]);
  }
  close_problem(&diagonal);
  close_problem(&warped);
}

/* ---- A step with a warp layer, compared with the preconditioned step -------------------------- */

enum { WIDTH = 30 };
/* Contains the parameters of the residual warp, in the order of its tensors. */
typedef struct omega {
  const double *w1, *b1, *w2, *b2;
} omega;

/* Computes y = x + tanh(x W1 + b1) W2 + b2 and J v, where J = dy/dx. */
static void apply_omega(omega o, const double x[2], const double v[2], double y[2], double jv[2]) {
  for (int j = 0; j < 2; j++) {
    y[j] = x[j] + o.b2[j];
    jv[j] = v[j];
  }
  for (int h = 0; h < WIDTH; h++) {
    const double t = tanh(x[0] * o.w1[h] + x[1] * o.w1[WIDTH + h] + o.b1[h]);
    const double dt = (1 - t * t) * (v[0] * o.w1[h] + v[1] * o.w1[WIDTH + h]);
    for (int j = 0; j < 2; j++) {
      y[j] += t * o.w2[2 * h + j];
      jv[j] += dt * o.w2[2 * h + j];
    }
  }
}

static void mountain_gradient(const problem *p, const double x[2], double g[2]) {
  wl_unroll_ws *ws = open_workspace(p, true, 1);
  wl_unit *unit = start_unit(p, ws, 0);
  const wl_real at[2] = {(wl_real)x[0], (wl_real)x[1]};
  wl_real out[2];
  const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0};
  wl_task_loss(p->of.tasks[0], wl_unroll_task_ws(ws),
               &(wl_task_point){&batch, at, wl_unroll_warp(ws)}, out, NULL);
  for (int i = 0; i < 2; i++) g[i] = (double)out[i];
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
}

static void test_step_gap(void **state) {
  (void)state;
  const char *task = "task: {family: mountain",
             *rest = "rule: {name: sgd, rate: 0.1, learn: [rate]}\nwindow: {steps: 1}\n";
  problem plain = open_variant(task, "", rest);
  problem warped = open_variant(task, ", warp: residual, warp_width: 30, warp_noise: 0.3", rest);
  const double *phi = warped.phi + warped.of.model->warp_at;
  const omega o = {phi, phi + 2 * WIDTH, phi + 3 * WIDTH, phi + 5 * WIDTH};
  const double x[2] = {0.4, -0.3};
  double g[2], y[2], jg[2], f[2], gap[2];
  mountain_gradient(&warped, x, g);
  apply_omega(o, x, g, y, jg); /* J g = J J^T grad f(y) */
  mountain_gradient(&plain, y, f);
  for (int j = 0; j < 2; j++) { /* g = J^T grad f(y) */
    const double unit[2] = {j == 0, j == 1};
    double ignored[2], column[2];
    apply_omega(o, x, unit, ignored, column);
    assert_near(&g[j], (const double[]){column[0] * f[0] + column[1] * f[1]}, 1, CLOSE, "gradient");
  }
  for (int i = 0; i < 2; i++) {
    const double a = i == 0 ? 2e-3 : 1e-3;
    const double moved[2] = {x[0] - a * g[0], x[1] - a * g[1]};
    double to[2], ignored[2];
    apply_omega(o, moved, g, to, ignored);
    gap[i] = hypot(to[0] - (y[0] - a * jg[0]), to[1] - (y[1] - a * jg[1]));
  }
  const double slope = log2(gap[0] / gap[1]);
  assert_true(gap[1] > 0 && fabs(slope - 2) <= 0.1);
  close_problem(&plain);
  close_problem(&warped);
}

/* ---- Online Warp-Grad ------------------------------------------------------------------------- */

enum { STEPS = 5 };
static const double RATE = 0.0625; /* the rate a is a power of two, so -a v is exact */

/* Computes the look-ahead gradient d_phi L_out(theta') - a d_phi <grad L_in, v> of each step, and sums it over the
 * steps of an episode. In first order, the second term is left out. */
static void look_ahead_by_hand(const problem *p, bool second, double *gradient) {
  const wl_model *m = p->of.model;
  const wl_task *task = p->of.tasks[0];
  wl_unroll_ws *ws = open_workspace(p, true, 1);
  wl_unit *unit = start_unit(p, ws, 0);
  wl_task_ws *task_ws = NULL;
  wl_real theta[MOST], g[MOST], v[MOST], hv[MOST], warp[MOST], before[MOST];
  assert_ok(wl_task_ws_create(task, true, &task_ws));
  assert_ok(wl_task_bind(task, task_ws, &unit->episode));
  memcpy(theta, unit->theta, (size_t)task->n * sizeof *theta);
  memset(gradient, 0, (size_t)m->phi.size * sizeof *gradient);
  for (int64_t t = 0; t < STEPS; t++) {
    const wl_batch inner = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, t},
                   outer = {WL_FOR_OUTER_BATCH, WL_SPLIT_TRAIN, t + 1};
    memcpy(before, theta, sizeof before);
    wl_task_loss(task, task_ws, &(wl_task_point){&inner, theta, wl_unroll_warp(ws)}, g, NULL);
    for (int64_t i = 0; i < task->n; i++) theta[i] += -(wl_real)RATE * g[i];
    wl_task_loss(task, task_ws, &(wl_task_point){&outer, theta, wl_unroll_warp(ws)}, v, warp);
    for (int64_t i = 0; i < m->warp_size; i++) gradient[m->warp_at + i] += warp[i];
    for (int64_t i = 0; i < task->n; i++) v[i] = -(wl_real)RATE * v[i];
    wl_task_hvp(task, task_ws, &(wl_task_point){&inner, before, wl_unroll_warp(ws)}, v, hv, warp);
    for (int64_t i = 0; second && i < m->warp_size; i++) gradient[m->warp_at + i] += warp[i];
  }
  wl_task_ws_destroy(&task_ws);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
}

/* Runs an episode in windows of one step and computes the sum of the meta-gradients of these windows. */
static void look_ahead_by_windows(const problem *p, double *gradient) {
  wl_unroll_ws *ws = open_workspace(p, true, 1);
  wl_unit *unit = start_unit(p, ws, 0);
  wl_window_result result;
  memset(gradient, 0, (size_t)p->of.model->phi.size * sizeof *gradient);
  for (int64_t t = 0; t < STEPS; t++) {
    assert_ok(wl_window_run(ws, unit, 1, &(wl_window_options){.phi_grad = gradient}, &result));
    assert_true(result.finite);
  }
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
}

static void test_online(void **state) {
  (void)state;
  const char *task = SINUSOID ", warp: [linear, residual], warp_noise: 0.1",
             *rule = "rule: {name: sgd, rate: 0.0625}\n";
  char yaml[512];
  double hand[MOST], windows[MOST];
  for (int second = 0; second < 2; second++) {
    snprintf(yaml, sizeof yaml, "%swindow: {steps: 1, weights: last, batch: fresh, order: %s}\n",
             rule, second ? "second" : "first");
    problem p = open_variant(task, "", yaml);
    assert_true(p.of.model->phi.size <= MOST);
    look_ahead_by_hand(&p, second, hand);
    look_ahead_by_windows(&p, windows);
    assert_true(all_equal(windows, hand, p.of.model->phi.size));
    close_problem(&p);
    if (second) continue;
    /* in first order, the gradient of one window over the whole episode equals this sum, if the window has a loss after
     * each step */
    snprintf(yaml, sizeof yaml, "%swindow: {steps: 5, weights: [0, 1, 1, 1, 1, 1], batch: fresh}\n",
             rule);
    problem whole = open_variant(task, "", yaml);
    outcome o = run_request(&whole, (request){.unit = 0});
    assert_near(windows, o.gradient, o.n_phi, CLOSE, "truncated");
    free_outcome(&o);
    close_problem(&whole);
  }
}

/* ---- Leap and Reptile ------------------------------------------------------------------------- */

typedef struct path {
  int64_t steps, n, first; /* the coordinates first .. n - 1 are learned */
  wl_real g[STEPS][MOST], u[STEPS][MOST];
  double loss[STEPS + 1];
} path;

static void keep_start(void *context, const wl_step_view *step) {
  path *q = context;
  memcpy(q->g[q->steps], step->g, (size_t)q->n * sizeof *step->g);
  memcpy(q->u[q->steps], step->u, (size_t)q->n * sizeof *step->u);
  q->loss[q->steps++] = step->loss;
}

static double share_by_hand(const path *q, bool leap, int64_t step, int64_t i) {
  if (!leap) return -(double)q->u[step][i];
  double sum = 0.0, rise = q->loss[step + 1] - q->loss[step];
  for (int64_t j = q->first; j < q->n; j++) sum += (double)q->u[step][j] * (double)q->u[step][j];
  const double length = sqrt(sum + rise * rise);
  if (rise > 0) rise = -rise;
  return (-(double)q->u[step][i] - rise * (double)q->g[step][i]) / length;
}

/* Runs an episode in windows of `cut` steps. Stores the path in *q and the gradient of the learned initialisation in
 * `gradient`. */
static void follow_path(const problem *p, int64_t cut, bool gradient_ws, path *q,
                        double *gradient) {
  wl_unroll_ws *ws = open_workspace(p, gradient_ws, 1);
  wl_unit *unit = start_unit(p, ws, 0);
  const wl_task *task = p->of.tasks[0];
  wl_window_result result;
  *q = (path){.n = task->n, .first = wl_task_theta(task)->tensors[2].offset};
  memset(gradient, 0, (size_t)p->of.model->phi.size * sizeof *gradient);
  while (unit->t < STEPS) {
    const int64_t left = STEPS - unit->t;
    const wl_observer observer = {.step = keep_start, .context = q};
    const wl_window_options options = {.phi_grad = gradient, .observers = &observer};
    assert_ok(wl_window_run(ws, unit, left < cut ? left : cut, &options, &result));
    assert_true(result.finite);
  }
  const wl_batch next = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, STEPS};
  q->loss[STEPS] = wl_task_loss(task, wl_unroll_task_ws(ws),
                                &(wl_task_point){&next, unit->theta, NULL}, NULL, NULL);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
}

/* Creates a problem in which Leap or Reptile learns all tensors except the first two. `list` is the name of the key
 * that lists these two tensors. */
static problem open_path_problem(bool leap, const char *list) {
  char yaml[512];
  snprintf(yaml, sizeof yaml,
           SINUSOID
           "}\nrule: {name: sgd, rate: 1.5}\n"
           "initialisation: {name: %s, %s: [dense1.weight, dense1.bias]}\nwindow: {steps: 5}\n",
           leap ? "leap" : "reptile", list);
  return open_problem(yaml);
}

/* gradient[0] belongs to coordinate q->first. */
static void assert_path_by_hand(const path *q, bool leap, const double *gradient) {
  for (int64_t i = q->first; i < q->n; i++) {
    double sum = 0.0;
    for (int64_t t = 0; t < STEPS; t++) sum += share_by_hand(q, leap, t, i);
    assert_near(&gradient[i - q->first], &sum, 1, CLOSE, "path");
  }
}

static void test_path(void **state) {
  (void)state;
  static path q;
  double whole[MOST], gradient[MOST];
  for (int leap = 0; leap < 2; leap++) {
    problem p = open_path_problem(leap, "fresh");
    follow_path(&p, STEPS, true, &q, whole);
    bool rises = false;
    for (int64_t t = 0; t < STEPS; t++) rises = rises || q.loss[t + 1] > q.loss[t];
    assert_true(rises); /* the loss rises at a step, which tests the change of sign in Leap */
    assert_path_by_hand(&q, leap, whole);
    for (int64_t cut = 1; cut < STEPS; cut++) {
      follow_path(&p, cut, cut % 2 == 0, &q, gradient);
      assert_true(all_equal(gradient, whole, p.of.model->phi.size));
    }
    close_problem(&p);
  }
}

/* MAML learns the first two tensors, and Leap or Reptile learns the other tensors. */
static void test_method_of_each_tensor(void **state) {
  (void)state;
  static path q;
  double by_maml[MOST], mixed[MOST];
  problem all = open_problem(SINUSOID
                             "}\nrule: {name: sgd, rate: 1.5}\n"
                             "initialisation: {name: maml}\nwindow: {steps: 5}\n");
  follow_path(&all, STEPS, true, &q, by_maml);
  close_problem(&all);
  for (int leap = 0; leap < 2; leap++) {
    problem p = open_path_problem(leap, "maml");
    follow_path(&p, STEPS, true, &q, mixed);
    assert_true(all_equal(mixed, by_maml, q.first));
    assert_path_by_hand(&q, leap, mixed + q.first);
    close_problem(&p);
  }
}

/* ---- Outputs that start with equal values ---------------------------------------------------- */

#define HEAD "[dense2.weight, dense2.bias]"
#define MLP \
  "task: {family: mlp, data: synthetic, widths: [5], batch: 6, activation: tanh, initial_scale: 0.3"

static problem open_head(const char *method, const char *lists) {
  char yaml[1024];
  snprintf(yaml, sizeof yaml,
           MLP
           "}\nrule: {name: sgd, rate: 0.3}\ninitialisation: {name: %s%s}\n"
           "episode: {steps: 4}\nwindow: {steps: 4, weights: last, batch: fresh, order: second}\n",
           method, lists);
  return open_problem(yaml);
}

/* A shared vector must behave like a tensor with equal columns. The gradient of the shared vector must be the sum over
 * the columns. */
static void test_shared_head(void **state) {
  (void)state;
  static const char *const methods[] = {"maml", "leap", "reptile"};
  for (int m = 0; m < 3; m++) {
    problem shared = open_head(methods[m], ", shared: " HEAD), plain = open_head(methods[m], "");
    const wl_layout *few = &shared.of.model->phi, *all = &plain.of.model->phi;
    assert_true(few->size == all->size - 6 * 9); /* the shapes (5,10) and (10) become (5) and (1) */
    for (int j = 0; j < all->count; j++) {
      const int64_t copies = all->tensors[j].size / few->tensors[j].size;
      for (int64_t i = 0; i < all->tensors[j].size; i++)
        plain.phi[all->tensors[j].offset + i] = shared.phi[few->tensors[j].offset + i / copies];
    }
    outcome a = run_request(&shared, (request){.unit = 1}),
            b = run_request(&plain, (request){.unit = 1});
    assert_true(a.result.finite && all_equal(a.losses, b.losses, a.steps + 1));
    for (int64_t i = 0; i < a.n; i++) assert_true(a.theta[i] == b.theta[i]);
    for (int j = 0; j < all->count; j++) {
      const int64_t copies = all->tensors[j].size / few->tensors[j].size;
      double sums[512] = {0}, size = 0;
      for (int64_t i = 0; i < all->tensors[j].size && i / copies < 512; i++) {
        sums[i / copies] += b.gradient[all->tensors[j].offset + i];
        size = fmax(size, fabs(b.gradient[all->tensors[j].offset + i]));
      }
      for (int64_t i = 0; i < few->tensors[j].size && i < 512; i++)
        assert_true(fabs(a.gradient[few->tensors[j].offset + i] - sums[i]) <=
                    CLOSE * (size + 1e-12));
    }
    free_outcome(&a);
    free_outcome(&b);
    close_problem(&shared);
    close_problem(&plain);
  }
}

/* If a shared tensor is drawn, all outputs must have the values of the first output. Other tensors must not change. */
static void test_shared_head_drawn(void **state) {
  (void)state;
  problem shared = open_head("maml", ", fresh: " HEAD ", shared: " HEAD),
          plain = open_head("maml", ", fresh: " HEAD);
  wl_unroll_ws *ws[2] = {open_workspace(&shared, false, 1), open_workspace(&plain, false, 1)};
  wl_unit *unit[2] = {start_unit(&shared, ws[0], 1), start_unit(&plain, ws[1], 1)};
  const wl_layout *theta = wl_task_theta(shared.of.tasks[0]);
  for (int j = 0; j < theta->count; j++) {
    const wl_tensor_entry *b = &theta->tensors[j];
    const int64_t copies = j < 2 ? 1 : 10;
    for (int64_t i = 0; i < b->size; i++)
      assert_true(unit[0]->theta[b->offset + i] == unit[1]->theta[b->offset + i / copies * copies]);
  }
  for (int i = 0; i < 2; i++) {
    wl_unit_destroy(&unit[i]);
    wl_unroll_ws_destroy(&ws[i]);
  }
  close_problem(&shared);
  close_problem(&plain);
}

int main(void) {
  const struct CMUnitTest others[] = {cmocka_unit_test(test_identity_of_preconditioners),
                                      cmocka_unit_test(test_shared_head),
                                      cmocka_unit_test(test_shared_head_drawn),
                                      cmocka_unit_test(test_meta_sgd),
                                      cmocka_unit_test(test_scale_is_diagonal),
                                      cmocka_unit_test(test_step_gap),
                                      cmocka_unit_test(test_online),
                                      cmocka_unit_test(test_path),
                                      cmocka_unit_test(test_method_of_each_tensor)};
  enum { OTHERS = sizeof others / sizeof *others };
  struct CMUnitTest tests[IDENTITY_CASES + OTHERS];
  size_t n = 0;
  for (int i = 0; i < IDENTITY_CASES; i++)
    tests[n++] = (struct CMUnitTest){.name = identity_cases[i].warp,
                                     .test_func = test_identity,
                                     .initial_state = &identity_cases[i]};
  for (int i = 0; i < OTHERS; i++) tests[n++] = others[i];
  return _cmocka_run_group_tests("warp", tests, n, NULL, NULL);
}
