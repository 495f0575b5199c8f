/* restart.h - stores a state after which losses rose in a unit's episode, and restarts episodes from this state (ELO).
 *
 * While an episode runs, each particle has a score, which grows when the inner loss L_t rises:
 *
 *   s_t = max(0, s_{t-1} + L_t - L_{t-1})
 *
 * If L_t is not finite, s is infinite. The largest score of the episode so far is also stored. If the mean of the
 * particles' largest scores grows in a window, the state before the window is stored: theta, the rule's state and the
 * teacher's state of particle 0. All particles of a restarted episode begin with this state. The differences between
 * particles then result only from the new perturbation. The restarted episode has the same task and draws other
 * minibatches. */
#ifndef WL_UNROLL_RESTART_H
#define WL_UNROLL_RESTART_H

#include "unroll/unit.h"

/* Clears the scores at the start of an episode. */
void wl_restart_clear_scores(wl_unit *unit);
/* Updates the score of a particle with `count` further losses. If `finite` is false, the run of the particle has
 * failed. */
void wl_restart_score(wl_unit *particle, const double *losses, int64_t count, bool finite);
/* Returns true if the mean of the largest scores has grown since the last call of this function in this episode. */
bool wl_restart_has_grown(wl_unit *unit);
/* Stores the state of particle 0 of `before` as the state from which `unit` restarts. `before` is an earlier copy of
 * the unit. */
void wl_restart_store(const wl_model *model, const wl_unit *before, wl_unit *unit);
/* Begins episode number `number` at the stored state, at step t, with the unit's current task. */
void wl_restart_begin(const wl_model *model, wl_unit *unit, int64_t number, int64_t t);
/* Returns the number that is added to the inner step when minibatches of episode number `number` are drawn. */
int64_t wl_restart_draw(int64_t number, int64_t origin);

#endif
