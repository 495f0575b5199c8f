/* restart.h - stores the state that a unit has before its losses rise, and starts later episodes
 * from this state, as the method ELO does.
 *
 * During an episode, each particle has a score s_t, which grows when the inner loss L_t rises:
 *
 *   s_t = max(0, s_{t-1} + L_t - L_{t-1})
 *
 * If a loss is not finite, the score is infinite. The unit also stores the largest score that each
 * particle has had in the episode. If the mean of the largest scores over the particles grows in a
 * window, the unit stores the state that it had before this window. The stored state consists of
 * theta, the rule's state and the teacher's state of particle 0. All particles of a restarted
 * episode begin with the stored state, so the particles differ only by their new perturbations. The
 * restarted episode has the same task and draws other minibatches. */
#ifndef WL_UNROLL_RESTART_H
#define WL_UNROLL_RESTART_H

#include "unroll/unit.h"

/* Clears the scores of all particles. Call this function at the start of an episode. */
void wl_restart_clear_scores(wl_unit *unit);
/* Updates the score of a particle with its next `count` inner losses. If `finite` is false, the run
 * of the particle is non-finite, and the largest score of the particle becomes infinite. */
void wl_restart_score(wl_unit *particle, const double *losses, int64_t count, bool finite);
/* Returns true if the mean of the largest scores has grown since the last call of this function in this episode. */
bool wl_restart_has_grown(wl_unit *unit);
/* Stores the state of particle 0 of `before`, an earlier copy of the unit, as the state from which
 * `unit` restarts. */
void wl_restart_store(const wl_model *model, const wl_unit *before, wl_unit *unit);
/* Begins episode number `number` of the unit at the stored state and at the inner step t. The task
 * does not change. */
void wl_restart_begin(const wl_model *model, wl_unit *unit, int64_t number, int64_t t);
/* Returns the draw number of episode number `number`. The task of this episode was drawn for
 * episode number `origin`. A unit adds the draw number to the inner step when the unit draws
 * minibatches. */
int64_t wl_restart_draw(int64_t number, int64_t origin);

#endif
