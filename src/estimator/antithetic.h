/* antithetic.h - common code of the forward-only estimators: pairs of runs at phi + eps and phi - eps, with
 * eps ~ N(0, sigma^2), on the same task, minibatches and random numbers.
 *
 * Run 2p is pair p at phi + eps_p, run 2p + 1 at phi - eps_p. eps is a function of the seed, the episode, the unit, the
 * pair and an inner step: eps is recomputed when needed, and neither sent nor stored. */
#ifndef WL_ESTIMATOR_ANTITHETIC_H
#define WL_ESTIMATOR_ANTITHETIC_H

#include "estimator/estimator.h"

extern const wl_option wl_antithetic_options[], wl_full_es_options[], wl_mixture_options[];

/* Reads the keys and sets spec, runs, shape and width for pairs of particles. */
wl_status wl_antithetic_create(const wl_map *map, wl_estimator *estimator);
/* Runs the unit's particle `particle` as one run of pair `pair`: `sign` is +1 or -1, and `drawn_at` is the inner step
 * whose perturbation is used. At an episode's start the particle is initialised with the perturbed phi, because theta_0
 * may be learned. */
typedef struct wl_antithetic_run {
  int particle, pair, sign;
  int64_t drawn_at;
} wl_antithetic_run;
wl_status wl_antithetic_forward(const wl_estimator *estimator, const wl_estimator_job *job,
                                wl_antithetic_run run, wl_run_outcome *outcome);
/* Runs the pair and sign of run job->run in a unit of pairs. */
wl_status wl_antithetic_pair(const wl_estimator *estimator, const wl_estimator_job *job,
                             int64_t drawn_at, wl_run_outcome *outcome);
/* Returns eps [phi.size] of a pair in job->scratch, where it is valid until the next call. */
const wl_real *wl_antithetic_draw(const wl_estimator *estimator, const wl_estimator_job *job,
                                  int pair, int64_t drawn_at);
/* Returns (F+ - F-) / (2 sigma^2 pairs) of a pair; with the loss `telescoping`, the change of this value since the
 * window before. */
double wl_antithetic_slope(const wl_estimator *estimator, const wl_estimator_job *job, int pair,
                           const wl_run_outcome *outcomes);
/* Returns a loss without the task's loss_scale, as the objective uses it: clipped, as its logarithm, or the substitute
 * for a failed run. */
double wl_antithetic_transformed(const wl_estimator *estimator, const wl_unit *unit, double loss);
/* vector += slope * direction. */
void wl_antithetic_add(const wl_estimator *estimator, double slope, const wl_real *direction,
                       double *vector);

#endif
