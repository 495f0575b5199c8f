/* evaluate_run.c - runs rules on tasks and distributes the runs over the ranks.
 *
 * A job is one episode of one rule on one task. Every rank has a table of the results of all jobs,
 * and writes only the rows of its own jobs. The rows of other ranks' jobs have only zero bits, so
 * the sum of the tables over ranks is exact. */
#include <math.h>
#include <string.h>

#include "evaluate/evaluate_impl.h"

enum { OUTCOME_VALUES = sizeof(wl_outcome) / sizeof(double) };

typedef struct curve_context {
  double *loss;
  int64_t t;
} curve_context;

static void keep_loss(void *context, const wl_step_view *step) {
  ((curve_context *)context)->loss[step->t] = step->loss;
}

/* Describes one episode of a rule and the results of the episode that must be computed. */
typedef struct episode_job {
  wl_episode episode;
  bool all;            /* true to compute all members of wl_outcome; false to compute only the
                        * members `final` and `diverged` */
  const wl_real *from; /* [n] parameters from which the episode starts; NULL means theta_0 */
  /* [steps] receives the minibatch losses; NULL means that the losses are not recorded */
  double *curve;
} episode_job;

/* Returns the loss at the current theta on the fixed sample of a split. Few-shot tasks always use
 * the held-out split, which is the query set. */
static double measure(const wl_eval_runner *r, wl_unroll_ws *ws, const wl_unit *unit,
                      wl_split split, double *accuracy) {
  return wl_task_evaluate(unit->task, wl_unroll_task_ws(ws), r->few_shot ? WL_SPLIT_HELDOUT : split,
                          unit->theta, wl_unroll_warp(ws), accuracy);
}

static wl_status run_episode(const wl_eval_runner *r, wl_unroll_ws *ws, wl_unit *unit,
                             const episode_job *job, wl_outcome *o) {
  curve_context context = {job->curve, 0};
  wl_window_result result;
  WL_TRY(wl_unit_start(ws, unit, &job->episode));
  unit->horizon = r->setting->steps;
  if (job->from) memcpy(unit->theta, job->from, (size_t)unit->task->n * sizeof *job->from);
  o->start = job->all ? measure(r, ws, unit, WL_SPLIT_TRAIN, NULL) : NAN;
  const wl_observer curve = {.step = keep_loss, .context = &context};
  const wl_window_options options = {.observers = job->curve ? &curve : NULL};
  WL_TRY(wl_window_run(ws, unit, r->setting->steps, &options, &result));
  for (int64_t t = result.steps; job->curve && t < r->setting->steps; t++) job->curve[t] = NAN;
  o->diverged = !result.finite;
  o->final = o->heldout = o->accuracy = NAN;
  if (!result.finite) return WL_OK;
  o->final = measure(r, ws, unit, WL_SPLIT_TRAIN, NULL);
  if (job->all) o->heldout = measure(r, ws, unit, WL_SPLIT_HELDOUT, &o->accuracy);
  o->diverged = !isfinite(o->final);
  return wl_task_status(unit->task);
}

/* Sums the tables of all ranks element by element. The sum treats the 64 bits of each double as an
 * integer. The sum is exact, because each element is written by one rank and has only zero bits on
 * all other ranks. */
static wl_status share(wl_comm *comm, wl_status mine, double *values, int64_t count) {
  WL_TRY(wl_comm_agree(comm, mine));
  return wl_comm_sum_int64(comm, (int64_t *)(void *)values, (size_t)count);
}

wl_status wl_eval_run_sets(const wl_eval_runner *r, const wl_contender *c, wl_space space,
                           wl_outcome *outcomes, double *curves) {
  const wl_window_spec spec = {.steps = r->setting->steps, .weights = WL_WEIGHTS_LAST, .memory = 0};
  const bool tuning = space == WL_SPACE_TUNE;
  const int64_t units = tuning ? r->setting->tune_units : r->setting->units;
  const int64_t jobs = (tuning ? 1 : r->setting->seeds) * units, steps = r->setting->steps;
  wl_unroll_ws *ws = NULL;
  wl_unit *unit = NULL;
  memset(outcomes, 0, (size_t)jobs * sizeof *outcomes);
  if (curves) memset(curves, 0, (size_t)(jobs * steps) * sizeof *curves);
  wl_status status = wl_unroll_ws_create(c->model, c->task, &spec, false, r->setting->threads, &ws);
  if (status == WL_OK) status = wl_unit_create(c->model, c->task, &unit);
  if (status == WL_OK) wl_unroll_set_phi(ws, c->phi);
  for (int64_t j = wl_eval_first_job(r); status == WL_OK && j < jobs; j += wl_eval_job_stride(r)) {
    const episode_job job = {wl_eval_episode(r, space, j, units), space == WL_SPACE_EVAL,
                             c->from ? c->from + j * c->task->n : NULL,
                             curves ? curves + j * steps : NULL};
    status = run_episode(r, ws, unit, &job, &outcomes[j]);
  }
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  WL_TRY(share(r->comm, status, (double *)(void *)outcomes, jobs * OUTCOME_VALUES));
  return curves ? share(r->comm, WL_OK, curves, jobs * steps) : WL_OK;
}
