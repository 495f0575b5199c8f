/* evaluate_warp.c - measures coverage and advantage of an explicit warp of the plane (Flennerhag et
 * al. 2020, appendix D).
 *
 * For parameters theta = x, let omega(x) be the point at which the task computes its unwarped loss.
 *
 * Coverage: a grid divides the square of the starting points into cells. The coverage is the
 * fraction of the cells that contain omega(x) for at least one x in a square that is twice as wide
 * as the square of the starting points.
 *
 * Advantage: if the rule with the warp starts at x_0, the rule without the warp starts at
 * omega(x_0). The advantage is the final loss without the warp minus the final loss with the warp,
 * as a mean over sets of tasks.
 *
 * The identity map has coverage 1 and an advantage of exactly 0. */
#include <math.h>
#include <string.h>

#include "evaluate/evaluate_impl.h"

enum { CELLS = 30, POINTS_OF_CELL = 4, REACH = 2, SIDE = REACH * CELLS * POINTS_OF_CELL };

/* Marks the cell of the square [-half, half]^2 that contains y. Does nothing if y is outside the
 * square. */
static void mark(const wl_real y[2], double half, bool *cell) {
  const double i = floor(((double)y[0] + half) / (2 * half) * CELLS),
               j = floor(((double)y[1] + half) / (2 * half) * CELLS);
  if (i >= 0 && i < CELLS && j >= 0 && j < CELLS) cell[(int)i * CELLS + (int)j] = true;
}

/* Returns the coverage of the warp. Every rank computes the same coverage without communication,
 * because the computation takes less than a second. */
static wl_status measure_coverage(const wl_eval_runner *r, wl_unroll_ws *ws, double *coverage) {
  const double half = r->task->plane.half;
  bool *cell = NULL;
  int64_t reached = 0;
  WL_TRY(WL_NEW(cell, CELLS * CELLS));
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) {
      const wl_real x[2] = {(wl_real)(REACH * half * ((2 * i + 1.0) / SIDE - 1)),
                            (wl_real)(REACH * half * ((2 * j + 1.0) / SIDE - 1))};
      wl_real y[2];
      wl_task_image(r->task, wl_unroll_task_ws(ws), x, wl_unroll_warp(ws), y);
      mark(y, half, cell);
    }
  for (int i = 0; i < CELLS * CELLS; i++) reached += cell[i];
  wl_free(cell);
  *coverage = (double)reached / (CELLS * CELLS);
  return WL_OK;
}

/* Computes the point omega(theta_0) for each job of this rank, and writes the point to the row of
 * the job in `starts`. */
static wl_status find_starts(const wl_eval_runner *r, wl_unroll_ws *ws, wl_unit *unit,
                             wl_real *starts) {
  const int64_t units = r->setting->units, jobs = r->setting->seeds * units;
  for (int64_t j = wl_eval_first_job(r); j < jobs; j += wl_eval_job_stride(r)) {
    const wl_episode episode = wl_eval_episode(r, WL_SPACE_EVAL, j, units);
    WL_TRY(wl_unit_start(ws, unit, &episode));
    wl_task_image(r->task, wl_unroll_task_ws(ws), unit->theta, wl_unroll_warp(ws),
                  starts + j * r->task->n);
  }
  return WL_OK;
}

/* Computes the coverage of the warp, and the points `starts` from which the same rule without the
 * warp will start. */
static wl_status look_at_warp(const wl_eval_runner *r, const wl_contender *learned, wl_real *starts,
                              double *coverage) {
  const wl_window_spec spec = {.steps = 1, .weights = WL_WEIGHTS_LAST};
  wl_unroll_ws *ws = NULL;
  wl_unit *unit = NULL;
  wl_status status = wl_unroll_ws_create(learned->model, r->task, &spec, false, 1, &ws);
  if (status == WL_OK) status = wl_unit_create(learned->model, r->task, &unit);
  if (status == WL_OK) wl_unroll_set_phi(ws, learned->phi);
  if (status == WL_OK) status = find_starts(r, ws, unit, starts);
  if (status == WL_OK) status = measure_coverage(r, ws, coverage);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  return status;
}

static void record_advantage(const wl_eval_runner *r, const wl_outcome *plain,
                             const wl_outcome *warped, wl_eval_case *out) {
  const int64_t units = r->setting->units, seeds = r->setting->seeds;
  double gain[WL_MAX_SEEDS] = {0};
  for (int64_t j = 0; j < seeds * units; j++)
    gain[j / units] += (plain[j].final - warped[j].final) / (double)units;
  wl_evaluate_interval(gain, seeds, &out->advantage, &out->advantage_half);
}

/* Runs the rule without the warp from the points `starts`. The trained phi can be used without a
 * copy, because the meta-parameters of the rule precede the meta-parameters of the warp. */
static wl_status run_plain(const wl_eval_runner *r, const wl_real *starts, wl_outcome *plain) {
  wl_contender c = {.phi = r->trained->phi, .task = r->plain, .from = starts};
  wl_status status =
      wl_comm_agree(r->comm, wl_model_create(r->trained->config, &r->plain, 1, &c.model));
  if (status == WL_OK)
    status =
        wl_eval_run_sets(r, &c, WL_SPACE_EVAL, plain, NULL);
  wl_model_destroy(&c.model);
  return status;
}

wl_status wl_eval_warp(const wl_eval_runner *r, const wl_contender *learned,
                       const wl_outcome *outcomes, wl_eval_case *out) {
  const int64_t jobs = r->setting->seeds * r->setting->units;
  wl_real *starts = NULL;
  wl_outcome *plain = NULL;
  if (!(r->task->plane.half > 0) || learned->model->warp_size == 0) return WL_OK;
  wl_status status = WL_NEW(starts, jobs * r->task->n);
  if (status == WL_OK) status = WL_NEW(plain, jobs);
  if (status == WL_OK) status = look_at_warp(r, learned, starts, &out->coverage);
  status = wl_comm_agree(r->comm, status);
  if (status == WL_OK) status = run_plain(r, starts, plain);
  if (status == WL_OK) record_advantage(r, plain, outcomes, out);
  wl_free(starts);
  wl_free(plain);
  return status;
}
