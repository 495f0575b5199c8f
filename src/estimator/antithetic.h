/* antithetic.h - declares the functions that the forward-only estimators share. A forward-only
 * estimator computes antithetic pairs of inner runs. One run of a pair uses the meta-parameters phi
 * + eps, and the other run uses phi - eps, with eps ~ N(0, sigma^2). The two runs of a pair use the
 * same task, the same minibatches and the same random numbers.
 *
 * Runs 2p and 2p + 1 form pair p. Run 2p uses phi + eps_p, and run 2p + 1 uses phi - eps_p. The
 * perturbation eps_p is a function of the seed, the episode, the unit, the pair and the inner step
 * at which the perturbation is drawn. Each use of eps_p computes eps_p again, so no rank stores or
 * sends eps_p. */
#ifndef WL_ESTIMATOR_ANTITHETIC_H
#define WL_ESTIMATOR_ANTITHETIC_H

#include "estimator/estimator.h"

extern const wl_option wl_antithetic_options[], wl_full_es_options[], wl_mixture_options[];

/* Sets the members spec, runs and shape of an estimator that runs antithetic pairs, from the
 * settings in estimator->es. Returns WL_ERR_CONFIG if the number of bounds in `clip` is wrong. */
wl_status wl_antithetic_create(const wl_map *map, wl_estimator *estimator);
/* The properties of one run of an antithetic pair. `sign` is +1 or -1. The perturbation eps is
 * drawn for the inner step `drawn_at`. At the start of an episode, the particle's theta_0 is
 * computed from the perturbed phi, because theta_0 may be learned. */
typedef struct wl_antithetic_run {
  int particle, pair, sign;
  int64_t drawn_at;
} wl_antithetic_run;
/* Computes the window of `job` with the perturbation and the particle that `run` describes. Stores
 * the results in *outcome. */
wl_status wl_antithetic_forward(const wl_estimator *estimator, const wl_estimator_job *job,
                                wl_antithetic_run run, wl_run_outcome *outcome);
/* Computes the window for run number job->run. Run 2p has pair p and sign +1, and run 2p + 1 has
 * pair p and sign -1. */
wl_status wl_antithetic_pair(const wl_estimator *estimator, const wl_estimator_job *job,
                             int64_t drawn_at, wl_run_outcome *outcome);
/* Computes the perturbation eps [phi.size] of a pair, and returns a pointer to eps. The array is
 * part of job->scratch and is valid until the next call. */
const wl_real *wl_antithetic_draw(const wl_estimator *estimator, const wl_estimator_job *job,
                                  int pair, int64_t drawn_at);
/* Returns (F+ - F-) / (2 sigma^2 pairs), where F+ and F- are the objectives of the two runs of a
 * pair, and `pairs` is the number of pairs. If the configuration has `loss: telescoping`, the
 * function uses the change of F+ - F- since the previous window instead of F+ - F-. */
double wl_antithetic_slope(const wl_estimator *estimator, const wl_estimator_job *job, int pair,
                           const wl_run_outcome *outcomes);
/* Returns the transformed loss that the objective uses instead of `loss`. First, `failed_loss`
 * replaces a loss that is not finite. The function then clips the loss. If the configuration has
 * `transform: log`, the function returns ln(max(L, 0) + floor), where L is the clipped loss. The
 * caller must have divided the argument `loss` by the task's loss_scale. */
double wl_antithetic_transformed(const wl_estimator *estimator, const wl_unit *unit, double loss);
/* Adds slope * direction to vector. Both arrays have phi.size elements. */
void wl_antithetic_add(const wl_estimator *estimator, double slope, const wl_real *direction,
                       double *vector);

#endif
