/* trainer.h - the outer loop: meta-steps over the units of a problem. */
#ifndef WL_TRAIN_TRAINER_H
#define WL_TRAIN_TRAINER_H

#include <signal.h>

#include "comm/comm.h"
#include "estimator/estimator.h"
#include "train/curriculum.h"
#include "train/outer.h"
#include "train/plan.h"
#include "train/problem.h"

/* The figures of one meta-step. They are equal on every rank. Means are over the counted units. */
typedef struct wl_meta_report {
  double meta_loss, first_loss, last_loss, mean_loss;
  double gradient_norm, rate;
  double variance;        /* variance of the units' meta-gradients g_u: mean of |g_u - mean g|^2 */
  double signal_to_noise; /* |mean g|^2 / variance; pure noise gives 1 / (counted units - 1) */
  int64_t units, skipped; /* number of all units, and number of non-finite units among them */
  int64_t inner_steps;    /* largest number of inner steps of a unit */
  double compute_seconds, compute_seconds_least; /* compute time of the slowest and of the fastest rank */
  double wait_seconds;                           /* time that a rank waits for the slowest rank, mean over the ranks */
  double reduce_seconds; /* on rank 0: time of the exact sum after all ranks have reached it */
  double io_seconds;     /* on rank 0: time that training spent on files since the previous report */
  double validation_loss; /* validation loss on fixed tasks; NaN if this meta-step has no validation */
} wl_meta_report;

typedef struct wl_trainer wl_trainer;
typedef struct wl_replay wl_replay; /* replay.h */

/* The constant part of a trainer. */
typedef struct wl_trainer_setup {
  wl_comm *comm;           /* borrowed */
  const wl_config *config; /* borrowed */
  wl_problem problem;
  wl_estimator *estimator;
  int threads;
  bool bound;       /* each thread is bound to a separate core */
  int lanes;        /* number of inner runs that are computed at the same time */
  bool per_episode; /* outer.every: episode */
  int64_t steps;    /* outer.steps */
  int64_t patience; /* outer.patience */
} wl_trainer_setup;

/* The part of a trainer that meta-steps change. Later meta-steps depend on it. */
typedef struct wl_trainer_state {
  wl_plan *plan;   /* the units' clocks */
  wl_unit **unit;  /* [units] units of this rank; NULL for units of other ranks */
  double *phi;     /* [phi.size] */
  double *average; /* [phi.size] exponential average of phi; NULL if outer.average is 0 */
  wl_outer *outer;
  wl_curriculum *curriculum; /* NULL if there is only one stage */
  wl_replay *replay; /* NULL without replay; the meta-gradient then comes from the windows of the episodes */
  int64_t meta_step; /* number of meta-steps done */
  int64_t skipped;   /* number of units skipped so far */
  int64_t last_counted;     /* last meta-step in which at least one unit was finite, counted from 1 */
  int64_t episodes_without_finite_unit;    /* number of episodes begun since a unit was last finite */
} wl_trainer_state;

/* Creates tasks, model, plan and outer optimizer, and sets phi to its initial values. Borrows `config` and `comm`. The
 * caller frees *out with wl_trainer_destroy. The call is not collective, but every rank must call it with the same
 * configuration. */
wl_status wl_trainer_create(const wl_config *config, wl_comm *comm, wl_trainer **out);
void wl_trainer_destroy(wl_trainer **trainer);
/* These functions return the two parts of a trainer. The trainer owns them. */
const wl_trainer_setup *wl_setup_of(const wl_trainer *trainer);
wl_trainer_state *wl_state_of(const wl_trainer *trainer);
/* Returns the length of the vector of the exact sum, for the memory estimate. */
int64_t wl_trainer_sum_size(const wl_trainer *trainer);
/* Returns the bytes of the workspaces that are not allocated yet, under the assumption that this rank runs a unit of
 * every task. */
double wl_trainer_workspace_bytes(const wl_trainer *trainer);
/* Returns true if the windows of the episodes run backward. The windows of forward-only estimators run only forward.
 * With replay, windows run backward only if theta_0 is learned by an adjoint; otherwise the episodes run forward to
 * collect points. */
bool wl_trainer_back_propagates(const wl_trainer *trainer);

/* Callbacks around the windows of a meta-step. */
typedef struct wl_watcher {
  /* Called before a window of a unit. Returns true if *observer must observe the steps of the window, and false if the
   * window has no observer. */
  bool (*begin)(void *context, const wl_unit *unit, wl_observer *observer);
  void (*end)(void *context); /* called after the window */
  /* Called by every rank after its windows, while other ranks may still compute. Adds the time spent on files to
   * *seconds. */
  wl_status (*ship)(void *context, double *seconds);
  void *context;
} wl_watcher;

/* The reasons why a meta-step may end early or be the last one. The reduction combines the requests of all ranks. */
typedef struct wl_meta_request {
  const wl_watcher *watcher;         /* NULL: no callbacks */
  const volatile sig_atomic_t *stop; /* a signal handler sets *stop; may be NULL */
  bool last;                         /* on rank 0: the remaining time is too short for another meta-step */
  double deadline;                   /* on rank 0: time (wl_seconds) at which to leave the windows; 0: no deadline */
} wl_meta_request;

typedef enum wl_meta_outcome {
  WL_META_GO_ON,
  WL_META_LAST, /* the meta-step is complete and must be the last one */
  /* windows were left early; the state is the state after the previous meta-step; training must end */
  WL_META_ABANDONED
} wl_meta_outcome;

/* Runs one meta-step: the windows of all units, the exact sum and the outer update. A rank leaves its windows at the
 * next inner step if *stop is set or the deadline has passed. The other ranks then also leave their windows. *outcome
 * is the same on every rank. Collective. */
wl_status wl_trainer_meta_step(wl_trainer *trainer, const wl_meta_request *request,
                               wl_meta_outcome *outcome, wl_meta_report *report);
/* Stores a failure of this rank. The next reduction reports it on all ranks. */
void wl_trainer_keep_failure(wl_trainer *trainer, wl_status status);
/* Reports the stored failure on this rank only. Returns WL_OK if no failure is stored. */
wl_status wl_trainer_raise_failure(wl_trainer *trainer);

/* Call this after a checkpoint is read. Assigns the units to ranks according to their clocks and allocates this rank's
 * units. The caller fills these units. */
wl_status wl_trainer_place_units(wl_trainer *trainer);
/* Returns true if the training has diverged. The result is equal on every rank. The training has diverged if phi is not
 * finite, or if no unit was counted for outer.patience consecutive episodes. After the last meta-step, it has also
 * diverged if no unit was counted in the last half of all episodes. If outer.patience is 0, only phi is tested. */
bool wl_trainer_has_diverged(const wl_trainer *trainer);
/* Returns the meta-parameters [phi.size] that are evaluated. They are the average of phi if outer.average is set, and
 * phi otherwise. The trainer owns the array. */
double *wl_trainer_result(const wl_trainer *trainer);
/* Returns the meta-parameters [phi.size] that are exported. With a curriculum, they are the best meta-parameters of its
 * last stage. Otherwise they are the meta-parameters that wl_trainer_result returns. */
double *wl_trainer_export(const wl_trainer *trainer);
/* Records the loss of an evaluation of wl_trainer_result in the curriculum. Returns true if the next stage begins. */
bool wl_trainer_judge(wl_trainer *trainer, double loss);

#endif
