/* replay.h - offline Warp-Grad: windows replayed from a buffer of trajectories (Flennerhag et al. 2020, Algorithm 2).
 *
 *   collect   A meta-batch of episodes runs forward, and (theta_t, s_t) of every stride-th step is stored. These
 *             episodes update only the learned initialisation.
 *   replay    There are `epochs` passes over all stored points in random order. A pass runs windows that start at the
 *             points, with newly drawn data, in mini-batches. Each mini-batch updates all other groups of phi once.
 *
 * The rank that ran a unit stores the unit's points and computes the windows of these points. The points of a
 * mini-batch depend only on the seed, the meta-step and the pass, and sums are exact. The result therefore has the same
 * bits for any number of ranks. */
#ifndef WL_TRAIN_REPLAY_H
#define WL_TRAIN_REPLAY_H

#include "train/trainer.h"

/* Creates the buffer. *out is NULL if the configuration has no replay. `trainer` must have model, plan and spec; the
 * buffer does not keep a pointer to it. Returns WL_ERR_CONFIG in three cases: there is more than one task, each window
 * has a meta-step, or the buffer exceeds its capacity and has no scratch file. */
wl_status wl_replay_create(const wl_trainer *trainer, wl_replay **out);
void wl_replay_destroy(wl_replay **replay);

/* Call this at the start of an episode. Discards the oldest meta-batch and allocates memory for the points of this
 * rank's units. */
wl_status wl_replay_open(wl_replay *replay, const wl_trainer *trainer);
/* Stores the unit's point (theta_t, s_t), t = unit->t, if t is a multiple of the stride. */
void wl_replay_keep(wl_replay *replay, const wl_trainer *trainer, int64_t u, const wl_unit *unit);
/* Call this after the episodes. Discards the points of non-finite episodes, and sets the number of points of each place
 * on every rank. Collective. */
wl_status wl_replay_share(wl_replay *replay, wl_trainer *trainer);
/* Runs the passes over the buffer, which change phi and the outer optimizer. Sets *left to true if the passes ended
 * early because a rank leaves the meta-step. Collective. */
wl_status wl_replay_run(wl_replay *replay, wl_trainer *trainer, wl_meta_report *report, bool *left);

/* Returns true if a checkpoint must contain the buffer. A buffer with a single meta-batch need not be saved, because no
 * later meta-step uses it. */
bool wl_replay_lasts(const wl_replay *replay);
typedef struct wl_replay_tables {
  int64_t places;     /* number of stored meta-batches times number of units */
  int64_t batches;    /* number of stored meta-batches */
  int64_t width;      /* number of reals of a point: coordinates and rule state */
  int64_t *episode;   /* [batches] episode number of the batch; -1: the batch is empty */
  int64_t *count;     /* [places] number of points */
  double *start_loss; /* [places] */
} wl_replay_tables;
/* Returns the tables of the buffer. The buffer owns the arrays. */
wl_replay_tables wl_replay_state(wl_replay *replay);
int64_t wl_replay_points(const wl_replay *replay); /* Returns the number of points of all places. */
/* Sends all points to rank 0, which stores them in `points` [wl_replay_points][width]. Collective. */
wl_status wl_replay_gather(wl_replay *replay, const wl_trainer *trainer, wl_real *points);
/* wl_replay_new_owner returns the rank that owns a place after a restart. wl_replay_restore stores the points of the
 * place, [count][width], on this rank. */
int wl_replay_new_owner(const wl_trainer *trainer, int64_t place);
wl_status wl_replay_restore(wl_replay *replay, const wl_trainer *trainer, int64_t place,
                            const wl_real *points);
/* wl_replay_reals returns the number of reals of a full buffer. wl_replay_memory returns the bytes of a full buffer
 * that a rank keeps in memory. */
double wl_replay_reals(const wl_replay *replay);
double wl_replay_memory(const wl_replay *replay, const wl_trainer *trainer);

#endif
