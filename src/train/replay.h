/* replay.h - offline Warp-Grad: windows replayed from a buffer of trajectories (Flennerhag et al.
 * 2020, Algorithm 2).
 *
 *   collect   a meta-batch of episodes runs forward; (theta_t, s_t) of every stride-th step is kept.
 *             Only the learned initialisation takes a meta-step from it.
 *   replay    `epochs` passes over all kept points in random order, in mini-batches of windows that
 *             start there, each on fresh minibatches; after each mini-batch a step of all other groups.
 *
 * A point lives on the rank that ran its unit, which also computes its windows. Which points make up a
 * mini-batch depends on the seed, the meta-step and the pass alone, and sums are exact, so that the
 * result is the same bits for any number of ranks. */
#ifndef WL_TRAIN_REPLAY_H
#define WL_TRAIN_REPLAY_H

#include "train/trainer.h"

/* *out is NULL without replay. WL_ERR_CONFIG when the buffer does not fit the stated capacity and may not
 * spill, with a mixture of tasks, or with a meta-step after each window. `trainer` has model, plan and spec. */
wl_status wl_replay_create(const wl_trainer *trainer, wl_replay **out);
void wl_replay_destroy(wl_replay **replay);

/* At the start of an episode: makes room for this rank's units, in the place of the oldest. */
wl_status wl_replay_open(wl_replay *replay, const wl_trainer *trainer);
/* Keeps the unit's point (theta_t, s_t), t = unit->t, when the stride asks for it. */
void wl_replay_keep(wl_replay *replay, const wl_trainer *trainer, int64_t u, const wl_unit *unit);
/* After the episodes: forgets those that became non-finite and shares what there is. Collective. */
wl_status wl_replay_share(wl_replay *replay, wl_trainer *trainer);
/* The passes over the buffer; phi and the outer optimizer change. *left: given up after a mini-batch, because some
 * rank leaves the meta-step. Collective. */
wl_status wl_replay_run(wl_replay *replay, wl_trainer *trainer, wl_meta_report *report, bool *left);

/* The buffer between meta-steps, for checkpoints: none when it holds one meta-batch only, which is
 * over when its meta-step is. */
bool wl_replay_lasts(const wl_replay *replay);
typedef struct wl_replay_tables {
  int64_t places;     /* kept meta-batches times units */
  int64_t batches;    /* kept meta-batches */
  int64_t width;      /* reals of a point: coordinates and rule state */
  int64_t *episode;   /* [batches] number, -1: none */
  int64_t *count;     /* [places] points */
  double *start_loss; /* [places] */
} wl_replay_tables;
wl_replay_tables wl_replay_state(wl_replay *replay);
int64_t wl_replay_points(const wl_replay *replay); /* in all */
/* Brings all points to rank 0, `points` [wl_replay_points][width] there. Collective. */
wl_status wl_replay_gather(wl_replay *replay, const wl_trainer *trainer, wl_real *points);
/* Which rank takes a place after a restart, and the place's points [count][width]. */
int wl_replay_new_owner(const wl_trainer *trainer, int64_t place);
wl_status wl_replay_restore(wl_replay *replay, const wl_trainer *trainer, int64_t place,
                            const wl_real *points);
/* Reals of a full buffer, and bytes of it that a rank will hold in memory. */
double wl_replay_reals(const wl_replay *replay);
double wl_replay_memory(const wl_replay *replay, const wl_trainer *trainer);

#endif
