/* antithetic.h - common code of the forward-only estimators: pairs of runs at phi + eps and phi - eps, with eps ~ N(0,
 * sigma^2). Both runs of a pair use the same task, minibatches and random numbers.
 *
 * Run 2p is pair p at phi + eps_p, and run 2p + 1 is pair p at phi - eps_p. eps is a function of the seed, the episode,
 * the unit, the pair and an inner step. It is recomputed when needed, and neither sent nor stored. */
#ifndef WL_ESTIMATOR_ANTITHETIC_H
#define WL_ESTIMATOR_ANTITHETIC_H

#include "estimator/estimator.h"

extern const wl_option wl_antithetic_options[], wl_full_es_options[], wl_mixture_options[];

/* Checks the keys in estimator->es and sets spec, runs and shape for pairs of particles. Returns WL_ERR_CONFIG if the
 * number of bounds in `clip` is wrong. */
wl_status wl_antithetic_create(const wl_map *map, wl_estimator *estimator);
/* One run of a pair. `sign` is +1 or -1. The perturbation is the one of inner step `drawn_at`. At an episode's start,
 * the particle is initialised with the perturbed phi, because theta_0 may be learned. */
typedef struct wl_antithetic_run {
  int particle, pair, sign;
  int64_t drawn_at;
} wl_antithetic_run;
/* Runs the window of `job` as the run `run`, and fills *outcome. */
wl_status wl_antithetic_forward(const wl_estimator *estimator, const wl_estimator_job *job,
                                wl_antithetic_run run, wl_run_outcome *outcome);
/* Does the run with number job->run: run 2p is pair p with sign +1, and run 2p + 1 is pair p with sign -1. */
wl_status wl_antithetic_pair(const wl_estimator *estimator, const wl_estimator_job *job,
                             int64_t drawn_at, wl_run_outcome *outcome);
/* Computes eps [phi.size] of a pair in job->scratch and returns it. It is valid until the next call. */
const wl_real *wl_antithetic_draw(const wl_estimator *estimator, const wl_estimator_job *job,
                                  int pair, int64_t drawn_at);
/* Returns (F+ - F-) / (2 sigma^2 pairs) of a pair. With the loss `telescoping`, F+ - F- is replaced by its change since
 * the previous window. */
double wl_antithetic_slope(const wl_estimator *estimator, const wl_estimator_job *job, int pair,
                           const wl_run_outcome *outcomes);
/* Returns the value of a loss in the objective: clipped, and its logarithm if the configuration asks for it. A loss
 * that is not finite is first replaced by `failed_loss`. The given loss is without the task's loss_scale. */
double wl_antithetic_transformed(const wl_estimator *estimator, const wl_unit *unit, double loss);
/* Computes vector += slope * direction; both arrays are [phi.size]. */
void wl_antithetic_add(const wl_estimator *estimator, double slope, const wl_real *direction,
                       double *vector);

#endif
