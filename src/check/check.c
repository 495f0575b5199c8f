/* check.c - chooses windows and directions, and decides whether each block passes. The criteria are in check.h. */
#include "check/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cores.h"
#include "base/log.h"
#include "base/statistic.h"
#include "check/check_impl.h"
#include "check/check_ladder.h"
#include "estimator/estimator.h"
#include "run/trained.h"
#include "train/schema.h"

enum { MAX_ORDERS = 4096, WORTH_THREADS = 4096, START_STREAM = 1 << 20 };
/* standard deviation of the numbers that replace zeros in phi */
static const double MOVED_BY = 0.01;
/* largest accepted relative difference between engine and rollout */
static const double AGREEMENT = 1e-12;
static const double ORDER_LEAST = 1.7, ORDER_MOST = 2.3;
/* share of the tolerance; a block whose error is at most this share passes with any order of the
 * error in h */
static const double BEYOND_DOUBT = 0.01;

/* ---- The window under test ------------------------------------------------------------------ */

static wl_status allocate_window(wl_check_window *w) {
  WL_TRY(WL_NEW(w->theta_start, w->pad));
  WL_TRY(WL_NEW(w->state_start, w->state + 1));
  WL_TRY(WL_NEW(w->theta_end, w->pad));
  if (w->teacher)
    WL_TRY(WL_NEW(w->teacher_start, wl_rule_state_reals(w->teacher, wl_task_theta(w->task))));
  return WL_NEW(w->gradient, w->problem->model->phi.size);
}

static void free_window(wl_check_window *w) {
  wl_free(w->theta_start);
  wl_free(w->state_start);
  wl_free(w->theta_end);
  wl_free(w->teacher_start);
  wl_free(w->gradient);
}

static wl_status diverged(const wl_check_window *w, int64_t step) {
  return WL_FAIL(WL_ERR_DATA,
                 "task %d (%s): the inner run is not finite at step %lld, so there is no gradient "
                 "to check; choose a smaller rate or rule.output_scale",
                 w->number, w->task->family->name, (long long)step);
}

/* Chooses how many windows precede the window under test, and sets the first step and the number of
 * steps of the window under test. */
static wl_status choose_start(wl_check_window *w, int64_t windows) {
  const wl_problem *p = w->problem;
  const int64_t length = p->horizon[p->n_horizon - 1], K = p->spec.steps;
  if (windows < 0) windows = length > K && !p->model->initialisation;
  if (windows > (length - 1) / K)
    return WL_FAIL(
        WL_ERR_USAGE,
        "--windows %lld: an episode of %lld steps has no further window after %lld windows of %lld steps; give at most "
        "%lld",
        (long long)windows, (long long)length, (long long)windows, (long long)K,
        (long long)((length - 1) / K));
  w->t0 = windows * K;
  w->steps = length - w->t0 < K ? length - w->t0 : K;
  return WL_OK;
}

/* Runs the engine up to the window under test, and then runs the engine over this window. */
static wl_status run_engine(wl_check_window *w, wl_unroll_ws *ws, wl_unit *unit) {
  wl_window_result result;
  WL_TRY(wl_unit_start(ws, unit, &w->episode));
  unit->horizon = w->problem->horizon[w->problem->n_horizon - 1];
  if (w->teacher) *unit->imitates = true;
  while (unit->t < w->t0) {
    WL_TRY(wl_window_run(ws, unit, w->problem->spec.steps, NULL, &result));
    if (!result.finite) return diverged(w, unit->t);
  }
  memcpy(w->theta_start, unit->theta, (size_t)w->pad * sizeof(wl_real));
  memcpy(w->state_start, unit->state, (size_t)w->state * sizeof(wl_real));
  if (w->teacher)
    memcpy(w->teacher_start, unit->teacher_state,
           (size_t)wl_rule_state_reals(w->teacher, wl_task_theta(w->task)) * sizeof(wl_real));
  w->start_loss = unit->start_loss;
  WL_TRY(wl_window_run(ws, unit, w->steps, &(wl_window_options){.phi_grad = w->gradient}, &result));
  if (!result.finite) return diverged(w, unit->t);
  memcpy(w->theta_end, unit->theta, (size_t)w->pad * sizeof(wl_real));
  w->meta_loss = result.meta_loss;
  return WL_OK;
}

/* Returns the number of threads that check a task with n parameters. By default, a small task is
 * checked with one thread. A larger task is checked with one thread for each core, because the
 * check runs in one process. The key `threads` sets another number of threads. */
static int choose_threads(const wl_config *config, int64_t n) {
  const int64_t asked = wl_schema_run(config).threads;
  const int cores = wl_cores_allowed();
  if (asked > 0) return (int)asked;
  return n >= WORTH_THREADS && cores > 1 ? cores : 1;
}

static wl_status open_window(const wl_problem *p, const wl_config *config, int number,
                             const double *phi, int64_t windows, wl_check_window *w) {
  *w = (wl_check_window){.problem = p, .number = number, .task = p->tasks[number], .phi = phi};
  w->episode = (wl_episode){p->seed, WL_SPACE_CHECK, 0, 0};
  w->n = w->task->n;
  w->threads = choose_threads(config, w->n);
  w->pad = wl_pad(w->n);
  w->state = wl_model_state(p->model, wl_task_theta(w->task));
  w->teacher = p->imitation ? wl_imitation_teacher(p->imitation) : NULL;
  WL_TRY(choose_start(w, windows));
  wl_unroll_ws *ws = NULL;
  wl_unit *unit = NULL;
  wl_status status = allocate_window(w);
  const wl_unit_shape shape = {.particles = 1, .teacher = w->teacher};
  if (status == WL_OK) status = wl_unit_create_with(p->model, w->task, &shape, &unit);
  if (status == WL_OK)
    status = wl_unroll_ws_create(p->model, w->task, &p->spec, true, w->threads, &ws);
  if (status == WL_OK) {
    wl_unroll_set_phi(ws, phi);
    status = run_engine(w, ws, unit);
  }
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  return status;
}

/* ---- Differences ---------------------------------------------------------------------------- */

/* The data that all probes of one block share. A probe tests the gradient along one direction. */
typedef struct probe {
  const wl_check_window *window;
  wl_rollout *rollout;
  const wl_tensor_entry *block;
  wl_rollout_mode mode;
  double *phi;   /* temporary copy of phi [phi.size]; only the block differs from the base point */
  wl_real *v;    /* direction in the block [size of the largest block] */
  double *order; /* measured orders of the error in h [MAX_ORDERS] */
  int orders;
  double moved;   /* largest change of F on the ladder of h */
  double claimed; /* largest change of F on the ladder of h, computed from the gradient */
  /* `kink` and `faint` are true if a kink or rounding explains an error above the tolerance.
   * `unexplained` is true if neither explains such an error. */
  bool kink, faint, unexplained;
} probe;

static double shifted(void *context, double h) {
  const probe *p = context;
  const wl_tensor_entry *b = p->block;
  const double *base = p->window->phi + b->offset;
  for (int64_t i = 0; i < b->size; i++) p->phi[b->offset + i] = base[i] + h * (double)p->v[i];
  const double loss = wl_rollout_run(p->rollout, p->phi, p->mode);
  memcpy(p->phi + b->offset, base, (size_t)b->size * sizeof *base);
  return loss;
}

static void accumulate(probe *p, const wl_ladder *l) {
  p->moved = fmax(p->moved, l->moved);
  p->claimed = fmax(p->claimed, l->claimed);
  for (int i = 0; i < l->orders && p->orders < MAX_ORDERS; i++) p->order[p->orders++] = l->order[i];
  if (l->error <= l->tolerance) return;
  p->kink |= l->kink;
  p->faint |= l->faint;
  p->unexplained |= !l->kink && !l->faint;
}

/* Tests the gradient along the direction p->v, and returns the lowest relative error on the ladder
 * of h. `base` is F at the base point, and `norm` is the norm of the block's gradient. */
static double probe_direction(probe *p, double base, double norm, double tolerance) {
  const double *gradient = p->window->gradient + p->block->offset;
  double a = 0.0;
  for (int64_t i = 0; i < p->block->size; i++) a += gradient[i] * (double)p->v[i];
  wl_ladder l = {.loss = shifted,
                 .context = p,
                 .base = base,
                 .magnitude = p->rollout->magnitude,
                 .claim = a,
                 .scale = fmax(fabs(a), 0.1 * norm),
                 .tolerance = tolerance};
  wl_ladder_climb(&l);
  accumulate(p, &l);
  return l.error;
}

static void judge(const probe *p, double tolerance, wl_check_block *out) {
  out->zero = wl_ladder_is_zero(p->rollout->magnitude, p->moved, p->claimed);
  if (out->zero) out->error = 0.0;
  const bool far_below =
      out->error <= BEYOND_DOUBT * tolerance; /* a kink may change the order of the error */
  const bool ordered =
      isnan(out->slope) || far_below || (out->slope >= ORDER_LEAST && out->slope <= ORDER_MOST);
  const bool undecided = !out->zero && !(out->error <= tolerance) && !p->unexplained;
  out->kink = undecided && p->kink;
  out->faint = undecided && !p->kink;
  out->passed = out->zero || undecided || (out->error <= tolerance && ordered);
}

static void check_block(probe *p, int index, const wl_check_request *request, wl_check_block *out) {
  const wl_tensor_entry *b = p->block;
  const wl_check_window *w = p->window;
  *out = (wl_check_block){.task = w->number, .ndim = b->ndim};
  memcpy(out->name, b->name, sizeof out->name);
  memcpy(out->shape, b->shape, sizeof out->shape);
  out->norm = wl_statistic_norm(w->gradient + b->offset, b->size);
  p->orders = 0;
  p->moved = p->claimed = 0.0;
  p->kink = p->faint = p->unexplained = false;
  const double base = wl_rollout_run(p->rollout, p->phi, p->mode);
  for (int d = 0; d < request->directions; d++) {
    const wl_stream stream = {w->problem->seed, WL_FOR_PROBE,        WL_SPACE_CHECK,
                              (uint64_t)index,  (uint64_t)w->number, (uint64_t)d};
    wl_rng_normal(stream, 0, b->size, 1.0, p->v);
    const double error = probe_direction(p, base, out->norm, request->tolerance);
    if (!(error <= out->error)) out->error = error;
  }
  out->slope = p->orders < 2 ? NAN : wl_median(p->order, p->orders);
  judge(p, request->tolerance, out);
}

/* ---- The check of one task and of all tasks -------------------------------------------------- */

/* Keeps the largest relative difference so far in out->disagreement. The comparison fails if a
 * difference is above AGREEMENT or is NaN. */
static void accumulate_disagreement(double difference, wl_check_task *out) {
  out->passed = out->passed && difference <= AGREEMENT;
  if (!(difference <= out->disagreement)) out->disagreement = difference;
}

/* Compares the meta-loss and the final theta of engine and rollout. The derivatives are compared
 * only if these values agree. */
static void compare_runs(const wl_check_window *w, double meta_loss, const wl_rollout *r,
                         wl_check_task *out) {
  *out = (wl_check_task){
      .n = w->n, .t0 = w->t0, .steps = w->steps, .meta_loss = w->meta_loss, .passed = true};
  snprintf(out->family, sizeof out->family, "%s", w->task->family->name);
  const wl_real *end = r->thetas + w->steps * w->pad;
  double size = 1.0;
  for (int64_t i = 0; i < w->n; i++) size = fmax(size, fabs((double)w->theta_end[i]));
  for (int64_t i = 0; i < w->n; i++)
    accumulate_disagreement(fabs((double)(end[i] - w->theta_end[i])) / size, out);
  accumulate_disagreement(fabs(meta_loss - w->meta_loss) / fmax(r->magnitude, 1e-300), out);
}

static wl_status allocate_probe(probe *p, const wl_layout *phi) {
  int64_t largest = 1;
  for (int i = 0; i < phi->count; i++)
    if (phi->tensors[i].size > largest) largest = phi->tensors[i].size;
  WL_TRY(WL_NEW(p->phi, phi->size));
  WL_TRY(WL_NEW(p->v, largest));
  return WL_NEW(p->order, MAX_ORDERS);
}

/* Returns true if the update of a block is the gradient of the meta-loss. Leap and Reptile compute
 * the update of theta_0 from the path of inner steps, so their update is another vector. */
static bool follows_meta_loss(const wl_model *m, const wl_tensor_entry *block) {
  return block->offset < m->theta0_at ||
         wl_initialisation_is_adjoint(m->initialisation, block->offset - m->theta0_at);
}

static wl_status check_blocks(probe *p, const wl_check_request *request, wl_check_report *report) {
  const wl_layout *phi = &p->window->problem->model->phi;
  WL_TRY(allocate_probe(p, phi));
  memcpy(p->phi, p->window->phi, (size_t)phi->size * sizeof *p->phi);
  for (int i = 0; i < phi->count; i++) {
    p->block = &phi->tensors[i];
    if (!follows_meta_loss(p->window->problem->model, p->block)) continue;
    wl_check_block *out = &report->blocks[report->count++];
    check_block(p, i, request, out);
    report->passed = report->passed && out->passed;
    wl_log_progress("block", report->count, (long)report->n_tasks * phi->count, p->block->name);
  }
  return WL_OK;
}

static wl_status check_window(const wl_check_window *w, const wl_check_request *request,
                              wl_dump *dump, wl_check_report *report) {
  wl_rollout *rollout = NULL;
  WL_TRY(wl_rollout_create(w, &rollout));
  const double meta_loss = wl_rollout_run(rollout, w->phi, WL_ROLLOUT_TRACE);
  wl_check_task *task = &report->tasks[w->number];
  compare_runs(w, meta_loss, rollout, task);
  report->passed = report->passed && task->passed;
  wl_status status = dump ? wl_dump_add(dump, w, rollout) : WL_OK;
  probe p = {.window = w, .rollout = rollout};
  p.mode = w->problem->spec.second_order ? WL_ROLLOUT_REAL : WL_ROLLOUT_FROZEN;
  if (status == WL_OK) status = check_blocks(&p, request, report);
  if (status == WL_OK) status = wl_task_status(w->task);
  wl_free(p.phi);
  wl_free(p.v);
  wl_free(p.order);
  wl_rollout_destroy(&rollout);
  return status;
}

static wl_status check_tasks(const wl_problem *p, const double *phi, const wl_config *config,
                             const wl_check_request *request, wl_dump *dump,
                             wl_check_report *report) {
  for (int i = 0; i < p->n_tasks; i++) {
    wl_check_window window;
    wl_status status = open_window(p, config, i, phi, request->windows, &window);
    if (status == WL_OK) status = check_window(&window, request, dump, report);
    free_window(&window);
    WL_TRY(status);
  }
  wl_log_progress_end();
  return dump ? wl_dump_write(dump, config, request->dump) : WL_OK;
}

static bool is_zero(const double *values, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (values[i] != 0.0) return false;
  return true;
}

/* Adds small random numbers to the blocks that start at zero. A block of zeros may hide errors of
 * other blocks. For example, if the output layer is zero, every gradient of the layers before the
 * output layer is zero. The check calls this function if a gradient is exactly zero, so that all
 * other blocks are tested. */
static wl_status move_from_zero(const wl_problem *p, double *phi, wl_check_report *report) {
  const wl_layout *layout = &p->model->phi;
  wl_real *noise = NULL;
  WL_TRY(WL_NEW(noise, layout->size + 1));
  for (int i = 0; i < layout->count; i++) {
    const wl_tensor_entry *b = &layout->tensors[i];
    if (!is_zero(phi + b->offset, b->size)) continue;
    const wl_stream stream = {p->seed, WL_FOR_PROBE, WL_SPACE_CHECK, (uint64_t)i, 0, START_STREAM};
    wl_rng_normal(stream, 0, b->size, MOVED_BY, noise);
    for (int64_t j = 0; j < b->size; j++) phi[b->offset + j] = (double)noise[j];
    report->moved++;
  }
  wl_free(noise);
  return WL_OK;
}

/* Sets *silent to true if a block of the engine's gradient is exactly zero in the window of any task. */
static wl_status find_silent_blocks(const wl_problem *p, const double *phi, const wl_config *config,
                                    const wl_check_request *request, bool *silent) {
  const wl_layout *layout = &p->model->phi;
  *silent = false;
  for (int i = 0; i < p->n_tasks; i++) {
    wl_check_window window;
    const wl_status status = open_window(p, config, i, phi, request->windows, &window);
    for (int b = 0; status == WL_OK && b < layout->count; b++)
      *silent |= is_zero(window.gradient + layout->tensors[b].offset, layout->tensors[b].size);
    free_window(&window);
    WL_TRY(status);
  }
  return WL_OK;
}

static wl_status choose_base_point(const wl_problem *p, const wl_config *config,
                                   const wl_check_request *request, double *phi,
                                   wl_check_report *report) {
  bool silent;
  WL_TRY(wl_trained_start(config, p->model, p->tasks[0], p->seed, phi));
  WL_TRY(find_silent_blocks(p, phi, config, request, &silent));
  return silent ? move_from_zero(p, phi, report) : WL_OK;
}

static void count_zeros(wl_check_report *report) {
  for (int i = 0; i < report->count; i++) report->zeros += report->blocks[i].zero;
  report->untested = 2 * report->zeros > report->count;
}

static wl_status check_problem(const wl_problem *p, const wl_config *config,
                               const wl_check_request *request, wl_check_report *report) {
  double *phi = NULL;
  wl_dump *dump = NULL;
  WL_TRY(WL_NEW(report->tasks, p->n_tasks));
  WL_TRY(WL_NEW(report->blocks, p->n_tasks * p->model->phi.count));
  WL_TRY(WL_NEW(phi, p->model->phi.size));
  report->n_tasks = p->n_tasks;
  report->second_order = p->spec.second_order;
  report->passed = true;
  wl_status status = choose_base_point(p, config, request, phi, report);
  if (status == WL_OK) status = wl_check_pure(p, phi);
  if (status == WL_OK && request->dump) status = wl_dump_create(p, phi, &dump);
  if (status == WL_OK) status = check_tasks(p, phi, config, request, dump, report);
  count_zeros(report);
  wl_dump_destroy(&dump);
  wl_free(phi);
  return status;
}

static wl_status refuse_partial(void) {
  return WL_FAIL(
      WL_ERR_CONFIG,
      "rule.through_inputs=false omits a part of second-order meta-gradients on purpose, so they differ from "
      "finite differences; check with --set rule.through_inputs=true");
}

wl_status wl_check(const wl_config *config, const wl_check_request *request,
                   wl_check_report *report) {
  wl_problem problem;
  *report = (wl_check_report){0};
  if (sizeof(wl_real) != sizeof(double))
    return WL_FAIL(WL_ERR_USAGE,
                   "gradients are checked in float64, and this build computes in %s; "
                   "run `warploom check`, which starts the float64 build",
                   WL_REAL_NAME);
  WL_TRY(wl_problem_create(config, &problem));
  wl_status status = wl_estimator_need_adjoint(config, problem.model);
  if (status == WL_OK)
    status = problem.spec.second_order && problem.model->rule->partial_gbar
                 ? refuse_partial()
                 : check_problem(&problem, config, request, report);
  wl_problem_destroy(&problem);
  if (status != WL_OK) wl_check_report_clear(report);
  return status;
}

void wl_check_report_clear(wl_check_report *report) {
  wl_free(report->tasks);
  wl_free(report->blocks);
  *report = (wl_check_report){0};
}
