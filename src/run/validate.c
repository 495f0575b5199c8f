/* validate.c - runs the episodes of a validation, which are divided among the ranks, and computes
 * their mean final loss. Each rank writes its losses to a table of zeros, and the tables of all
 * ranks are added. */
#include "run/validate.h"

#include <math.h>

#include "unroll/window.h"

/* Runs one episode. *loss is NaN if the final loss is not finite. */
static wl_status run_episode(wl_unroll_ws *ws, wl_unit *unit, uint64_t seed, int64_t number,
                             int64_t steps, double *loss) {
  const wl_episode episode = {seed, WL_SPACE_TUNE, 0, number};
  wl_window_result result;
  WL_TRY(wl_unit_start(ws, unit, &episode));
  unit->horizon = steps;
  WL_TRY(wl_window_run(ws, unit, steps, NULL, &result));
  const wl_split split = unit->task->family->few_shot ? WL_SPLIT_HELDOUT : WL_SPLIT_TRAIN;
  *loss = result.finite ? wl_task_evaluate(unit->task, wl_unroll_task_ws(ws), split, unit->theta,
                                           wl_unroll_warp(ws), NULL)
                        : NAN;
  return wl_task_status(unit->task);
}

/* Runs this rank's episodes of one task. */
static wl_status run_task(wl_trainer *tr, int task, const wl_validation *v, double *losses) {
  const wl_trainer_setup *s = wl_setup_of(tr);
  const wl_problem *p = &s->problem;
  const wl_window_spec spec = {.steps = v->steps, .weights = WL_WEIGHTS_LAST};
  wl_unroll_ws *ws = NULL;
  wl_unit *unit = NULL;
  wl_status status = wl_unroll_ws_create(p->model, p->tasks[task], &spec, false, s->threads, &ws);
  if (status == WL_OK) status = wl_unit_create(p->model, p->tasks[task], &unit);
  if (status == WL_OK) wl_unroll_set_phi(ws, wl_trainer_result(tr));
  for (int64_t i = wl_comm_rank(s->comm); status == WL_OK && i < v->tasks;
       i += wl_comm_size(s->comm))
    status = run_episode(ws, unit, p->seed, i, v->steps, &losses[i]);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  return status;
}

wl_status wl_run_validate(wl_trainer *tr, const wl_validation *v, double *loss) {
  const wl_trainer_setup *s = wl_setup_of(tr);
  const int64_t count = s->problem.n_tasks * v->tasks;
  double *losses = NULL;
  wl_status status = WL_NEW(losses, count);
  for (int f = 0; status == WL_OK && f < s->problem.n_tasks; f++)
    status = run_task(tr, f, v, losses + f * v->tasks);
  status = wl_comm_agree(s->comm, status);
  if (status == WL_OK)
    status = wl_comm_sum_int64(s->comm, (int64_t *)(void *)losses, (size_t)count);
  *loss = 0.0;
  for (int64_t i = 0; status == WL_OK && i < count; i++) *loss += losses[i] / (double)count;
  wl_free(losses);
  return status;
}
