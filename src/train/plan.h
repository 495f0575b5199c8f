/* plan.h - computes the clock of each unit (its episode, inner step, horizon and task), and the
 * rank that runs the unit. Every rank computes the same plan of all units, so no rank needs messages
 * from other ranks. */
#ifndef WL_TRAIN_PLAN_H
#define WL_TRAIN_PLAN_H

#include "base/rng.h"
#include "base/status.h"

/* The clock of a unit: the unit's current episode and its position in this episode. */
typedef struct wl_clock {
  int64_t episode; /* number of the unit's current episode, counted from 0 */
  int64_t t;       /* number of inner steps of this episode that are done */
  int64_t horizon; /* T */
  int64_t task_index;
} wl_clock;

typedef struct wl_plan_setting {
  uint64_t seed;
  int64_t units;
  int ranks, tasks;
  /* [tasks] probability of drawing each task, up to a common factor; copied by wl_plan_create */
  const double *proportion;
  /* [tasks] estimated cost of running a unit of each task; copied by wl_plan_create */
  const double *cost;
  /* borrowed array. If there are no stages, the array contains the values of episode.steps
   * [n_horizon]. If there are stages, the array [stages][2] contains the lengths of the shortest
   * and of the longest episode of each stage. */
  const int64_t *horizon;
  /* 1 if the horizon is a fixed number; 2 if the horizon is drawn from [horizon[0], horizon[1]] */
  int n_horizon;
  /* points to the number of the current stage, borrowed; NULL if there are no stages */
  const int64_t *stage;
  double restart; /* probability that an episode begins at the stored state of the unit */
  /* true if units are staggered: each unit draws a separate horizon, and a separate inner step at
   * which its windows begin to contribute in the first episode */
  bool stagger;
} wl_plan_setting;

typedef struct wl_plan {
  /* copy of the caller's setting; `proportion` and `cost` are NULL in the copy */
  wl_plan_setting setting;
  int64_t units;
  wl_clock *clock; /* [units] out */
  int *owner;      /* [units] rank that runs the unit */
  /* [units] true if the unit begins an episode with a new task in this meta-step */
  bool *starts;
  /* [units] true if the unit begins an episode at its stored state in this meta-step. If this
   * element is true, the element of `starts` for the unit is false, and the unit stays on its
   * rank. */
  bool *restarts;
  int64_t *origin; /* [units] number of the episode for which the unit's task was drawn */
  /* [units] inner step of the unit's stored state; 0 if the unit has no stored state */
  int64_t *stored;
  /* [tasks] sum of the proportions up to and including each task; the last element is 1 */
  double *share;
  double *cost;    /* [tasks] */
  double *load;    /* [ranks] total cost of the units that are assigned to each rank */
  int64_t *order;  /* [units] scratch */
  /* [ranks] heap of rank numbers. The first element is the rank with the lowest load. If several
   * ranks have the lowest load, the first element is the rank with the lowest number among these
   * ranks. */
  int *heap;
} wl_plan;

/* Creates the clocks of all units. Copies `setting`. The caller frees *out with wl_plan_destroy. */
wl_status wl_plan_create(const wl_plan_setting *setting, wl_plan **out);
void wl_plan_destroy(wl_plan **plan);
/* Begins a meta-step. For each unit at inner step 0, draws the task and the horizon of a new
 * episode. Then assigns the units that begin an episode to ranks in the order of falling cost. Each
 * unit is assigned to the rank that has the lowest load so far. */
void wl_plan_begin(wl_plan *plan);
/* Records that the stored state of the unit is now the state that the unit had at the start of this
 * meta-step. Call this function before wl_plan_advance. */
void wl_plan_store(wl_plan *plan, int64_t unit);
/* Advances the clocks after a meta-step. `steps` is the window length in inner steps, or 0 if the
 * meta-step ran whole episodes. */
void wl_plan_advance(wl_plan *plan, int64_t steps);
/* Assigns all units to ranks after the clocks were read from a checkpoint. */
void wl_plan_assign(wl_plan *plan);
/* Returns true if any unit is within an episode, that is, after its first step and before its end. */
bool wl_plan_is_midway(const wl_plan *plan);
/* Returns the largest horizon of the current episodes, in inner steps. */
int64_t wl_plan_longest(const wl_plan *plan);
/* Returns the length of an episode of the unit, in inner steps. The length is the fixed number in
 * `setting`, or is drawn log-uniformly from the range in `setting`. */
int64_t wl_plan_horizon(const wl_plan_setting *setting, int64_t episode, int64_t unit);

#endif
