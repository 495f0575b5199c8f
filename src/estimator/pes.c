/* pes.c - estimates the meta-gradient by persistent evolution strategies (Vicol et al. 2021). Each
 * pair draws a new perturbation for each window.
 *
 *   A <- A + eps,   g = A (F(+) - F(-)) / (2 sigma^2),   A = 0 at the episode's start
 *
 * The vector A sums the perturbations of all windows since the episode began. Like the estimate of
 * nres, this estimate is unbiased. The variance of this estimate grows with the number of
 * windows. */
#include "estimator/antithetic.h"

static wl_status create(const wl_map *map, wl_estimator *e) {
  WL_TRY(wl_antithetic_create(map, e));
  e->shape.accumulators = (int)e->es.pairs;
  return WL_OK;
}

static wl_status run(const wl_estimator *e, const wl_estimator_job *job, wl_run_outcome *out) {
  return wl_antithetic_pair(e, job, job->t, out);
}

static void finish(const wl_estimator *e, const wl_estimator_job *job,
                   const wl_run_outcome *outcomes) {
  const int64_t n = e->model->phi.size;
  for (int p = 0; p < (int)e->es.pairs; p++) {
    double *const sum = job->unit->accumulator + p * n;
    const wl_real *eps = wl_antithetic_draw(e, job, p, job->t);
    const double slope = wl_antithetic_slope(e, job, p, outcomes);
    for (int64_t i = 0; i < n; i++) {
      sum[i] = job->t == job->unit->first ? (double)eps[i] : sum[i] + (double)eps[i];
      if (job->vector) job->vector[i] += slope * sum[i];
    }
  }
}

const wl_estimator_ops wl_estimator_pes = {
    .name = "pes",
    .summary =
        "persistent evolution strategies; each window has one perturbation, and the perturbations "
        "are summed over the episode",
    .options = wl_antithetic_options,
    .imitates = true,
    .create = create,
    .run = run,
    .finish = finish};
