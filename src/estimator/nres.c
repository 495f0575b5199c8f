/* nres.c - estimates the meta-gradient by noise-reuse evolution strategies (Li et al. 2023). Each
 * pair keeps one perturbation for a whole episode.
 *
 *   g = eps (F(+) - F(-)) / (2 sigma^2),  where eps is drawn at the episode's start
 *
 * The sum of g over the windows of an episode is the antithetic estimate for the whole episode. The
 * sum is an unbiased estimate of the gradient of the episode's smoothed loss. The variance of the
 * sum does not grow with the number of windows. */
#include "estimator/antithetic.h"

static wl_status run(const wl_estimator *e, const wl_estimator_job *job, wl_run_outcome *out) {
  return wl_antithetic_pair(e, job, 0, out);
}

static void finish(const wl_estimator *e, const wl_estimator_job *job,
                   const wl_run_outcome *outcomes) {
  for (int p = 0; p < (int)e->es.pairs; p++) {
    const double slope = wl_antithetic_slope(e, job, p, outcomes);
    if (job->vector) wl_antithetic_add(e, slope, wl_antithetic_draw(e, job, p, 0), job->vector);
  }
}

const wl_estimator_ops wl_estimator_nres = {
    .name = "nres",
    .summary =
        "evolution strategies with one perturbation for each episode; the estimator runs forward "
        "only, and the estimate is unbiased over whole episodes",
    .options = wl_antithetic_options,
    .imitates = true,
    .create = wl_antithetic_create,
    .run = run,
    .finish = finish};
