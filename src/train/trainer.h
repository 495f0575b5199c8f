/* trainer.h - the outer loop: meta-steps over the units of a problem. */
#ifndef WL_TRAIN_TRAINER_H
#define WL_TRAIN_TRAINER_H

#include <signal.h>

#include "comm/comm.h"
#include "estimator/estimator.h"
#include "train/outer.h"
#include "train/plan.h"
#include "train/problem.h"

/* What a meta-step yields, the same on every rank. Means are over the counted units. */
typedef struct wl_meta_report {
  double meta_loss, first_loss, last_loss, mean_loss;
  double gradient_norm, rate;
  double variance;        /* of the units' meta-gradients: mean of |g_u - mean g|^2 */
  double signal_to_noise; /* |mean g|^2 over that; of noise alone 1 / (counted units - 1) */
  int64_t units, skipped; /* units in all, left out as non-finite */
  int64_t inner_steps;    /* longest */
  double compute_seconds, compute_seconds_least; /* slowest and fastest rank */
  double wait_seconds;                           /* for the slowest rank, mean over ranks */
  double reduce_seconds; /* the exact sum once all ranks had reached it: rank 0 */
  double io_seconds;     /* that training spent on files since the report before: rank 0 */
  double validation_loss; /* on fixed tasks; NaN where it was not taken */
} wl_meta_report;

typedef struct wl_trainer wl_trainer;
typedef struct wl_replay wl_replay; /* replay.h */

/* What training does not change. */
typedef struct wl_trainer_setup {
  wl_comm *comm;           /* borrowed */
  const wl_config *config; /* borrowed */
  wl_problem problem;
  wl_estimator *estimator;
  int threads;
  bool bound;       /* they are, to cores of their own */
  int lanes;        /* inner runs computed at the same time */
  bool per_episode; /* outer.every: episode */
  int64_t steps;    /* outer.steps */
  int64_t patience; /* outer.patience */
} wl_trainer_setup;

/* What it changes, and a later meta-step depends on. */
typedef struct wl_trainer_state {
  wl_plan *plan;   /* the units' clocks */
  wl_unit **unit;  /* [units] this rank's, NULL elsewhere */
  double *phi;     /* [phi.size] */
  double *average; /* [phi.size] exponential average of phi; NULL: outer.average is 0 */
  wl_outer *outer;
  wl_replay *replay; /* NULL: the windows that are run are the windows used for the meta-gradient */
  int64_t meta_step; /* done */
  int64_t skipped;   /* units left out so far */
  int64_t last_counted;     /* meta-steps done when units were counted last */
  int64_t episodes_without_finite_unit;    /* episodes begun since then, none of whose units was counted */
} wl_trainer_state;

/* Builds tasks, model, plan and outer optimizer; phi has its initial values. Not collective, but
 * every rank must call it with the same configuration. `config` and `comm` are borrowed. */
wl_status wl_trainer_create(const wl_config *config, wl_comm *comm, wl_trainer **out);
void wl_trainer_destroy(wl_trainer **trainer);
const wl_trainer_setup *wl_setup_of(const wl_trainer *trainer);
wl_trainer_state *wl_state_of(const wl_trainer *trainer);
/* Numbers of the exact sum, for the memory estimate. */
int64_t wl_trainer_sum_size(const wl_trainer *trainer);
/* Bytes of the workspaces that are still to be made, should a unit of every task reach this rank. */
double wl_trainer_workspace_bytes(const wl_trainer *trainer);
/* With replay, episodes are run for their points, and back-propagated only where theta_0 asks for it. */
bool wl_trainer_back_propagates(const wl_trainer *trainer);

/* Watches the windows of a meta-step. */
typedef struct wl_watcher {
  /* Before a window of a unit: false, or an observer of its steps. */
  bool (*begin)(void *context, const wl_unit *unit, wl_observer *observer);
  void (*end)(void *context); /* after it */
  /* While the ranks reach the reduction; adds the seconds spent on files. Every rank calls it. */
  wl_status (*ship)(void *context, double *seconds);
  void *context;
} wl_watcher;

/* Why a meta-step may end early or be the last one; all ranks learn of each one's wishes in the reduction. */
typedef struct wl_meta_request {
  const wl_watcher *watcher;         /* NULL: nobody watches */
  const volatile sig_atomic_t *stop; /* set by a signal handler; may be NULL */
  bool last;                         /* rank 0: time is short, the next one would be too long */
  double deadline;                   /* rank 0, by wl_seconds: leave the windows then; 0: none */
} wl_meta_request;

typedef enum wl_meta_outcome {
  WL_META_GO_ON,
  WL_META_LAST, /* the meta-step is done, and is to be the last */
  WL_META_ABANDONED /* windows were left: all is as after the meta-step before, and no more are to come */
} wl_meta_outcome;

/* One meta-step: windows of all units, exact sum, outer update. Collective; *outcome is the same on every rank.
 * A rank that sees *stop or the deadline leaves its windows at the next inner step, and so do all others. */
wl_status wl_trainer_meta_step(wl_trainer *trainer, const wl_meta_request *request,
                               wl_meta_outcome *outcome, wl_meta_report *report);
/* Keeps a failure of this rank, to be raised on all in the next reduction. */
void wl_trainer_keep_failure(wl_trainer *trainer, wl_status status);
/* Raises what was kept as this rank's own; WL_OK for none. */
wl_status wl_trainer_raise_failure(wl_trainer *trainer);

/* After a load: assigns the units by the plan's clocks and prepares this rank's, which the caller fills. */
wl_status wl_trainer_place_units(wl_trainer *trainer);
/* Whether the training has diverged, the same on every rank: phi is not finite, or no unit was counted for
 * outer.patience episodes in a row or, once all meta-steps are done, in the last half of all episodes. */
bool wl_trainer_has_diverged(const wl_trainer *trainer);
/* What is exported: the average of phi where there is one. */
double *wl_trainer_result(const wl_trainer *trainer);

#endif
