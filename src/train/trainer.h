/* trainer.h - runs the outer loop: each meta-step runs windows of all units and updates the
 * meta-parameters. */
#ifndef WL_TRAIN_TRAINER_H
#define WL_TRAIN_TRAINER_H

#include <signal.h>

#include "comm/comm.h"
#include "estimator/estimator.h"
#include "train/curriculum.h"
#include "train/outer.h"
#include "train/plan.h"
#include "train/problem.h"

/* Results and times of one meta-step. Losses are means over the counted units, which are the units
 * whose contributions are in the meta-gradient. All members are equal on every rank, except those
 * that are measured only on rank 0. */
typedef struct wl_meta_report {
  double meta_loss, first_loss, last_loss, mean_loss;
  double gradient_norm, rate;
  /* variance of the meta-gradients g_u of the units u: mean of |g_u - mean g|^2 */
  double variance;
  /* |mean g|^2 / variance; about 1 / (number of counted units - 1) if the meta-gradient is only
   * noise */
  double signal_to_noise;
  int64_t units, skipped; /* number of all units, and number of units that are non-finite */
  int64_t inner_steps;    /* number of inner steps of the longest current episode */
  /* compute time in seconds of the slowest rank, and of the fastest rank */
  double compute_seconds, compute_seconds_least;
  /* mean over all ranks of the seconds that a rank waits for the slowest rank */
  double wait_seconds;
  /* seconds of the exact sum, counted from the time when the last rank begins the sum; measured on
   * rank 0 */
  double reduce_seconds;
  /* seconds that the training spent on files since the previous report; measured on rank 0 */
  double io_seconds;
  /* mean final loss on fixed tasks; NaN if this meta-step has no validation */
  double validation_loss;
} wl_meta_report;

typedef struct wl_trainer wl_trainer;
typedef struct wl_replay wl_replay; /* replay.h */

/* The part of a trainer that does not change during the training. */
typedef struct wl_trainer_setup {
  wl_comm *comm;           /* borrowed */
  const wl_config *config; /* borrowed */
  wl_problem problem;
  wl_estimator *estimator;
  int threads;
  bool bound;       /* true if each thread is bound to a separate core */
  /* number of inner runs that this rank computes at the same time with one thread each; 1 if all
   * threads together compute one inner run */
  int lanes;
  bool per_episode; /* true if the configuration has outer.every: episode */
  int64_t steps;    /* outer.steps */
  int64_t patience; /* outer.patience */
} wl_trainer_setup;

/* The part of a trainer that meta-steps change, and that checkpoints store. */
typedef struct wl_trainer_state {
  wl_plan *plan;   /* clocks of all units, and the rank that runs each unit */
  /* [units] the units that this rank runs; NULL for units that another rank runs */
  wl_unit **unit;
  double *phi;     /* [phi.size] */
  double *average; /* [phi.size] exponential average of phi; NULL if outer.average is 0 */
  wl_outer *outer;
  wl_curriculum *curriculum; /* stages of growing episodes; NULL if there is only one stage */
  /* replay buffer; NULL if the training has no replay. If there is no replay, the windows of the
   * episodes update all groups of phi. */
  wl_replay *replay;
  int64_t meta_step; /* number of meta-steps that are done */
  int64_t skipped;   /* number of non-finite units in all meta-steps so far */
  /* number of the last meta-step in which at least one unit was finite, counted from 1 */
  int64_t last_counted;
  /* number of episodes that have begun since a unit was last finite */
  int64_t episodes_without_finite_unit;
} wl_trainer_state;

/* Creates a trainer with tasks, model, plan and outer optimizer, and sets phi to its initial
 * values. Borrows `config` and `comm`. The caller frees *out with wl_trainer_destroy. The function
 * is not collective, but every rank must call it with the same configuration. */
wl_status wl_trainer_create(const wl_config *config, wl_comm *comm, wl_trainer **out);
void wl_trainer_destroy(wl_trainer **trainer);
/* wl_setup_of returns the constant part of a trainer, and wl_state_of returns the changing part.
 * The trainer owns both parts. */
const wl_trainer_setup *wl_setup_of(const wl_trainer *trainer);
wl_trainer_state *wl_state_of(const wl_trainer *trainer);
/* Returns the number of doubles that the exact sum adds for each unit. The estimate of the memory
 * of a rank uses this number. */
int64_t wl_trainer_sum_size(const wl_trainer *trainer);
/* Returns the number of bytes of the workspaces that are not allocated yet, under the assumption
 * that this rank runs a unit of every task. */
double wl_trainer_workspace_bytes(const wl_trainer *trainer);
/* Returns true if the windows of the episodes have a backward pass. Windows of forward-only
 * estimators have no backward pass. If the training uses replay, the windows of the episodes have a
 * backward pass only if theta_0 is learned with an adjoint. */
bool wl_trainer_back_propagates(const wl_trainer *trainer);

/* Callbacks that the trainer calls before, during and after the windows of a meta-step. */
typedef struct wl_watcher {
  /* Called before a window of a unit. Returns true if *observer must observe the steps of the
   * window. Returns false if the window has no observer. */
  bool (*begin)(void *context, const wl_unit *unit, wl_observer *observer);
  void (*end)(void *context); /* Called after a window for which `begin` returned true. */
  /* Called on every rank after its windows, while other ranks may still compute. Adds the time in
   * seconds that the callback spent on files to *seconds. */
  wl_status (*ship)(void *context, double *seconds);
  void *context;
} wl_watcher;

/* The input of a meta-step on this rank. The requests to end the training may differ between ranks,
 * and the reduction combines them. */
typedef struct wl_meta_request {
  /* callbacks for the windows of the meta-step; NULL means that there are no callbacks */
  const wl_watcher *watcher;
  /* *stop is nonzero after a signal; NULL if there is no signal handler */
  const volatile sig_atomic_t *stop;
  /* on rank 0, true if the remaining time is too short for another meta-step */
  bool last;
  /* on rank 0, time (wl_seconds) at which all ranks must stop computing their windows; 0 means no
   * deadline */
  double deadline;
} wl_meta_request;

typedef enum wl_meta_outcome {
  WL_META_GO_ON,
  WL_META_LAST, /* the meta-step is complete, and the training must end now */
  /* The ranks stopped computing their windows early, and the training must end now. The trainer has
   * returned to the state after the previous meta-step. */
  WL_META_ABANDONED
} wl_meta_outcome;

/* Runs one meta-step: the windows of all units, the exact sum and the outer update. A rank stops
 * computing its windows at the next inner step if *stop is set or the deadline has passed. The
 * other ranks then also stop computing their windows. *outcome is the same on every rank.
 * Collective. */
wl_status wl_trainer_meta_step(wl_trainer *trainer, const wl_meta_request *request,
                               wl_meta_outcome *outcome, wl_meta_report *report);
/* Stores a failure of this rank, which the next reduction reports on all ranks. */
void wl_trainer_keep_failure(wl_trainer *trainer, wl_status status);
/* Returns the stored failure and its message, on this rank only. Returns WL_OK if no failure is
 * stored. */
wl_status wl_trainer_raise_failure(wl_trainer *trainer);

/* Assigns the units to ranks according to their clocks and allocates the units of this rank. Call
 * this function after the clocks were read from a checkpoint. The caller must then read the state
 * of the units of this rank. */
wl_status wl_trainer_place_units(wl_trainer *trainer);
/* Returns true if the training has diverged. The result is equal on every rank. The training has
 * diverged if phi is not finite. The training has also diverged if no unit was finite in the last
 * outer.patience episodes. After the last meta-step, the training has also diverged if no unit was
 * finite in the last half of all episodes. If outer.patience is 0, the function tests only phi. */
bool wl_trainer_has_diverged(const wl_trainer *trainer);
/* Returns the meta-parameters [phi.size] that evaluations use: the average of phi if outer.average
 * is set, otherwise phi. The trainer owns the array. */
double *wl_trainer_result(const wl_trainer *trainer);
/* Returns the meta-parameters [phi.size] that are exported. If the training has a curriculum and an
 * evaluation of the last stage had a finite loss, the meta-parameters with the lowest loss in this
 * stage are exported. In all other cases, the meta-parameters that wl_trainer_result returns are
 * exported. */
double *wl_trainer_export(const wl_trainer *trainer);
/* Records the result of an evaluation in the curriculum. `loss` is the loss that was measured with
 * the meta-parameters that wl_trainer_result returns. If the next stage begins, sets phi to the
 * best meta-parameters of the previous stage and returns true. */
bool wl_trainer_judge(wl_trainer *trainer, double loss);

#endif
