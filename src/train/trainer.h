/* trainer.h - the outer loop's state: everything a meta-step reads and changes. */
#ifndef WL_TRAIN_TRAINER_H
#define WL_TRAIN_TRAINER_H

#include <signal.h>

#include "base/digest.h"
#include "base/failure.h"
#include "comm/comm.h"
#include "train/outer.h"
#include "train/plan.h"
#include "unroll/window.h"

/* What a meta-step yields, the same on every rank. Means are over the counted units. */
typedef struct wl_meta_report {
  double meta_loss, first_loss, last_loss, mean_loss;
  double gradient_norm, rate;
  int64_t units, skipped;                        /* units in all, left out as non-finite */
  int64_t inner_steps;                           /* longest */
  double compute_seconds, compute_seconds_least; /* slowest and fastest rank */
  double wait_seconds;                           /* for the slowest rank, mean over ranks */
  double reduce_seconds; /* the exact sum once all ranks had come to it: rank 0 */
  double io_seconds;     /* that training spent on files since the report before: rank 0 */
} wl_meta_report;

/* Reasons to stop that any rank may raise; all ranks learn of them in the same reduction. */
enum { WL_FLAG_FAILED, WL_FLAG_STOP, WL_FLAG_TIME, WL_FLAG_BUSY, WL_FLAG_IDLE, WL_FLAG_COUNT };

typedef struct wl_replay wl_replay; /* replay.h */

typedef struct wl_trainer {
  wl_comm *comm;
  const wl_config *config; /* borrowed */
  uint64_t seed;
  int threads;
  bool bound; /* they are, to cores of their own */
  wl_task **tasks;
  int n_tasks;
  wl_model *model;
  wl_window_spec spec;
  const int64_t *horizon; /* [n_horizon] episode.steps, borrowed */
  int n_horizon;
  bool per_episode; /* outer.every: episode */
  int64_t steps;    /* outer.steps */
  wl_plan *plan; /* the units' clocks: state */
  wl_replay *replay; /* NULL: the windows that are run are the windows that teach */
  wl_unroll_ws **ws; /* [n_tasks], made when a unit of the task first comes to this rank */
  wl_unit **unit;    /* [units] this rank's, NULL elsewhere */
  double *phi;       /* [phi.size]: state */
  wl_outer *outer;   /* state */
  int64_t meta_step; /* done: state */
  int64_t skipped;   /* units left out so far: state */
  int64_t sound;     /* meta-steps done when units were counted last: state */
  int64_t barren;    /* episodes begun since then, none of whose units was counted: state */
  int64_t patience;  /* outer.patience */
  /* reduction */
  int64_t room;    /* units of this rank that the next two have room for */
  double *vectors; /* [room][vector] meta-gradient and the four losses of each */
  bool *counted;   /* [room] */
  double *sum;     /* [vector] */
  int64_t *quanta; /* [n_quanta+1] block bounds for the exact sum */
  int64_t n_quanta, vector;
  double flags[WL_FLAG_COUNT];
  wl_failure pending; /* a failure of this rank since the last reduction, raised in the next */
} wl_trainer;

/* Records what a window did; called on the rank that runs the unit (see recorder.h). */
typedef struct wl_recorder wl_recorder;

/* Builds tasks, model, plan and outer optimizer; phi has its initial values. Not collective, but
 * every rank must call it with the same configuration. `config` and `comm` are borrowed. */
wl_status wl_trainer_create(const wl_config *config, wl_comm *comm, wl_trainer **out);
void wl_trainer_destroy(wl_trainer **trainer);
/* With replay, episodes are run for their points, and back-propagated only where theta_0 asks for it. */
bool wl_trainer_back_propagates(const wl_trainer *trainer);

/* One meta-step: windows of all units, exact sum, outer update. Collective. `recorder` may be NULL.
 * `stop` (may be NULL) and `out_of_time` are this rank's wishes; flags[] holds everyone's afterwards.
 * *stop is read when the units are done: a signal in the midst of a long meta-step still ends that one. */
wl_status wl_trainer_meta_step(wl_trainer *trainer, wl_recorder *recorder,
                               const volatile sig_atomic_t *stop, bool out_of_time,
                               wl_meta_report *report);

/* After a load: assigns the units by the plan's clocks and prepares this rank's, which the caller fills. */
wl_status wl_trainer_place_units(wl_trainer *trainer);
/* Whether the training has diverged, the same on every rank: phi is not finite, or no unit was counted for
 * outer.patience episodes in a row or, once all meta-steps are done, in the last half of all episodes. */
bool wl_trainer_has_diverged(const wl_trainer *trainer);
/* Digest of the meta-state: phi, the outer optimizer, counters. The same on every rank. */
wl_status wl_trainer_digest(wl_trainer *trainer, wl_digest *out);

#endif
