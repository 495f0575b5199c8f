/* trainer_impl.h - members and functions of the trainer that only src/train uses. */
#ifndef WL_TRAIN_TRAINER_IMPL_H
#define WL_TRAIN_TRAINER_IMPL_H

#include "base/failure.h"
#include "train/interruption.h"
#include "train/reduction.h"
#include "train/trainer.h"

/* The flags of the reduction, which computes the maximum of each flag over the ranks. */
enum { WL_FLAG_FAILED, WL_FLAG_LEFT, WL_FLAG_STOP, WL_FLAG_BUSY, WL_FLAG_IDLE, WL_FLAG_COUNT };

/* A copy of the state at the start of a meta-step (start_copy.c). */
typedef struct wl_start_copy {
  wl_clock *clock; /* [units] */
  int64_t *origin, *stored; /* [units] copies of the arrays of the plan with the same names */
  wl_unit **unit;  /* [units] copies of the units within an episode, on the rank that owns them */
  double *vectors; /* [4][phi.size] phi, first and second moment, average */
  int64_t updates[WL_OUTER_GROUPS];
  int64_t skipped, last_counted, episodes_without_finite_unit;
} wl_start_copy;

struct wl_trainer {
  wl_trainer_setup setup;
  wl_trainer_state *state;
  wl_unroll_ws **ws; /* [lanes][n_tasks] a workspace is created when this rank first runs a unit of the task */
  double *scratch;   /* [lanes][wl_estimator_scratch] */
  wl_reduction reduction;
  wl_start_copy start;
  wl_interruption interruption;
  double flags[WL_FLAG_COUNT];
  /* [2 + units] sums over ranks: busy nanoseconds; number of requests; for each unit, 1 if it stored its state */
  int64_t *tallies;
  wl_failure pending; /* first failure of this rank since the last reduction; the next reduction reports it */
};

/* units.c */
int wl_trainer_lanes(const wl_trainer *trainer);
/* Starts this rank's units and runs their windows. *own receives the number of contributions of this rank. */
wl_status wl_trainer_run_units(wl_trainer *trainer, const wl_watcher *watcher, int64_t *own);

/* These functions are in start_copy.c. wl_trainer_keep_clocks copies clocks and meta-parameters before wl_plan_begin.
 * wl_trainer_keep_start copies units after their assignment to ranks. wl_trainer_return_to_start restores all
 * copies. */
wl_status wl_start_copy_create(const wl_trainer *trainer, wl_start_copy *copy);
void wl_start_copy_clear(const wl_trainer *trainer, wl_start_copy *copy);
void wl_trainer_keep_clocks(wl_trainer *trainer);
wl_status wl_trainer_keep_start(wl_trainer *trainer);
void wl_trainer_return_to_start(wl_trainer *trainer);

/* Updates phi by the mean of the `counted` contributions in reduction->sum, for episodes and for replay
 * (meta_step.c). */
void wl_trainer_update(wl_trainer *trainer, wl_reduction *reduction, int64_t counted,
                       unsigned groups, wl_meta_report *report);

#endif
