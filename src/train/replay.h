/* replay.h - declares offline Warp-Grad, which trains on windows that start at stored points of
 * episodes (Flennerhag et al. 2020, Algorithm 2).
 *
 * A meta-step first collects points. The meta-step runs a meta-batch of episodes, which contains
 * one episode of each unit. The point (theta_t, s_t) of every step t that is a multiple of
 * replay.stride is stored. The episodes of the meta-batch update only the learned initialisation.
 *
 * The meta-step then replays windows, in replay.epochs passes over all stored points in random
 * order. A pass runs one window from each point. The data of this window are newly drawn. Each
 * mini-batch of windows updates all other groups of phi once.
 *
 * The rank that ran a unit stores the unit's points and computes the windows that start at these
 * points. The choice of points for a mini-batch depends only on the seed, the meta-step and the
 * pass, and sums are exact. The result therefore has the same bits for any number of ranks. */
#ifndef WL_TRAIN_REPLAY_H
#define WL_TRAIN_REPLAY_H

#include "train/trainer.h"

/* Creates the replay buffer. Sets *out to NULL if the configuration has no replay. The problem and
 * the plan of `trainer` must exist before this call. The buffer keeps no pointer to `trainer`.
 * Returns WL_ERR_CONFIG if there are several tasks, or if outer.every is `window`. Also returns
 * WL_ERR_CONFIG if the points do not fit into replay.capacity and replay.spill is not set. */
wl_status wl_replay_create(const wl_trainer *trainer, wl_replay **out);
void wl_replay_destroy(wl_replay **replay);

/* Discards the oldest meta-batch and allocates memory for the points of this rank's units. Call
 * this function at the start of an episode. */
wl_status wl_replay_open(wl_replay *replay, const wl_trainer *trainer);
/* If the inner step t = unit->t is a multiple of replay.stride, stores the point (theta_t, s_t) of
 * unit u. */
void wl_replay_keep(wl_replay *replay, const wl_trainer *trainer, int64_t u, const wl_unit *unit);
/* Discards the points of non-finite episodes, and sets the number of points of each place on every
 * rank. Call this function after the episodes. Collective. */
wl_status wl_replay_share(wl_replay *replay, wl_trainer *trainer);
/* Runs the passes over the buffer, which update phi and the state of the outer optimizer. Sets
 * *left to true if the passes ended early because a rank must end the meta-step. Collective. */
wl_status wl_replay_run(wl_replay *replay, wl_trainer *trainer, wl_meta_report *report, bool *left);

/* Returns true if checkpoints must contain the buffer. The result is false if there is no replay.
 * The result is also false if the buffer has a single meta-batch, because no later meta-step uses
 * this meta-batch. */
bool wl_replay_lasts(const wl_replay *replay);
typedef struct wl_replay_tables {
  int64_t places;     /* number of places: number of meta-batches times number of units */
  int64_t batches;    /* number of meta-batches in the buffer */
  int64_t width;      /* number of elements of a point: theta and rule state */
  /* [batches] number of the episode in each meta-batch; -1 if the meta-batch is empty */
  int64_t *episode;
  int64_t *count;     /* [places] number of points of each place */
  double *start_loss; /* [places] */
} wl_replay_tables;
/* Returns the tables that describe the contents of the buffer. The buffer owns the arrays. */
wl_replay_tables wl_replay_state(wl_replay *replay);
int64_t wl_replay_points(const wl_replay *replay); /* Returns the number of points of all places. */
/* Sends all points to rank 0, which writes them to `points` [wl_replay_points][width].
 * Collective. */
wl_status wl_replay_gather(wl_replay *replay, const wl_trainer *trainer, wl_real *points);
/* The function wl_replay_new_owner returns the rank that owns a place after a run has resumed. The
 * function wl_replay_restore assigns the place to this rank. If this rank owns the place,
 * wl_replay_restore also stores the points of the place, `points` [count][width]. */
int wl_replay_new_owner(const wl_trainer *trainer, int64_t place);
wl_status wl_replay_restore(wl_replay *replay, const wl_trainer *trainer, int64_t place,
                            const wl_real *points);
/* The function wl_replay_reals returns the number of elements of all points of a full buffer. The
 * function wl_replay_memory returns the number of bytes of a full buffer that one rank has in
 * memory. */
double wl_replay_reals(const wl_replay *replay);
double wl_replay_memory(const wl_replay *replay, const wl_trainer *trainer);

#endif
