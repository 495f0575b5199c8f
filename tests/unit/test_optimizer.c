/* test_optimizer.c - tests the functions of optimizer.h. A run through these functions must have the same bits as an
 * inner run of the trainer. The tests compare such runs for rules, preconditioners and learned initial parameters.
 * The test also covers requests that the functions must reject.
 *
 * The tests use initial meta-parameters instead of trained ones. Small numbers are added to the meta-parameters, so
 * that no meta-parameter has its default value. */
#define _GNU_SOURCE
#include "cmocka_all.h"

#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evaluate/evaluate.h"
#include "io/h5_library.h"
#include "train/problem.h"
#include "train/schema.h"
#include "warploom/optimizer.h"

enum { STEPS = 30 };
static const char *const path = "optimizer.h5";

/* Contains a problem, and its changed meta-parameters phi. The file `path` also contains phi. */
typedef struct fixture {
  wl_config *config;
  wl_problem problem;
  double *phi;
} fixture;

static const char *const plain =
    "rule: {name: lstm, preprocessing: log, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}";
static const char *const cases[] = {
    "rule: {name: lstm, preprocessing: log, output_scale: 0.1, gradient_scale: 1.0, momentum: 0}",
    "rule: {name: lstm, hidden: [7], gradient_scale: 3, preprocessing: none, output_scale: 1.0, momentum: 0}\nprecondition: {name: diagonal}",
    "rule: {name: lstm, hidden: [5, 4], preprocessing: none, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}\nprecondition: {name: kronecker}\ninitialisation: {name: maml}",
    "rule: {name: adam, rate: 0.01, learn: [rate, beta1], learn_per: tensor}",
    "rule: {name: adamw, rate: 0.01, weight_decay: 0.1, learn: [weight_decay]}",
    "rule: {name: sgd, rate: 1, learn: [rate]}\nprecondition: {name: scalar, per: tensor, initial: 0.1}",
    "rule: {name: sgd, rate: 0.1}\nprecondition: {name: gap, noise: 0.3}",
    "rule: {name: pamela, rate: 0.1, skip: 0.2, learn: [rate, decay, skip], learn_per: step_tensor}",
    "rule: {name: sgd, rate: 1}\n"
    "precondition: {name: scalar, per: step_tensor, learn_decay: true, initial: 0.1, learn_skip: true, initial_skip: 0.3}\n"
    "initialisation: {name: maml, shared: [weight]}\nepisode: {steps: 30, clip_value: 0.1}",
    "rule: {name: adam, rate: 0.01, learn: [rate]}\nepisode: {steps: 30, clip_norm: 0.3}",
};

static void open_fixture(fixture *f, const char *parts, const char *task) {
  char text[1024];
  snprintf(text, sizeof text, "seed: 4\ntask: %s\n%s\n%swindow: {steps: %d}\n", task, parts,
           strstr(parts, "episode:") ? "" : "episode: {steps: 30}\n", STEPS);
  *f = (fixture){0};
  assert_int_equal(wl_config_parse(text, "test", wl_schema(), NULL, 0, &f->config), WL_OK);
  assert_int_equal(wl_problem_create(f->config, &f->problem), WL_OK);
  const wl_layout *layout = &f->problem.model->phi;
  assert_int_equal(WL_NEW(f->phi, layout->size), WL_OK);
  assert_int_equal(wl_model_init(f->problem.model, f->problem.tasks[0], 4, f->phi), WL_OK);
  for (int64_t i = 0; i < layout->size; i++) f->phi[i] += 0.003 * sin((double)i);
  assert_int_equal(wl_trained_write(path, f->config, layout, f->phi, "0123456789abcdef", 77),
                   WL_OK);
}

static void close_fixture(fixture *f) {
  wl_problem_destroy(&f->problem);
  wl_config_destroy(&f->config);
  wl_free(f->phi);
  unlink(path);
}

static const char *const network =
    "{family: logistic, dimension: 5, classes: 3, samples: 32, batch: 8}";

/* ---- A run of the trainer's code ------------------------------------------------------------- */

typedef struct trace {
  int64_t n;
  float g[STEPS][64], theta[STEPS + 1][64];
  double loss[STEPS];
} trace;

static void observe(void *context, const wl_step_view *step) {
  trace *t = context;
  t->loss[step->t] = step->loss;
  for (int64_t i = 0; i < t->n; i++) {
    t->g[step->t][i] = (float)step->g[i];
    t->theta[step->t + 1][i] = (float)step->theta[i];
  }
}

static void run_engine(fixture *f, trace *t) {
  const wl_task *task = f->problem.tasks[0];
  wl_unroll_ws *ws = NULL;
  wl_unit *unit = NULL;
  wl_window_result result;
  t->n = task->n;
  assert_true(t->n <= 64);
  assert_int_equal(wl_unroll_ws_create(f->problem.model, task, &f->problem.spec, false, 1, &ws),
                   WL_OK);
  assert_int_equal(wl_unit_create(f->problem.model, task, &unit), WL_OK);
  wl_unroll_set_phi(ws, f->phi);
  assert_int_equal(wl_unit_start(ws, unit, &(wl_episode){9, WL_SPACE_EVAL, 1, 0}), WL_OK);
  unit->horizon = STEPS;
  for (int64_t i = 0; i < t->n; i++) t->theta[0][i] = (float)unit->theta[i];
  const wl_observer observer = {.step = observe, .context = t};
  const wl_window_options options = {.observers = &observer};
  assert_int_equal(wl_window_run(ws, unit, STEPS, &options, &result), WL_OK);
  assert_true(result.finite);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
}

/* ---- The same run through the public functions ----------------------------------------------- */

static void take_run(wl_optimizer *optimizer, const trace *t) {
  float theta[64];
  memcpy(theta, t->theta[0], sizeof theta);
  for (int k = 0; k < STEPS; k++) {
    assert_int_equal(wl_optimizer_step(optimizer, t->n, t->g[k], theta), WL_OK);
    for (int64_t i = 0; i < t->n; i++)
      if (memcmp(&theta[i], &t->theta[k + 1][i], sizeof *theta) != 0)
        fail_msg("step %d, parameter %lld: %.9g, the engine has %.9g", k, (long long)i, theta[i],
                 t->theta[k + 1][i]);
  }
}

static void same_run(wl_optimizer *optimizer, const trace *t) {
  assert_int_equal(wl_optimizer_start(optimizer, t->n), WL_OK);
  take_run(optimizer, t);
}

/* A rule may use the shapes of tensors. If the caller does not pass the shapes, wl_optimizer_start must then return an
 * error. If the caller passes the shapes, the run must have the same bits as the run of the trainer. */
static void test_tensors(void **state) {
  (void)state;
  fixture f;
  trace t = {0};
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, "rule: {name: small_fc, step_scale: 0.1}", network);
  run_engine(&f, &t);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_start(optimizer, t.n), WL_ERR_USAGE);
  assert_non_null(strstr(wl_last_error(), "wl_optimizer_start_tensors"));
  const wl_layout *const theta = wl_task_theta(f.problem.tasks[0]);
  wl_tensor_shape shapes[8];
  assert_true(theta->count <= 8);
  for (int j = 0; j < theta->count; j++) {
    shapes[j].ndim = theta->tensors[j].ndim;
    memcpy(shapes[j].shape, theta->tensors[j].shape, sizeof shapes[j].shape);
  }
  assert_int_equal(wl_optimizer_set_loss(optimizer, 1), WL_ERR_USAGE);
  assert_int_equal(wl_optimizer_start_tensors(optimizer, theta->count, shapes, wl_optimizer_horizon(optimizer)), WL_OK);
  assert_int_equal(wl_optimizer_set_loss(optimizer, 1), WL_OK);
  take_run(optimizer, &t);
  shapes[0].shape[0] = 0;
  assert_int_equal(wl_optimizer_start_tensors(optimizer, theta->count, shapes, 0), WL_ERR_USAGE);
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

static void expect_usage(wl_status status, const char *word) {
  assert_int_equal(status, WL_ERR_USAGE);
  if (!strstr(wl_last_error(), word)) fail_msg("'%s' does not name %s", wl_last_error(), word);
}

/* ---- Tensors in separate arrays, and saving and restoring the state ----------------------------- */

/* Contains the tensors of a network in separate arrays. The axes of matrices are in the opposite order. */
typedef struct scattered {
  int count;
  wl_tensor_shape shapes[8];
  float theta[8][64], gradient[8][64];
  wl_tensor_step steps[8];
} scattered;

static void scatter(const wl_layout *layout, scattered *s) {
  assert_true(layout->count <= 8);
  s->count = layout->count;
  for (int j = 0; j < s->count; j++) {
    const wl_tensor_entry *const t = &layout->tensors[j];
    s->shapes[j].ndim = t->ndim;
    memcpy(s->shapes[j].shape, t->shape, sizeof t->shape);
    s->steps[j] = (wl_tensor_step){s->gradient[j], s->theta[j], t->ndim == 2, 1, 0};
  }
}

/* Returns the position of element i of a tensor of Warploom in the caller's array. */
static int64_t exchanged(const wl_tensor_entry *t, int64_t i) {
  return t->ndim == 2 ? i % t->shape[1] * t->shape[0] + i / t->shape[1] : i;
}

static void put(const wl_layout *layout, const float *from, float to[8][64]) {
  for (int j = 0; j < layout->count; j++)
    for (int64_t i = 0; i < layout->tensors[j].size; i++)
      to[j][exchanged(&layout->tensors[j], i)] = from[layout->tensors[j].offset + i];
}

static void expect_theta(const wl_layout *layout, const scattered *s, const float *theta, int k) {
  for (int j = 0; j < s->count; j++)
    for (int64_t i = 0; i < layout->tensors[j].size; i++) {
      const float ours = s->theta[j][exchanged(&layout->tensors[j], i)],
                  engine = theta[layout->tensors[j].offset + i];
      if (memcmp(&ours, &engine, sizeof ours) != 0)
        fail_msg("step %d, tensor %d: %.9g, the engine has %.9g", k, j, (double)ours,
                 (double)engine);
    }
}

static void restart_with_state(wl_optimizer **optimizer, const scattered *s) {
  const int64_t size = wl_optimizer_state_size(*optimizer), done = wl_optimizer_steps(*optimizer);
  float *const saved = malloc((size_t)(size + 1) * sizeof *saved);
  assert_int_equal(wl_optimizer_get_state(*optimizer, size, saved), WL_OK);
  wl_optimizer_destroy(optimizer);
  assert_int_equal(wl_optimizer_load(path, optimizer), WL_OK);
  assert_int_equal(wl_optimizer_start_tensors(*optimizer, s->count, s->shapes, wl_optimizer_horizon(*optimizer)), WL_OK);
  assert_int_equal(wl_optimizer_set_state(*optimizer, size, saved, done), WL_OK);
  free(saved);
}

static void test_scattered_tensors_and_a_resume(void **state) {
  (void)state;
  static const char *const tensorwise[] = {"rule: {name: controller}", "rule: {name: small_fc}",
                                           "rule: {name: celo2, rate: 0.01}", "rule: {name: lbfgs}"};
  const size_t known = sizeof cases / sizeof *cases;
  for (size_t c = 0; c < known + 4; c++) {
    fixture f;
    trace t = {0};
    scattered s = {0};
    wl_optimizer *optimizer = NULL;
    open_fixture(&f, c < known ? cases[c] : tensorwise[c - known], network);
    const wl_layout *const layout = wl_task_theta(f.problem.tasks[0]);
    run_engine(&f, &t);
    scatter(layout, &s);
    assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
    if (c >= known) assert_int_equal(wl_optimizer_sees_tensors(optimizer), 1);
    assert_int_equal(wl_optimizer_start_tensors(optimizer, s.count, s.shapes, wl_optimizer_horizon(optimizer)), WL_OK);
    put(layout, t.theta[0], s.theta);
    for (int k = 0; k < STEPS; k++) {
      if (k == STEPS / 2) restart_with_state(&optimizer, &s);
      put(layout, t.g[k], s.gradient);
      assert_int_equal(wl_optimizer_set_loss(optimizer, t.loss[k]), WL_OK);
      assert_int_equal(wl_optimizer_step_tensors(optimizer, s.count, s.steps), WL_OK);
      expect_theta(layout, &s, t.theta[k + 1], k);
    }
    wl_optimizer_destroy(&optimizer);
    close_fixture(&f);
  }
}

/* A step must compute theta + rate (u - weight_decay theta). Each tensor has a separate rate and weight_decay. */
static void test_rate_and_decay(void **state) {
  (void)state;
  fixture f;
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, "rule: {name: sgd, rate: 0.25, learn: [rate]}", network);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_sees_tensors(optimizer), 0);
  const wl_tensor_shape shapes[] = {{2, {2, 1}}, {1, {1}}};
  float a[] = {1, 2}, b[] = {3}, ga[] = {4, 8}, gb[] = {-4};
  wl_tensor_step steps[] = {{ga, a, 0, 0.5f, 0.125f}, {gb, b, 0, 2, 0}};
  assert_int_equal(wl_optimizer_start_tensors(optimizer, 2, shapes, 0), WL_OK);
  assert_int_equal(wl_optimizer_step_tensors(optimizer, 2, steps), WL_OK);
  assert_true(a[0] == 1 - 0.5f * (1 + 0.125f) && a[1] == 2 - 0.5f * (2 + 0.25f) && b[0] == 5);
  steps[1].theta = gb;
  expect_usage(wl_optimizer_step_tensors(optimizer, 2, steps), "overlap");
  steps[1] = (wl_tensor_step){gb, b, 0, NAN, 0};
  expect_usage(wl_optimizer_step_tensors(optimizer, 2, steps), "tensor 1");
  expect_usage(wl_optimizer_step_tensors(optimizer, 1, steps), "1 tensors");
  steps[1].rate = 1;
  gb[0] = NAN;
  assert_int_equal(wl_optimizer_step_tensors(optimizer, 2, steps), WL_ERR_DATA);
  assert_non_null(strstr(wl_last_error(), "gradient of tensor 1"));
  assert_true(b[0] == 5 && wl_optimizer_steps(optimizer) == 1);
  expect_usage(wl_optimizer_get_state(optimizer, 7, a), "size is 7");
  expect_usage(wl_optimizer_set_state(optimizer, wl_optimizer_state_size(optimizer), a, -1), "-1");
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

/* Each element of a matrix with exchanged axes must have the correct update. The library processes such matrices in
 * tiles, and some tiles are not full. */
static void test_large_exchanged_matrix(void **state) {
  (void)state;
  enum { ROWS = 37, COLUMNS = 141 };
  static float theta[ROWS * COLUMNS], g[ROWS * COLUMNS];
  fixture f;
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, "rule: {name: sgd, rate: 0.25, learn: [rate]}", network);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  const wl_tensor_shape shape = {2, {ROWS, COLUMNS}};
  const wl_tensor_step step = {g, theta, 1, 1, 0};
  for (int i = 0; i < ROWS * COLUMNS; i++) g[i] = (float)(4 * i);
  assert_int_equal(wl_optimizer_start_tensors(optimizer, 1, &shape, 0), WL_OK);
  assert_int_equal(wl_optimizer_step_tensors(optimizer, 1, &step), WL_OK);
  for (int i = 0; i < ROWS * COLUMNS; i++) assert_true(theta[i] == (float)-i);
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

/* If an optimizer contains parts that belong to a network, it must accept only the tensor shapes of this network. */
static void test_shapes_of_the_network(void **state) {
  (void)state;
  fixture f;
  scattered s = {0};
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, "rule: {name: sgd, rate: 1}\nprecondition: {name: diagonal}", network);
  scatter(wl_task_theta(f.problem.tasks[0]), &s);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_start_tensors(optimizer, s.count, s.shapes, 0), WL_OK);
  expect_usage(wl_optimizer_start_tensors(optimizer, 1, s.shapes, 0), "1 tensors");
  for (int j = 0; j < s.count; j++) {
    if (s.shapes[j].ndim != 2) continue;
    const int64_t rows = s.shapes[j].shape[0];
    s.shapes[j].shape[0] = s.shapes[j].shape[1];
    s.shapes[j].shape[1] = rows;
  }
  expect_usage(wl_optimizer_start_tensors(optimizer, s.count, s.shapes, 0), "must have the shape");
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

static void test_runs_are_the_engines(void **state) {
  (void)state;
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    fixture f;
    trace t = {0};
    wl_optimizer *optimizer = NULL;
    open_fixture(&f, cases[c], network);
    run_engine(&f, &t);
    assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
    assert_int_equal(wl_optimizer_meta_parameters(optimizer), f.problem.model->phi.size);
    assert_true(memcmp(t.theta[0], t.theta[STEPS], sizeof t.theta[0]) != 0);
    same_run(optimizer, &t);
    assert_int_equal(wl_optimizer_set_threads(optimizer, 2),
                     WL_OK); /* the second run uses two threads */
    same_run(optimizer, &t);
    wl_optimizer_destroy(&optimizer);
    close_fixture(&f);
  }
}

/* An optimizer whose meta-parameters are replaced by those of another optimizer must make the same steps as the other
 * optimizer. A wrong number of meta-parameters must be rejected. */
static void test_write(void **state) {
  (void)state;
  fixture f;
  trace t = {0};
  char *text = NULL;
  wl_optimizer *optimizer = NULL;
  wl_meta_parameters given[16];
  open_fixture(&f, cases[0], network);
  run_engine(&f, &t);
  const wl_layout *const phi = &f.problem.model->phi;
  assert_true(phi->count <= 15);
  for (int j = 0; j < phi->count; j++) {
    const wl_tensor_entry *const tensor = &phi->tensors[j];
    given[j] = (wl_meta_parameters){tensor->name, tensor->size, f.phi + tensor->offset};
  }
  assert_int_equal(wl_config_to_yaml(f.config, &text), WL_OK);
  assert_int_equal(wl_optimizer_write("written.h5", text, phi->count, given), WL_OK);
  assert_int_equal(wl_optimizer_load("written.h5", &optimizer), WL_OK);
  same_run(optimizer, &t);
  wl_optimizer_destroy(&optimizer);
  unlink("written.h5");
  expect_usage(wl_optimizer_write("written.h5", text, phi->count - 1, given), "but 0 are given");
  given[phi->count] = (wl_meta_parameters){"extra", 1, f.phi};
  expect_usage(wl_optimizer_write("written.h5", text, phi->count + 1, given), "'extra'");
  f.phi[3] = NAN;
  expect_usage(wl_optimizer_write("written.h5", text, phi->count, given), "not finite");
  expect_usage(wl_optimizer_write(NULL, text, phi->count, given), "NULL");
  assert_int_equal(wl_optimizer_write("written.h5", "rule: {nam: x}", 0, NULL), WL_ERR_CONFIG);
  assert_int_equal(access("written.h5", F_OK), -1);
  free(text);
  close_fixture(&f);
}

static void test_what_it_says_of_itself(void **state) {
  (void)state;
  fixture f;
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, plain, network);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_string_equal(wl_optimizer_rule(optimizer), "lstm");
  assert_string_equal(wl_optimizer_digest(optimizer), "0123456789abcdef");
  assert_int_equal(wl_optimizer_meta_steps(optimizer), 77);
  assert_int_equal(wl_optimizer_horizon(optimizer), STEPS);
  assert_int_equal(wl_optimizer_parameters(optimizer), 0); /* any number */
  wl_optimizer_destroy(&optimizer);
  assert_null(optimizer);
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

static void test_learned_start(void **state) {
  (void)state;
  fixture f;
  trace t = {0};
  float theta[64] = {0};
  wl_optimizer *optimizer = NULL;
  open_fixture(
      &f,
      "rule: {name: lstm, preprocessing: none, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}\ninitialisation: {name: maml}",
      network);
  run_engine(&f, &t);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_parameters(optimizer), t.n);
  assert_int_equal(wl_optimizer_initial(optimizer, t.n, theta), WL_OK);
  assert_memory_equal(theta, t.theta[0], sizeof theta);
  assert_int_equal(wl_optimizer_start(optimizer, t.n + 1), WL_ERR_USAGE);
  char expected[64];
  snprintf(expected, sizeof expected, "belongs to a network of %lld parameters", (long long)t.n);
  assert_non_null(strstr(wl_last_error(), expected));
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

/* ---- Requests that must be rejected ---------------------------------------------------------- */

static void test_non_finite_gradients_change_nothing(void **state) {
  (void)state;
  fixture f;
  trace t = {0};
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, plain, network);
  run_engine(&f, &t);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_start(optimizer, t.n), WL_OK);
  float theta[64], bad[64] = {0};
  memcpy(theta, t.theta[0], sizeof theta);
  for (int k = 0; k < 3; k++) {
    bad[1] = k == 1 ? NAN : INFINITY;
    assert_int_equal(wl_optimizer_step(optimizer, t.n, bad, theta), WL_ERR_DATA);
    assert_non_null(strstr(wl_last_error(), "gradient[1]"));
    assert_int_equal(wl_optimizer_step(optimizer, t.n, t.g[k], theta), WL_OK);
    assert_memory_equal(theta, t.theta[k + 1], (size_t)t.n * sizeof *theta);
  }
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

static void test_misuse(void **state) {
  (void)state;
  fixture f;
  float x[4] = {0};
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, plain, network);
  assert_int_equal(wl_optimizer_load("absent.h5", &optimizer), WL_ERR_NO_INPUT);
  assert_null(optimizer);
  assert_int_equal(wl_optimizer_load(NULL, &optimizer), WL_ERR_USAGE);
  assert_int_equal(wl_optimizer_load(path, NULL), WL_ERR_USAGE);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_step(optimizer, 4, x, x), WL_ERR_USAGE); /* no run */
  assert_int_equal(wl_optimizer_start(optimizer, 0), WL_ERR_USAGE);
  assert_int_equal(wl_optimizer_start(optimizer, 3), WL_OK);
  assert_int_equal(wl_optimizer_step(optimizer, 4, x, x), WL_ERR_USAGE); /* another n */
  assert_int_equal(wl_optimizer_initial(optimizer, 3, x), WL_ERR_USAGE);
  assert_int_equal(wl_optimizer_set_threads(optimizer, 0), WL_ERR_USAGE);
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

static void test_null_and_overlap(void **state) {
  (void)state;
  fixture f;
  float x[8] = {0}, g[4] = {0};
  wl_optimizer *optimizer = NULL;
  expect_usage(wl_optimizer_start(NULL, 4), "wl_optimizer_start");
  expect_usage(wl_optimizer_step(NULL, 4, g, x), "wl_optimizer_step");
  expect_usage(wl_optimizer_initial(NULL, 4, x), "wl_optimizer_initial");
  expect_usage(wl_optimizer_set_threads(NULL, 1), "wl_optimizer_set_threads");
  assert_int_equal(wl_optimizer_parameters(NULL) + wl_optimizer_meta_parameters(NULL) +
                       wl_optimizer_meta_steps(NULL) + wl_optimizer_horizon(NULL),
                   0);
  assert_string_equal(wl_optimizer_rule(NULL), "");
  assert_string_equal(wl_optimizer_digest(NULL), "");
  open_fixture(&f, plain, network);
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_start(optimizer, 4), WL_OK);
  expect_usage(wl_optimizer_step(optimizer, 4, NULL, x), "gradient");
  expect_usage(wl_optimizer_step(optimizer, 4, g, NULL), "theta");
  expect_usage(wl_optimizer_initial(optimizer, 4, NULL), "theta");
  expect_usage(wl_optimizer_step(optimizer, 4, x, x), "overlap");
  expect_usage(wl_optimizer_step(optimizer, 4, x + 3, x), "overlap");
  expect_usage(wl_optimizer_step(optimizer, 4, x, x + 3), "overlap");
  assert_int_equal(wl_optimizer_step(optimizer, 4, x, x + 4), WL_OK);
  expect_usage(wl_optimizer_set_threads(optimizer, 1000000), "1000000 threads");
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

static void test_warp_layers_are_refused(void **state) {
  (void)state;
  fixture f;
  wl_optimizer *optimizer = NULL;
  open_fixture(&f, plain, "{family: quadratic, dimension: 4, batch: 2, warp: [linear]}");
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_ERR_DATA);
  assert_non_null(strstr(wl_last_error(), "warp layers"));
  assert_null(optimizer);
  close_fixture(&f);
}

/* ---- The caller's threads, floating-point state and locale ------------------------------------ */

enum { MANY = 4096, TEAM = 2 }; /* number of parameters for which the library uses TEAM threads */

/* Returns theta after some steps with subnormal gradients, all of which the library treats as zero. */
static void run_on_vanishing(int threads, float theta[MANY]) {
  static float g[MANY];
  wl_optimizer *optimizer = NULL;
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  assert_int_equal(wl_optimizer_set_threads(optimizer, threads), WL_OK);
  assert_int_equal(wl_optimizer_start(optimizer, MANY), WL_OK);
  for (int i = 0; i < MANY; i++) theta[i] = 0;
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < MANY; i++) g[i] = 1e-39f * (float)(i % 17 - 8);
    assert_int_equal(wl_optimizer_step(optimizer, MANY, g, theta), WL_OK);
  }
  wl_optimizer_destroy(&optimizer);
}

/* The caller has created the OpenMP threads that the library uses. The caller's threads have a setting that keeps
 * subnormal numbers. The library must restore this setting of each thread after each call. */
static void test_subnormals_in_the_callers_threads(void **state) {
  (void)state;
  static float one[MANY], two[MANY];
  fixture f;
  bool kept[TEAM];
  open_fixture(
      &f,
      "rule: {name: lstm, hidden: [4], momentum: 0.5, rate: 1e6, gradient_scale: 1.0, preprocessing: none, output_scale: 1.0}",
      network);
#pragma omp parallel num_threads(TEAM)
  fesetround(FE_UPWARD);
  run_on_vanishing(1, one);
  run_on_vanishing(TEAM, two);
  assert_memory_equal(one, two, sizeof one);
  volatile float smallest = 1.5e-38f;
#pragma omp parallel num_threads(TEAM)
  {
    kept[omp_get_thread_num()] = smallest * 0.25f > 0 && fegetround() == FE_UPWARD;
    fesetround(FE_TONEAREST);
  }
  for (int i = 0; i < TEAM; i++) assert_true(kept[i]);
  /* the library must round to nearest, whatever the rounding mode of the caller is */
  run_on_vanishing(1, two);
  assert_memory_equal(one, two, sizeof one);
  close_fixture(&f);
}

/* Tests a rule that runs only on the calling thread. */
static void test_subnormals_in_the_calling_thread(void **state) {
  (void)state;
  static float theta[MANY];
  fixture f;
  open_fixture(&f, "rule: {name: sgd, rate: 1, learn: [rate]}", network);
  run_on_vanishing(1, theta);
  for (int i = 0; i < MANY; i++) assert_true(theta[i] == 0);
  volatile float smallest = 1.5e-38f;
  assert_true(smallest * 0.25f > 0);
  close_fixture(&f);
}

static void printer(void) {}

/* The calling program decides whether HDF5 prints error messages. Loading an optimizer must not change this decision,
 * even if HDF5 reports errors during the call. */
static void test_printing_of_hdf5_is_the_programs(void **state) {
  (void)state;
  wl_optimizer *optimizer = NULL;
  fixture f;
  open_fixture(&f, plain, network);
  wl_h5_restore_printing((wl_h5_printing){.known = true, .function = printer, .data = &f});
  assert_int_equal(wl_optimizer_load(path, &optimizer), WL_OK);
  const wl_h5_printing after = wl_h5_save_printing();
  assert_true(after.function == printer && after.data == &f);
  wl_optimizer_destroy(&optimizer);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_runs_are_the_engines),
      cmocka_unit_test(test_tensors),
      cmocka_unit_test(test_scattered_tensors_and_a_resume),
      cmocka_unit_test(test_rate_and_decay),
      cmocka_unit_test(test_large_exchanged_matrix),
      cmocka_unit_test(test_shapes_of_the_network),
      cmocka_unit_test(test_write),
      cmocka_unit_test(test_what_it_says_of_itself),
      cmocka_unit_test(test_learned_start),
      cmocka_unit_test(test_non_finite_gradients_change_nothing),
      cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_null_and_overlap),
      cmocka_unit_test(test_warp_layers_are_refused),
      cmocka_unit_test(test_subnormals_in_the_callers_threads),
      cmocka_unit_test(test_subnormals_in_the_calling_thread),
      cmocka_unit_test(test_printing_of_hdf5_is_the_programs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
