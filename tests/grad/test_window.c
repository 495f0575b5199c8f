/* test_window.c - tests the code that runs a window, in float32 and in float64. Results must not depend on the
 * storage policy, on the number of threads, or on other units. The test also covers divergence, and meta-losses with
 * different weights, transforms and batches. */
#include "unroll/window_impl.h"
#include "window_fixture.h"

#define QUADRATIC "task: {family: quadratic, dimension: 5, batch: 3}\n"
#define LSTM \
  "rule: {name: lstm, output_scale: 0.1, preprocessing: none, gradient_scale: 1.0, momentum: 0, through_inputs: true}\n"
#define MLP "task: {family: mlp, widths: [5], batch: 6}\n"

/* ---- Storage -------------------------------------------------------------------------------- */

typedef struct storage_case {
  const char *yaml;
  wl_storage storage;
  const char *stored[7]; /* descriptions of the storage policies, in the order in which these policies occur while the
                          * memory budget grows; NULL ends the list */
} storage_case;

#define SEGMENTS(kind, steps) kind " in segments of " #steps " steps"
#define FIRST QUADRATIC LSTM "window: {steps: 100}\n"
#define SECOND QUADRATIC LSTM "window: {steps: 100, order: second, loss: log}\n"

/* If the rule state is long, a segment of medium length requires the least memory. If the rule state is short, each
 * length of a segment occurs for some memory budget. If activations are stored, the shortest segment requires
 * the least memory. */
static storage_case storage_cases[] = {
    {FIRST,
     WL_STORAGE_RECOMPUTE,
     {SEGMENTS("recompute", 40), SEGMENTS("recompute", 60), "recompute"}},
    {FIRST,
     WL_STORAGE_ACTIVATIONS,
     {SEGMENTS("activations", 20), SEGMENTS("activations", 40), SEGMENTS("activations", 60),
      SEGMENTS("activations", 80), "activations"}},
    {FIRST,
     WL_STORAGE_AUTO,
     {SEGMENTS("recompute", 40), SEGMENTS("recompute", 60), "recompute", "activations"}},
    {SECOND,
     WL_STORAGE_RECOMPUTE,
     {SEGMENTS("recompute", 40), SEGMENTS("recompute", 60), "recompute"}},
    {SECOND,
     WL_STORAGE_ACTIVATIONS,
     {SEGMENTS("activations", 20), SEGMENTS("activations", 40), SEGMENTS("activations", 60),
      SEGMENTS("activations", 80), "activations"}},
    {SECOND,
     WL_STORAGE_STATES,
     {SEGMENTS("states", 20), SEGMENTS("states", 40), SEGMENTS("states", 60),
      SEGMENTS("states", 80), "states"}},
    {SECOND, WL_STORAGE_AUTO, {SEGMENTS("states", 20), "recompute", "states", "activations"}},
    {FIRST, WL_STORAGE_STATES, {SEGMENTS("recompute", 40), SEGMENTS("recompute", 60), "recompute"}},
    {FIRST, WL_STORAGE_SNAPSHOTS, {SEGMENTS("recompute", 40)}},
    {QUADRATIC "rule: {name: adam, rate: 0.02, learn: [rate, beta1]}\nwindow: {steps: 100}\n",
     WL_STORAGE_AUTO,
     {SEGMENTS("recompute", 20), SEGMENTS("recompute", 40), SEGMENTS("recompute", 60),
      SEGMENTS("recompute", 80), "recompute"}},
    {QUADRATIC "rule: {name: adam, rate: 0.02, learn: [rate, beta1]}\n"
               "window: {steps: 100, order: second}\n",
     WL_STORAGE_STATES,
     {SEGMENTS("states", 20), SEGMENTS("states", 40), SEGMENTS("states", 60),
      SEGMENTS("states", 80), "states"}},
    {MLP "rule: {name: momentum, rate: 0.1, learn: [rate]}\nprecondition: {name: diagonal}\n"
         "window: {steps: 90, order: second, batch: fresh}\n",
     WL_STORAGE_ACTIVATIONS,
     {SEGMENTS("recompute", 20), SEGMENTS("recompute", 40), SEGMENTS("recompute", 60),
      SEGMENTS("recompute", 80), "recompute"}},
    {MLP "rule: {name: momentum, rate: 0.1, learn: [rate]}\n"
         "precondition: {name: gap, noise: 0.3}\nepisode: {steps: 100, clip_norm: 0.05}\n"
         "window: {steps: 90, order: second, batch: fresh}\n",
     WL_STORAGE_RECOMPUTE,
     {SEGMENTS("recompute", 20), SEGMENTS("recompute", 40), SEGMENTS("recompute", 60),
      SEGMENTS("recompute", 80), "recompute"}},
    {MLP "rule: {name: momentum, rate: 0.1, learn: [rate]}\n"
         "precondition: {name: scalar, per: step_tensor, learn_decay: true, initial_decay: 0.1}\n"
         "window: {steps: 90, order: first}\n",
     WL_STORAGE_RECOMPUTE,
     {SEGMENTS("recompute", 20), SEGMENTS("recompute", 40), SEGMENTS("recompute", 60),
      SEGMENTS("recompute", 80), "recompute"}},
    {MLP "rule: {name: adam, rate: 0.02, learn: [rate]}\n"
         "precondition: {name: scalar, per: step_tensor, learn_skip: true, initial_skip: 0.5}\n"
         "window: {steps: 90, order: second}\n",
     WL_STORAGE_RECOMPUTE,
     {SEGMENTS("recompute", 20), SEGMENTS("recompute", 40), SEGMENTS("recompute", 60),
      SEGMENTS("recompute", 80), "recompute"}},
};
enum { STORAGE_CASES = sizeof storage_cases / sizeof *storage_cases };

static void describe(problem *p, int64_t memory, char *text, size_t size) {
  p->of.spec.memory = memory;
  wl_unroll_describe_storage(p->of.model, p->of.tasks[0], &p->of.spec, text, size);
}

/* Returns true if the memory budget is large enough to create a workspace. If the budget is too small, the error
 * message must name the key window.memory. */
static bool is_enough(const problem *p) {
  const wl_status status = wl_unroll_check_memory(p->of.model, p->of.tasks[0], &p->of.spec);
  if (status == WL_OK) return true;
  assert_int_equal(status, WL_ERR_CONFIG);
  assert_non_null(strstr(wl_last_error(), "window.memory"));
  return false;
}

/* The memory budget begins with a value that is too small, and then grows. With each new storage policy, the window
 * must have the same bits as a window that is recomputed without segments. */
static void test_storage(void **state) {
  const storage_case *c = *state;
  problem p = open_problem(c->yaml);
  p.of.spec.storage = WL_STORAGE_RECOMPUTE;
  outcome whole = run_request(&p, (request){.unit = 1});
  char now[80], last[80] = "";
  int found = 0;
  p.of.spec.storage = c->storage;
  for (int64_t memory = 64; c->stored[found]; memory += memory / 100 + 64) {
    describe(&p, memory, now, sizeof now);
    if (strcmp(now, last) == 0 || !is_enough(&p)) continue;
    assert_string_equal(now, c->stored[found++]);
    outcome other = run_request(&p, (request){.unit = 1});
    assert_same(&other, &whole);
    free_outcome(&other);
    snprintf(last, sizeof last, "%s", now);
  }
  describe(&p, (int64_t)1 << 40, now, sizeof now);
  assert_string_equal(now, last);
  free_outcome(&whole);
  close_problem(&p);
}

static void test_storages(void **state) {
  (void)state;
  for (int i = 0; i < STORAGE_CASES; i++) {
    void *one = &storage_cases[i];
    test_storage(&one);
  }
}

/* While the budget of a window of 3,000 steps grows, each of four storage policies must occur. */
static void test_long_window(void **state) {
  (void)state;
  static const char *const kinds[] = {"recompute in segments of ", "activations in segments of ",
                                      "recompute", "activations"};
  problem p = open_problem(QUADRATIC LSTM "window: {steps: 3000}\n");
  p.of.spec.storage = WL_STORAGE_RECOMPUTE;
  outcome whole = run_request(&p, (request){0});
  char text[80];
  p.of.spec.storage = WL_STORAGE_AUTO;
  int64_t memory = 100000;
  for (int kind = 0; kind < 4; memory += memory / 50) {
    describe(&p, memory, text, sizeof text);
    if (strncmp(text, kinds[kind], strlen(kinds[kind])) != 0 || !is_enough(&p)) continue;
    outcome other = run_request(&p, (request){0});
    assert_same(&other, &whole);
    free_outcome(&other);
    kind++;
  }
  free_outcome(&whole);
  close_problem(&p);
}

/* In this test, the memory is not bounded. By default, a window then stores its activations only if they occupy at most
 * WL_WINDOW_UNASKED bytes. With `storage: activations`, the window also stores larger activations. */
static void test_unasked_tape(void **state) {
  (void)state;
  char text[80];
  problem p = open_problem(QUADRATIC LSTM "window: {steps: 20}\n");
  const int64_t step =
      wl_blocks(p.of.tasks[0]->n) * p.of.model->rule->activations * (int64_t)sizeof(wl_real);
  const int64_t most = WL_WINDOW_UNASKED / step;
  const struct {
    int64_t steps;
    wl_storage storage;
    const char *stored;
  } cases[] = {{20, WL_STORAGE_AUTO, "activations"},
               {most, WL_STORAGE_AUTO, "activations"},
               {20, WL_STORAGE_ACTIVATIONS, "activations"},
               {most + 1, WL_STORAGE_AUTO, "recompute"},
               {most + 1, WL_STORAGE_ACTIVATIONS, "activations"},
               {20, WL_STORAGE_RECOMPUTE, "recompute"},
               {20, WL_STORAGE_SNAPSHOTS, "recompute"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    p.of.spec.steps = cases[i].steps;
    p.of.spec.storage = cases[i].storage;
    wl_unroll_describe_storage(p.of.model, p.of.tasks[0], &p.of.spec, text, sizeof text);
    assert_string_equal(text, cases[i].stored);
  }
  close_problem(&p);
}

/* The memory of a small job must not be rounded up to a size that only large jobs require. The job has 1,280
 * coordinates and an LSTM of 2 layers of 20 units, and the job recomputes the window. The window requires memory for
 * two copies of the rule state, for the gradients, and for the scratch memory of the kernel. */
static void test_small_job(void **state) {
  (void)state;
  problem p = open_problem("task: {family: quadratic, dimension: 10, batch: 128}\n" LSTM
                           "window: {steps: 20}\n");
  p.of.spec.storage = WL_STORAGE_RECOMPUTE;
  const int64_t reals =
      wl_unroll_ws_bytes(p.of.model, p.of.tasks[0], &p.of.spec, true, 1) / (int64_t)sizeof(wl_real);
  assert_in_range(reals, 250000, 350000);
  close_problem(&p);
}

/* The workspace divides a window into segments of a fixed length. At the end of an episode, a window may be shorter
 * than the windows for which the workspace was created. */
static void test_short_window(void **state) {
  (void)state;
  problem p = open_problem(QUADRATIC LSTM "window: {steps: 100, order: second}\n");
  static const struct {
    wl_storage storage;
    int64_t reals, segment; /* reals: largest number of stored numbers (0: unlimited); segment: number of steps of a
                             * segment */
  } cases[] = {{WL_STORAGE_RECOMPUTE, 0, 100},
               {WL_STORAGE_RECOMPUTE, 34600, 60},
               {WL_STORAGE_STATES, 0, 100},
               {WL_STORAGE_STATES, 90000, 60}};
  enum { N = sizeof cases / sizeof *cases };
  outcome first[N], second[N];
  for (int i = 0; i < N; i++) {
    p.of.spec.storage = cases[i].storage;
    p.of.spec.memory = cases[i].reals * (int64_t)sizeof(wl_real);
    wl_unroll_ws *ws = open_workspace(&p, true, 1);
    assert_int_equal(ws->plan.segment, cases[i].segment);
    wl_unit *unit = start_unit(&p, ws, 0);
    first[i] = run_window(&p, ws, unit, 30, false);
    second[i] = run_window(&p, ws, unit, 73, false);
    assert_int_equal(unit->t, 103);
    assert_same(&first[i], &first[0]);
    assert_same(&second[i], &second[0]);
    wl_unit_destroy(&unit);
    wl_unroll_ws_destroy(&ws);
  }
  for (int i = 0; i < N; i++) {
    free_outcome(&first[i]);
    free_outcome(&second[i]);
  }
  close_problem(&p);
}

/* ---- Threads and other units ---------------------------------------------------------------- */

static void test_threads(void **state) {
  problem p = open_problem(*state);
  outcome one = run_request(&p, (request){.threads = 1, .before = 1});
  outcome two = run_request(&p, (request){.threads = 2, .before = 1});
  outcome three = run_request(&p, (request){.threads = 3, .before = 1});
  assert_same(&two, &one);
  assert_same(&three, &one);
  free_outcome(&one);
  free_outcome(&two);
  free_outcome(&three);
  close_problem(&p);
}

/* If two units use one workspace alternately, the results of each unit must be the same as with a separate
 * workspace. */
static void test_interleaved(void **state) {
  problem p = open_problem(*state);
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  wl_unit *units[2] = {start_unit(&p, ws, 0), start_unit(&p, ws, 1)};
  for (int64_t window = 0; window < 3; window++)
    for (int u = 0; u < 2; u++) {
      outcome here = run_window(&p, ws, units[u], p.of.spec.steps, false);
      outcome alone = run_request(&p, (request){.unit = u, .before = window});
      assert_same(&here, &alone);
      free_outcome(&here);
      free_outcome(&alone);
    }
  wl_unit_destroy(&units[0]);
  wl_unit_destroy(&units[1]);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

/* Losses and parameters must have the same bits, whether or not the gradient is computed. */
static void test_forward_only(void **state) {
  problem p = open_problem(*state);
  outcome full = run_request(&p, (request){.before = 1});
  outcome bare = run_request(&p, (request){.before = 1, .forward = true});
  assert_memory_equal(bare.theta, full.theta, (size_t)full.n * sizeof *full.theta);
  assert_memory_equal(bare.losses, full.losses, (size_t)(full.steps + 1) * sizeof *full.losses);
  assert_true(bare.result.meta_loss == full.result.meta_loss);
  free_outcome(&full);
  free_outcome(&bare);
  close_problem(&p);
}

/* The window must add its meta-gradient to the values that the array already contains. */
static void test_accumulates(void **state) {
  (void)state;
  problem p = open_problem(QUADRATIC LSTM "window: {steps: 10, order: second}\n");
  outcome once = run_request(&p, (request){0});
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  wl_unit *unit = start_unit(&p, ws, 0);
  double *sum = NULL;
  wl_window_result result;
  assert_ok(WL_NEW(sum, once.n_phi));
  for (int64_t i = 0; i < once.n_phi; i++) sum[i] = 1.0 + (double)i;
  assert_ok(wl_window_run(ws, unit, 10, &(wl_window_options){.phi_grad = sum}, &result));
  for (int64_t i = 0; i < once.n_phi; i++) sum[i] -= 1.0 + (double)i;
  double largest = 0.0;
  for (int64_t i = 0; i < once.n_phi; i++) largest = fmax(largest, fabs(once.gradient[i]));
  for (int64_t i = 0; i < once.n_phi; i++)
    assert_true(fabs(sum[i] - once.gradient[i]) <= 1e-9 * (1.0 + largest));
  wl_free(sum);
  free_outcome(&once);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

/* ---- The meta-loss -------------------------------------------------------------------------- */

enum { K = 4 };

/* Contains the losses L_0 to L_K of a window and their gradients. The test computes every meta-loss from these
 * values. */
typedef struct parts {
  problem p;
  double loss[K + 1], start; /* outer loss at theta_0, the start of the episode */
  double *gradient[K + 1];   /* dL_k/dphi */
} parts;

static outcome run_weighted(problem *p, const double *list, wl_transform transform, double clip,
                            int64_t before) {
  p->of.spec.weights = WL_WEIGHTS_LIST;
  p->of.spec.list = list;
  p->of.spec.transform = transform;
  p->of.spec.clip = clip;
  return run_request(p, (request){.before = before});
}

static parts open_parts(int64_t before) {
  parts a = {.p = open_problem(QUADRATIC LSTM "window: {steps: 4, order: second}\n")};
  const double all[K + 1] = {1, 1, 1, 1, 1};
  for (int k = 0; k <= K; k++) {
    double one[K + 1] = {0};
    one[k] = 1.0;
    outcome o = run_weighted(&a.p, one, WL_LOSS_PLAIN, 0, before);
    a.gradient[k] = o.gradient;
    a.loss[k] = o.losses[k];
    assert_true(o.result.meta_loss == a.loss[k]);
    o.gradient = NULL;
    free_outcome(&o);
  }
  outcome first = run_weighted(&a.p, all, WL_LOSS_PLAIN, 0, 0);
  a.start = first.losses[0];
  free_outcome(&first);
  return a;
}

static void close_parts(parts *a) {
  for (int k = 0; k <= K; k++) wl_free(a->gradient[k]);
  close_problem(&a->p);
}

static double by_hand(wl_transform transform, double loss, double start, double clip,
                      double *slope) {
  *slope = transform == WL_LOSS_PLAIN     ? 1.0
           : transform == WL_LOSS_CLIPPED ? (double)(loss < clip)
                                          : 1.0 / loss;
  if (transform == WL_LOSS_LOG) return log(loss);
  if (transform == WL_LOSS_LOG_RATIO) return log(loss / start);
  return transform == WL_LOSS_CLIPPED && loss > clip ? clip : loss;
}

/* Compares the meta-loss and its gradient with weighted sums of the transformed losses of the steps. */
static void compare_parts(parts *a, const outcome *o, const double *weights, wl_transform transform,
                          double clip) {
  double total = 0.0, *gradient = NULL;
  assert_ok(WL_NEW(gradient, o->n_phi));
  for (int k = 0; k <= K; k++) {
    double slope;
    total += weights[k] * by_hand(transform, a->loss[k], a->start, clip, &slope);
    for (int64_t i = 0; i < o->n_phi; i++) gradient[i] += weights[k] * slope * a->gradient[k][i];
  }
  assert_near(&o->result.meta_loss, &total, 1, 1e-12, "meta-loss");
  assert_near(o->gradient, gradient, o->n_phi, CLOSE, "meta-gradient");
  wl_free(gradient);
}

static void test_meta_loss(void **state) {
  const int64_t before = *(const int64_t *)*state;
  static const double table[][K + 1] = {
      {1, 1, 1, 1, 1}, {0.2, 0.2, 0.2, 0.2, 0.2}, {0, 0, 0, 0, 1}, {0.5, 0, -1, 0, 3}};
  static const wl_weights names[] = {WL_WEIGHTS_SUM, WL_WEIGHTS_MEAN, WL_WEIGHTS_LAST,
                                     WL_WEIGHTS_LIST};
  parts a = open_parts(before);
  const double clip = 0.5 * (a.loss[1] + a.loss[3]);
  for (int w = 0; w < 4; w++)
    for (wl_transform t = WL_LOSS_PLAIN; t <= WL_LOSS_CLIPPED; t++) {
      a.p.of.spec.weights = names[w];
      a.p.of.spec.list = table[3];
      a.p.of.spec.transform = t;
      a.p.of.spec.clip = clip;
      outcome o = run_request(&a.p, (request){.before = before});
      compare_parts(&a, &o, table[w], t, clip);
      free_outcome(&o);
    }
  close_parts(&a);
}

/* The last window of an episode may have fewer steps than the others. The losses of such a window have the last
 * weights of the list `window.weights`. */
static void test_short_list(void **state) {
  (void)state;
  problem p = open_problem(QUADRATIC LSTM "window: {steps: 4, weights: [16, 8, 4, 2, 1]}\n");
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  wl_unit *unit = start_unit(&p, ws, 0);
  outcome o = run_window(&p, ws, unit, 2, false);
  const double expected = 4 * o.losses[0] + 2 * o.losses[1] + o.losses[2];
  assert_near(&o.result.meta_loss, &expected, 1, 1e-13, "meta-loss");
  free_outcome(&o);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

/* ---- Batches -------------------------------------------------------------------------------- */

/* Stores the parameters theta that an observer receives after each step. */
typedef struct witness {
  wl_real *theta; /* [steps][n] */
  int64_t n, steps, first;
} witness;

static void keep_step(void *context, const wl_step_view *view) {
  witness *w = context;
  assert_int_equal(view->t, w->first + w->steps);
  assert_true(isfinite(view->loss));
  memcpy(w->theta + w->steps++ * w->n, view->theta, (size_t)w->n * sizeof *w->theta);
}

/* Each loss of a window must be computed on the documented batch, at the theta of the step to which the loss
 * belongs. */
static void check_batches(const char *yaml, wl_purpose purpose, wl_split split) {
  problem p = open_problem(yaml);
  const wl_task *task = p.of.tasks[0];
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  wl_unit *unit = start_unit(&p, ws, 0);
  witness w = {.n = task->n};
  double losses[K + 1];
  wl_window_result result;
  assert_ok(WL_NEW(w.theta, K * w.n));
  for (int window = 0; window < 2; window++) { /* the second window starts at step K */
    w.first = window * K;
    w.steps = 0;
    const wl_observer observer = {.step = keep_step, .context = &w};
    const wl_window_options options = {.losses = losses, .observers = &observer};
    assert_ok(wl_window_run(ws, unit, K, &options, &result));
  }
  assert_int_equal(w.steps, K);
  for (int64_t k = 1; k <= K; k++) {
    const wl_batch batch = {purpose, split, K + k};
    assert_true(losses[k] == wl_task_loss(task, wl_unroll_task_ws(ws),
                                          &(wl_task_point){&batch, w.theta + (k - 1) * w.n, NULL},
                                          NULL, NULL));
  }
  wl_free(w.theta);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

static void test_batches(void **state) {
  (void)state;
  check_batches(MLP LSTM "window: {steps: 4}\n", WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN);
  check_batches(MLP LSTM "window: {steps: 4, batch: fresh}\n", WL_FOR_OUTER_BATCH, WL_SPLIT_TRAIN);
  check_batches(MLP LSTM "window: {steps: 4, batch: fresh, split: heldout}\n", WL_FOR_OUTER_BATCH,
                WL_SPLIT_HELDOUT);
}

/* The order of differentiation must change only the gradient. */
static void test_orders(void **state) {
  (void)state;
  problem p = open_problem(MLP LSTM "window: {steps: 10}\n");
  outcome first = run_request(&p, (request){0});
  p.of.spec.second_order = true;
  outcome second = run_request(&p, (request){0});
  assert_memory_equal(first.theta, second.theta, (size_t)first.n * sizeof *first.theta);
  assert_true(first.result.meta_loss == second.result.meta_loss);
  assert_false(all_equal(first.gradient, second.gradient, first.n_phi));
  double norm = 0.0;
  for (int64_t i = 0; i < first.n_phi; i++) norm += first.gradient[i] * first.gradient[i];
  assert_true(norm > 0.0);
  free_outcome(&first);
  free_outcome(&second);
  close_problem(&p);
}

/* ---- Divergence ----------------------------------------------------------------------------- */

/* If the losses of a unit become infinite or NaN, the window must stop and report the divergence. The next episode in
 * the same workspace must not be affected. */
static void test_divergence(void **state) {
  problem p = open_problem(*state);
  const double sane = p.phi[0];
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  p.phi[0] = sizeof(wl_real) == sizeof(double) ? 1e300 : 1e30;
  wl_unroll_set_phi(ws, p.phi);
  wl_unit *unit = start_unit(&p, ws, 0);
  for (int window = 0; window < 2; window++) {
    outcome o = run_window(&p, ws, unit, p.of.spec.steps, false);
    assert_false(o.result.finite);
    assert_true(unit->stopped);
    assert_true(window == 0 ||
                (o.result.steps == 0 && isnan(o.result.first_loss) && isnan(o.result.last_loss)));
    free_outcome(&o);
  }
  p.phi[0] = sane;
  wl_unroll_set_phi(ws, p.phi);
  wl_unit_destroy(&unit);
  unit = start_unit(&p, ws, 7);
  outcome after = run_window(&p, ws, unit, p.of.spec.steps, false);
  outcome alone = run_request(&p, (request){.unit = 7});
  assert_same(&after, &alone);
  free_outcome(&after);
  free_outcome(&alone);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

#define SGD "rule: {name: sgd, rate: 0.05, learn: [rate]}\n"
#define ADAM "rule: {name: adam, rate: 0.05, learn: [rate]}\n"
#define WIDE "task: {family: quadratic, dimension: 10, batch: 40}\n"

static int64_t none_before = 0, two_before = 2;

#define WITH(function, state_) \
  { #function " " #state_, function, NULL, NULL, (void *)(state_) }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_storages),
      cmocka_unit_test(test_small_job),
      cmocka_unit_test(test_long_window),
      cmocka_unit_test(test_unasked_tape),
      cmocka_unit_test(test_short_window),
      WITH(test_threads, WIDE LSTM "window: {steps: 10}\n"),
      WITH(test_threads, WIDE LSTM "window: {steps: 10, order: second}\n"),
      WITH(test_interleaved,
           QUADRATIC LSTM "window: {steps: 10, order: second, loss: log_ratio}\n"),
      WITH(test_interleaved, MLP ADAM "window: {steps: 5, batch: fresh}\n"),
      WITH(test_forward_only, MLP LSTM "window: {steps: 5, batch: fresh}\n"),
      WITH(test_forward_only, QUADRATIC LSTM "window: {steps: 5}\n"),
      cmocka_unit_test(test_accumulates),
      WITH(test_meta_loss, &none_before),
      WITH(test_meta_loss, &two_before),
      cmocka_unit_test(test_short_list),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_orders),
      WITH(test_divergence, QUADRATIC SGD "window: {steps: 30}\n"),
      WITH(test_divergence,
           QUADRATIC SGD "window: {steps: 30, order: second, batch: fresh, weights: last}\n"),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
