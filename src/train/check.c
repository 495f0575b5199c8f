/* check.c - windows to check, directions, the ladder of h, verdicts (the criterion: check.h). */
#include "train/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/statistic.h"
#include "train/check_impl.h"

enum { LADDER = 20, HIGHER = 10, MAX_PAIRS = 4096, WORTH_THREADS = 4096 };
static const double LADDER_TOP = 0.316227766016837933; /* 10^-0.5 */
static const double LADDER_RATIO = 0.316227766016837933;
static const double AGREEMENT = 1e-12;      /* of engine and rollout */
static const double ASYMPTOTIC = 0.05;      /* errors above it say nothing about the order */
static const double ENOUGH = 1e-6;          /* a rise above it need not be rounding's */
static const double ROUNDING_MARGIN = 30.0; /* errors within it of the rounding of F neither */
static const double SMOOTH_LEAST = 1.8,
                    SMOOTH_MOST = 2.2; /* order of D itself where it converges */
static const double ORDER_LEAST = 1.7, ORDER_MOST = 2.3;
static const double BEYOND_DOUBT =
    0.01; /* share of the tolerance that no wrong gradient comes below */
static const double ZERO_MARGIN = 300.0; /* units of rounding of F that are still nothing */
static const double BEND_KEPT = 0.5;     /* least share of a bend that the next h keeps at a kink */
static const double BEND_SHARE = 3.0;    /* an error beyond so many bends is no kink's */
static const double FAINT = 0.03; /* share of the tolerance that rounding may have at the top */
static const double UNIT_ROUNDING = 2.3e-16;

/* ---- The window under test ------------------------------------------------------------------ */

static wl_status allocate_window(wl_check_window *w) {
  WL_TRY(WL_NEW(w->theta_start, w->pad));
  WL_TRY(WL_NEW(w->state_start, w->state + 1));
  WL_TRY(WL_NEW(w->theta_end, w->pad));
  return WL_NEW(w->gradient, w->problem->model->phi.size);
}

static void free_window(wl_check_window *w) {
  wl_free(w->theta_start);
  wl_free(w->state_start);
  wl_free(w->theta_end);
  wl_free(w->gradient);
}

static wl_status diverged(const wl_check_window *w, int64_t step) {
  return WL_FAIL(WL_ERR_DATA,
                 "task %d (%s): the inner run is not finite at step %lld, so there is no gradient "
                 "to check; choose a smaller rate or rule.output_scale",
                 w->number, w->task->family->name, (long long)step);
}

/* Windows before the checked one. */
static wl_status choose_start(wl_check_window *w, int64_t windows) {
  const wl_problem *p = w->problem;
  const int64_t length = p->horizon[p->n_horizon - 1], K = p->spec.steps;
  if (windows < 0) windows = length > K && !p->model->initialisation;
  if (windows > (length - 1) / K)
    return WL_FAIL(
        WL_ERR_USAGE,
        "--windows %lld: an episode of %lld steps has no window after %lld of %lld steps; "
        "give at most %lld",
        (long long)windows, (long long)length, (long long)windows, (long long)K,
        (long long)((length - 1) / K));
  w->t0 = windows * K;
  w->steps = length - w->t0 < K ? length - w->t0 : K;
  return WL_OK;
}

/* The engine's run: windows up to t0, then the one whose gradient is wanted. */
static wl_status run_engine(wl_check_window *w, wl_unroll_ws *ws, wl_unit *unit) {
  wl_window_result result;
  WL_TRY(wl_unit_start(ws, unit, &w->episode));
  while (unit->t < w->t0) {
    WL_TRY(wl_window_run(ws, unit, w->problem->spec.steps, NULL, NULL, NULL, NULL, &result));
    if (!result.finite) return diverged(w, unit->t);
  }
  memcpy(w->theta_start, unit->theta, (size_t)w->pad * sizeof(wl_real));
  memcpy(w->state_start, unit->state, (size_t)w->state * sizeof(wl_real));
  w->start_loss = unit->start_loss;
  WL_TRY(wl_window_run(ws, unit, w->steps, w->gradient, NULL, NULL, NULL, &result));
  if (!result.finite) return diverged(w, unit->t);
  memcpy(w->theta_end, unit->theta, (size_t)w->pad * sizeof(wl_real));
  w->meta_loss = result.meta_loss;
  return WL_OK;
}

/* The run's `threads`, or all cores, as check is one process; a small task is faster on one. */
static int choose_threads(const wl_config *config, int64_t n) {
  const int64_t asked = wl_map_int(wl_config_map(config, "", 0), "threads");
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (asked > 0) return (int)asked;
  return n >= WORTH_THREADS && cores > 1 ? (int)cores : 1;
}

static wl_status open_window(const wl_problem *p, const wl_config *config, int number,
                             const double *phi, int64_t windows, wl_check_window *w) {
  *w = (wl_check_window){.problem = p, .number = number, .task = p->tasks[number], .phi = phi};
  w->episode = (wl_episode){p->seed, WL_SPACE_CHECK, 0, 0};
  w->n = w->task->n;
  w->threads = choose_threads(config, w->n);
  w->pad = wl_pad(w->n);
  w->state = w->pad * p->model->rule->state_width;
  WL_TRY(choose_start(w, windows));
  wl_unroll_ws *ws = NULL;
  wl_unit *unit = NULL;
  wl_status status = allocate_window(w);
  if (status == WL_OK) status = wl_unit_create(p->model, w->task, &unit);
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

/* What the probes of one block share. */
typedef struct probe {
  const wl_check_window *window;
  wl_rollout *rollout;
  const wl_block *block;
  wl_rollout_mode mode;
  double norm;   /* of the block's gradient */
  double *phi;   /* [phi.size] scratch: the base point outside the block */
  wl_real *v;    /* [largest block] direction */
  double *order; /* [MAX_PAIRS] observed orders */
  int pairs;
  double base;      /* F at the base point */
  double moved;     /* the most that F moves on the ladder, */
  double claimed;   /* and the most that the gradient says it does */
  bool unexplained; /* some error beyond the tolerance is no kink's */
} probe;

/* One h of the ladder. */
typedef struct rung {
  double difference; /* D(h) */
  double error;      /* relative */
  double floor;      /* what rounding of F alone makes of it */
  double bend;       /* of the slopes on either side of the base point, their relative difference */
} rung;

static double shifted(probe *p, double h) {
  const wl_block *b = p->block;
  const double *base = p->window->phi + b->offset;
  for (int64_t i = 0; i < b->size; i++) p->phi[b->offset + i] = base[i] + h * (double)p->v[i];
  const double loss = wl_rollout_run(p->rollout, p->phi, p->mode);
  memcpy(p->phi + b->offset, base, (size_t)b->size * sizeof *base);
  return loss;
}

/* Whether D itself, without asking for a, converges as h^2 from rung j over the next three: a kink
 * or a clip within reach of h, or rounding, breaks that. */
static bool is_smooth(const rung *r, int j) {
  for (int i = j; i < j + 2; i++) {
    const double above = r[i].difference - r[i + 1].difference;
    const double below = r[i + 1].difference - r[i + 2].difference;
    const double order = log(above / below) / -log(LADDER_RATIO); /* NaN for opposite signs */
    if (!(order >= SMOOTH_LEAST && order <= SMOOTH_MOST)) return false;
  }
  return true;
}

/* The order of the error between neighbours on the ladder, where truncation rules it. */
static void book_orders(probe *p, const rung *r, int count) {
  for (int j = 0; j + 3 < count; j++) {
    const bool measurable =
        r[j].error <= ASYMPTOTIC && r[j + 1].error >= ROUNDING_MARGIN * r[j + 1].floor;
    if (!measurable || !(r[j + 1].error > 0.0) || !is_smooth(r, j) || p->pairs == MAX_PAIRS)
      continue;
    p->order[p->pairs++] = log(r[j].error / r[j + 1].error) / -log(LADDER_RATIO);
  }
}

/* An exact zero is none of any scale. */
static double relative(double error, double scale) { return error == 0.0 ? 0.0 : error / scale; }

/* D(h) at the next rung of the ladder. */
static rung climb_down(probe *p, double h, double a, double scale) {
  const double above = shifted(p, h), below = shifted(p, -h);
  const double difference = (above - below) / (2.0 * h);
  p->moved = fmax(p->moved, fmax(fabs(above - p->base), fabs(below - p->base)));
  p->claimed = fmax(p->claimed, h * fabs(a));
  return (rung){.difference = difference,
                .error = relative(fabs(difference - a), scale),
                .floor = UNIT_ROUNDING * p->rollout->magnitude / (h * scale),
                .bend = fabs(above - 2.0 * p->base + below) / (h * scale)};
}

/* Of a smooth F the slopes on the two sides of the base point differ by h F'', at a kink by a jump. */
static bool bend_stays(const rung *r, int j) {
  return j > 0 && r[j].bend >= BEND_KEPT * r[j - 1].bend;
}

/* Whether a kink within reach of the least h that rounding leaves readable explains the error there:
 * D is then off by no more than jumps, which do not fall with h (at the last h below them they may).
 * A wrong gradient of a smooth F, or of one whose kinks are further away, is not explained. */
static bool is_kink(const rung *r, int count) {
  int j = count - 1;
  while (j > 0 && !(r[j].floor <= 0.1 * r[j].error)) j--;
  return r[j].bend >= 10.0 * r[j].floor && r[j].error <= BEND_SHARE * r[j].bend &&
         (bend_stays(r, j) || (j > 0 && bend_stays(r, j - 1)));
}

/* Error of D without its h^2 term: two rungs cancel it, and what is left falls as h^4, which helps
 * where rounding sets in early. */
static double extrapolated_error(const rung *above, const rung *here, double a, double scale) {
  const double ratio = LADDER_RATIO * LADDER_RATIO;
  return relative(fabs((here->difference - ratio * above->difference) / (1.0 - ratio) - a), scale);
}

/* A gradient so faint that F's rounding hides it on all of the ladder shows above it, where F is still nearly
 * straight: the least error there, or `best`. (fmin leaves NaN out, as the first extrapolation is.) */
static double error_above(probe *p, double a, double scale, double tolerance, double best) {
  rung below = {.difference = NAN};
  double h = LADDER_TOP;
  for (int i = 0; i < HIGHER && !(best <= tolerance); i++) {
    h /= LADDER_RATIO;
    const rung here = {.difference = (shifted(p, h) - shifted(p, -h)) / (2.0 * h)};
    best = fmin(best, relative(fabs(here.difference - a), scale));
    best = fmin(best, extrapolated_error(&here, &below, a, scale));
    below = here;
  }
  return best;
}

/* A gradient that is zero but for rounding has no relative error: F stays where it is over the whole
 * ladder up to its rounding, and the gradient says so too. */
static bool is_zero(const probe *p) {
  const double nothing = ZERO_MARGIN * UNIT_ROUNDING * p->rollout->magnitude;
  return p->moved <= nothing && p->claimed <= nothing;
}

/* The least relative error on the ladder along v. Stops when rounding has clearly taken over. */
static double probe_direction(probe *p, double tolerance) {
  const double *gradient = p->window->gradient + p->block->offset;
  rung r[LADDER];
  int count = 0;
  double a = 0.0, best = INFINITY, h = LADDER_TOP;
  for (int64_t i = 0; i < p->block->size; i++) a += gradient[i] * (double)p->v[i];
  const double scale = fmax(fabs(a), 0.1 * p->norm);
  for (int rises = 0; count < LADDER && rises < 3; count++, h *= LADDER_RATIO) {
    r[count] = climb_down(p, h, a, scale);
    double error = r[count].error;
    if (count > 0) error = fmin(error, extrapolated_error(&r[count - 1], &r[count], a, scale));
    rises = best < ENOUGH && !(error <= best) ? rises + 1 : 0;
    if (error < best) best = error;
  }
  book_orders(p, r, count);
  const bool faint = !is_zero(p) && r[0].floor > FAINT * tolerance;
  if (faint) best = error_above(p, a, scale, tolerance, best);
  if (!(best <= tolerance) && !is_kink(r, count)) p->unexplained = true;
  return best;
}

static void judge(const probe *p, double tolerance, wl_check_block *out) {
  out->zero = is_zero(p);
  if (out->zero) out->error = 0.0;
  const bool far_below =
      out->error <= BEYOND_DOUBT * tolerance; /* kinks may bend the slope on the way */
  const bool ordered =
      isnan(out->slope) || far_below || (out->slope >= ORDER_LEAST && out->slope <= ORDER_MOST);
  out->kink = !out->zero && !(out->error <= tolerance) && !p->unexplained;
  out->passed = out->zero || out->kink || (out->error <= tolerance && ordered);
}

static void check_block(probe *p, int index, const wl_check_request *request, wl_check_block *out) {
  const wl_block *b = p->block;
  const wl_check_window *w = p->window;
  *out = (wl_check_block){.task = w->number, .ndim = b->ndim};
  memcpy(out->name, b->name, sizeof out->name);
  memcpy(out->shape, b->shape, sizeof out->shape);
  out->norm = p->norm = wl_norm(w->gradient + b->offset, b->size);
  p->pairs = 0;
  p->moved = p->claimed = 0.0;
  p->unexplained = false;
  p->base = wl_rollout_run(p->rollout, p->phi, p->mode);
  for (int d = 0; d < request->directions; d++) {
    const wl_stream stream = {w->problem->seed, WL_FOR_PROBE,        WL_SPACE_CHECK,
                              (uint64_t)index,  (uint64_t)w->number, (uint64_t)d};
    wl_rng_normal(stream, 0, b->size, 1.0, p->v);
    const double error = probe_direction(p, request->tolerance);
    if (!(error <= out->error)) out->error = error;
  }
  out->slope = p->pairs < 2 ? NAN : wl_median(p->order, p->pairs);
  judge(p, request->tolerance, out);
}

/* ---- One task, all tasks -------------------------------------------------------------------- */

/* Books a relative difference; NaN counts as disagreement. */
static void book_disagreement(double difference, wl_check_task *out) {
  out->passed = out->passed && difference <= AGREEMENT;
  if (!(difference <= out->disagreement)) out->disagreement = difference;
}

/* Engine and rollout must tell the same story before their derivatives are compared. */
static void compare_runs(const wl_check_window *w, double meta_loss, const wl_rollout *r,
                         wl_check_task *out) {
  *out = (wl_check_task){
      .n = w->n, .t0 = w->t0, .steps = w->steps, .meta_loss = w->meta_loss, .passed = true};
  snprintf(out->family, sizeof out->family, "%s", w->task->family->name);
  const wl_real *end = r->thetas + w->steps * w->pad;
  double size = 1.0;
  for (int64_t i = 0; i < w->n; i++) size = fmax(size, fabs((double)w->theta_end[i]));
  for (int64_t i = 0; i < w->n; i++)
    book_disagreement(fabs((double)(end[i] - w->theta_end[i])) / size, out);
  book_disagreement(fabs(meta_loss - w->meta_loss) / fmax(r->magnitude, 1e-300), out);
}

static wl_status allocate_probe(probe *p, const wl_layout *phi) {
  int64_t largest = 1;
  for (int i = 0; i < phi->count; i++)
    if (phi->blocks[i].size > largest) largest = phi->blocks[i].size;
  WL_TRY(WL_NEW(p->phi, phi->size));
  WL_TRY(WL_NEW(p->v, largest));
  return WL_NEW(p->order, MAX_PAIRS);
}

/* Leap and Reptile learn theta_0 from the path: their gradient is none of the meta-loss's. */
static bool follows_meta_loss(const wl_model *m, const wl_block *block) {
  return block->offset < m->theta0_at ||
         wl_initialisation_is_adjoint(m->initialisation, block->offset - m->theta0_at);
}

static wl_status check_blocks(probe *p, const wl_check_request *request, wl_check_report *report) {
  const wl_layout *phi = &p->window->problem->model->phi;
  WL_TRY(allocate_probe(p, phi));
  memcpy(p->phi, p->window->phi, (size_t)phi->size * sizeof *p->phi);
  for (int i = 0; i < phi->count; i++) {
    p->block = &phi->blocks[i];
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
  wl_status status = wl_problem_start(config, p->model, p->tasks[0], p->seed, phi);
  if (status == WL_OK && request->dump) status = wl_dump_create(p, phi, &dump);
  if (status == WL_OK) status = check_tasks(p, phi, config, request, dump, report);
  wl_dump_destroy(&dump);
  wl_free(phi);
  return status;
}

static wl_status refuse_partial(void) {
  return WL_FAIL(
      WL_ERR_CONFIG,
      "rule.through_inputs=false leaves out a part of second-order meta-gradients on purpose, "
      "which differences would miss; check with --set rule.through_inputs=true");
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
  const wl_status status = problem.spec.second_order && problem.model->rule->partial_gbar
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
