/* trainer_impl.h - declares the members and functions of the trainer that only src/train uses. */
#ifndef WL_TRAIN_TRAINER_IMPL_H
#define WL_TRAIN_TRAINER_IMPL_H

#include "base/failure.h"
#include "train/interruption.h"
#include "train/reduction.h"
#include "train/trainer.h"

/* Indices of wl_trainer.flags. The reduction computes the maximum of each flag over the ranks. */
enum { WL_FLAG_FAILED, WL_FLAG_LEFT, WL_FLAG_STOP, WL_FLAG_BUSY, WL_FLAG_IDLE, WL_FLAG_COUNT };

/* A copy of the state at the start of a meta-step. The functions in start_copy.c copy the state and
 * restore it from the copy. */
typedef struct wl_start_copy {
  wl_clock *clock; /* [units] */
  int64_t *origin, *stored; /* [units] copies of the arrays `origin` and `stored` of the plan */
  /* [units] copies of this rank's units that are within an episode; NULL for all other units */
  wl_unit **unit;
  /* [4][phi.size] copies of phi, of the first and second moment of the meta-gradient, and of the
   * average of phi */
  double *vectors;
  int64_t updates[WL_OUTER_GROUPS];
  int64_t skipped, last_counted, episodes_without_finite_unit;
} wl_start_copy;

struct wl_trainer {
  wl_trainer_setup setup;
  wl_trainer_state *state;
  /* [lanes][n_tasks] workspaces; a workspace is created when this rank first runs a unit of the
   * task */
  wl_unroll_ws **ws;
  /* [lanes][wl_estimator_scratch] temporary memory of the estimator; inner runs that are computed
   * at the same time use separate rows */
  double *scratch;
  wl_reduction reduction;
  wl_start_copy start;
  wl_interruption interruption;
  double flags[WL_FLAG_COUNT];
  /* [2 + units] integers that the reduction sums over ranks. Element 0 is the compute time in
   * nanoseconds. Element 1 is 1 if this rank has told the other ranks to stop computing their
   * windows (see interruption.h). Element 2 + u is 1 if unit u stored its state. */
  int64_t *tallies;
  /* first failure of this rank since the last reduction; the next reduction reports this failure on
   * all ranks */
  wl_failure pending;
};

/* units.c */
int wl_trainer_lanes(const wl_trainer *trainer);
/* Starts the units of this rank and runs their windows. *own receives the number of contributions
 * of this rank. */
wl_status wl_trainer_run_units(wl_trainer *trainer, const wl_watcher *watcher, int64_t *own);

/* The five functions below are defined in start_copy.c. Before the call of wl_plan_begin,
 * wl_trainer_keep_clocks copies clocks and meta-parameters. After wl_plan_begin has assigned units
 * to ranks, wl_trainer_keep_start copies the units of this rank. If the meta-step ends early,
 * wl_trainer_return_to_start restores clocks, meta-parameters and units. */
wl_status wl_start_copy_create(const wl_trainer *trainer, wl_start_copy *copy);
void wl_start_copy_clear(const wl_trainer *trainer, wl_start_copy *copy);
void wl_trainer_keep_clocks(wl_trainer *trainer);
wl_status wl_trainer_keep_start(wl_trainer *trainer);
void wl_trainer_return_to_start(wl_trainer *trainer);

/* Updates the groups of phi in the set `groups`. The vector reduction->sum must contain the sum of
 * `counted` contributions of units or of replayed windows. wl_trainer_update is defined in
 * meta_step.c. */
void wl_trainer_update(wl_trainer *trainer, wl_reduction *reduction, int64_t counted,
                       unsigned groups, wl_meta_report *report);

#endif
