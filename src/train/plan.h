/* plan.h - the clock of each unit, and the rank that runs the unit. Both depend only on the configuration, the seed and
 * the number of meta-steps done. Every rank computes both, so that clocks and balancing need no messages. */
#ifndef WL_TRAIN_PLAN_H
#define WL_TRAIN_PLAN_H

#include "base/rng.h"
#include "base/status.h"

/* The position of a unit in its episode. */
typedef struct wl_clock {
  int64_t episode; /* number of the unit's episode */
  int64_t t;       /* number of inner steps done */
  int64_t horizon; /* T */
  int64_t task_index;
} wl_clock;

typedef struct wl_plan_setting {
  uint64_t seed;
  int64_t units;
  int ranks, tasks;
  const double *proportion; /* [tasks] copied */
  const double *cost;       /* [tasks] cost of a unit of this task, copied */
  const int64_t *horizon;   /* [n_horizon] episode.steps, borrowed; if there are stages, [stages][2] */
  int n_horizon;            /* 1: the horizon is T; 2: the horizon is drawn from [low, high] */
  const int64_t *stage;     /* number of the current stage, borrowed; NULL: no stages */
  double restart; /* probability that an episode begins at the unit's stored state */
  bool
      stagger; /* each unit draws its own horizon, and the step at which its first episode begins */
} wl_plan_setting;

typedef struct wl_plan {
  wl_plan_setting setting; /* the members proportion and cost of this copy are NULL */
  int64_t units;
  wl_clock *clock; /* [units] out */
  int *owner;      /* [units] out: the rank that runs the unit */
  bool *starts;    /* [units] out: the unit begins an episode in this meta-step, at step clock.t */
  /* [units] out: the unit begins an episode at its stored state and stays on its rank; `starts` is false */
  bool *restarts;
  int64_t *origin; /* [units] number of the episode that determines the unit's task */
  int64_t *stored; /* [units] inner step of the unit's stored state; 0: the unit has no stored state */
  double *share;   /* [tasks] cumulative proportions; the last one is 1 */
  double *cost;    /* [tasks] */
  double *load;    /* [ranks] scratch: total cost of the units assigned to each rank */
  int64_t *order;  /* [units] scratch */
  /* [ranks] scratch: heap of ranks; the first rank has the lowest load (if several have it, the lowest rank number) */
  int *heap;
} wl_plan;

/* Creates the clocks of all units. Copies `setting`. The caller frees *out with wl_plan_destroy. */
wl_status wl_plan_create(const wl_plan_setting *setting, wl_plan **out);
void wl_plan_destroy(wl_plan **plan);
/* Call this at the start of a meta-step. Each unit at step 0 draws the task and horizon of its episode. These units are
 * assigned in order of falling cost, each to the rank with the lowest load. */
void wl_plan_begin(wl_plan *plan);
/* Records that the unit has stored its state from before this meta-step. Call this before wl_plan_advance. */
void wl_plan_store(wl_plan *plan, int64_t unit);
/* Call this after a meta-step. `steps` is the window length in inner steps, or 0 if the meta-step ran whole
 * episodes. */
void wl_plan_advance(wl_plan *plan, int64_t steps);
/* Assigns all units to ranks again, after their clocks were read from a file. */
void wl_plan_assign(wl_plan *plan);
/* Returns true if any unit is within an episode, that is, after its first step and before its end. */
bool wl_plan_is_midway(const wl_plan *plan);
/* Returns the horizon of the longest current episode, in inner steps. */
int64_t wl_plan_longest(const wl_plan *plan);
/* Returns the length of the unit's episode: steps[0], or a number drawn log-uniformly from [steps[0], steps[1]]. */
int64_t wl_plan_horizon(const wl_plan_setting *setting, int64_t episode, int64_t unit);

#endif
