/* es.c - estimates the meta-gradient by truncated evolution strategies. Both runs of a pair start
 * each window from the same state.
 *
 *   g = eps (F(+) - F(-)) / (2 sigma^2),  where eps is drawn again for each window
 *
 * The next window of the unit starts from the final state of the run with the meta-parameters phi +
 * eps. Both runs of the next window therefore start with the same loss. If the configuration has
 * `loss: telescoping`, the objective is the change of the loss since the start of the window. Like
 * back-propagation through the window, es ignores the effect of a window on later windows. The
 * estimate is therefore biased. */
#include "estimator/antithetic.h"

static wl_status run(const wl_estimator *e, const wl_estimator_job *job, wl_run_outcome *out) {
  return wl_antithetic_pair(e, job, job->t, out);
}

static void finish(const wl_estimator *e, const wl_estimator_job *job,
                   const wl_run_outcome *outcomes) {
  for (int p = 0; p < (int)e->es.pairs; p++) {
    const double slope = wl_antithetic_slope(e, job, p, outcomes);
    if (job->vector)
      wl_antithetic_add(e, slope, wl_antithetic_draw(e, job, p, job->t), job->vector);
    wl_unit_copy_particle(e->model, job->unit, 2 * p, 2 * p + 1);
    if (job->unit->shape.differences > 0) job->unit->difference[p] = 0.0;
  }
}

const wl_estimator_ops wl_estimator_es = {
    .name = "es",
    .summary =
        "truncated evolution strategies; the estimator runs forward only, and truncation biases "
        "the estimate",
    .options = wl_antithetic_options,
    .imitates = true,
    .create = wl_antithetic_create,
    .run = run,
    .finish = finish};
