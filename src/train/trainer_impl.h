/* trainer_impl.h - the trainer's members and functions that only src/train uses. */
#ifndef WL_TRAIN_TRAINER_IMPL_H
#define WL_TRAIN_TRAINER_IMPL_H

#include "base/failure.h"
#include "train/interruption.h"
#include "train/reduction.h"
#include "train/trainer.h"

/* The flags of the reduction. The reduction computes the maximum of each flag over the ranks. */
enum { WL_FLAG_FAILED, WL_FLAG_LEFT, WL_FLAG_STOP, WL_FLAG_BUSY, WL_FLAG_IDLE, WL_FLAG_COUNT };

/* The state at a meta-step's start (start_copy.c). */
typedef struct wl_start_copy {
  wl_clock *clock; /* [units] */
  int64_t *origin, *stored; /* [units] the plan's arrays of these names */
  wl_unit **unit;  /* [units] units within an episode, on the rank that owns them */
  double *vectors; /* [4][phi.size] phi, first and second moment, average */
  int64_t updates[WL_OUTER_GROUPS];
  int64_t skipped, last_counted, episodes_without_finite_unit;
} wl_start_copy;

struct wl_trainer {
  wl_trainer_setup setup;
  wl_trainer_state *state;
  wl_unroll_ws **ws; /* [lanes][n_tasks] created when this rank first runs a unit of the task */
  double *scratch;   /* [lanes][wl_estimator_scratch] */
  wl_reduction reduction;
  wl_start_copy start;
  wl_interruption interruption;
  double flags[WL_FLAG_COUNT];
  int64_t *tallies; /* [2 + units] sums over ranks: busy nanoseconds; requests; 1 for a unit that stored its state */
  wl_failure pending; /* a failure of this rank since the last reduction; the next reduction raises the failure */
};

/* units.c */
int wl_trainer_lanes(const wl_trainer *trainer);
wl_status wl_trainer_run_units(wl_trainer *trainer, const wl_watcher *watcher, int64_t *own);

/* start_copy.c: copies clocks and meta-parameters before wl_plan_begin, and units after their assignment to ranks. */
wl_status wl_start_copy_create(const wl_trainer *trainer, wl_start_copy *copy);
void wl_start_copy_clear(const wl_trainer *trainer, wl_start_copy *copy);
void wl_trainer_keep_clocks(wl_trainer *trainer);
wl_status wl_trainer_keep_start(wl_trainer *trainer);
void wl_trainer_return_to_start(wl_trainer *trainer);

/* meta_step.c: updates phi by the mean of the `counted` contributions in reduction->sum, for episodes and replay. */
void wl_trainer_update(wl_trainer *trainer, wl_reduction *reduction, int64_t counted,
                       unsigned groups, wl_meta_report *report);

#endif
