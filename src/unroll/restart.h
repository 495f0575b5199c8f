/* restart.h - a state from which a unit's episode went badly, and episodes that restart from it (ELO).
 *
 * While an episode runs, each particle has the score
 *
 *   s_t = max(0, s_{t-1} + L_t - L_{t-1})        L_t: inner loss; not finite: s is infinite
 *
 * which grows where losses rise, and the largest score of the episode so far. If the mean of the largest scores over the
 * particles grows in a window, the state before the window is stored: theta and the states of rule and teacher of
 * particle 0. All particles of a restarted episode begin with that state, so that their differences contain the new
 * perturbation alone. The episode keeps its task and draws minibatches of its own. */
#ifndef WL_UNROLL_RESTART_H
#define WL_UNROLL_RESTART_H

#include "unroll/unit.h"

/* Clears the scores at the start of an episode. */
void wl_restart_clear_scores(wl_unit *unit);
/* Continues the score of a particle by `count` losses; `finite` false: its run has failed. */
void wl_restart_score(wl_unit *particle, const double *losses, int64_t count, bool finite);
/* Whether the mean of the largest scores has grown since the last call in this episode. */
bool wl_restart_has_grown(wl_unit *unit);
/* Stores particle 0 of `before`, a copy of the unit. */
void wl_restart_store(const wl_model *model, const wl_unit *before, wl_unit *unit);
/* Begins the episode `number` at step t of the episode whose task the unit has. */
void wl_restart_begin(const wl_model *model, wl_unit *unit, int64_t number, int64_t t);
/* What the episode `number` adds to inner steps where minibatches are drawn. */
int64_t wl_restart_draw(int64_t number, int64_t origin);

#endif
