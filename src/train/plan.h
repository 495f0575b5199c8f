/* plan.h - which unit is where and who runs it: a pure function of the configuration, seed and meta-steps
 * done that every rank evaluates alike, so that clocks and balancing need no message. */
#ifndef WL_TRAIN_PLAN_H
#define WL_TRAIN_PLAN_H

#include "base/rng.h"
#include "base/status.h"

/* Where a unit is in its episode. */
typedef struct wl_clock {
  int64_t episode; /* its number */
  int64_t t;       /* inner steps done */
  int64_t horizon; /* T */
  int64_t family;  /* index of its task */
} wl_clock;

typedef struct wl_plan_setting {
  uint64_t seed;
  int64_t units;
  int ranks, tasks;
  const double *proportion; /* [tasks] copied */
  const double *cost;       /* [tasks] cost of a unit of this task, copied */
  const int64_t *horizon;   /* [n_horizon] episode.steps, borrowed */
  int n_horizon;            /* 1: T; 2: [low, high] */
  bool
      stagger; /* each unit has a horizon of its own and begins its first episode at a step of its own */
} wl_plan_setting;

typedef struct wl_plan {
  wl_plan_setting setting; /* proportion and cost are NULL in it */
  int64_t units;
  wl_clock *clock; /* [units] out */
  int *owner;      /* [units] out: rank that computes it */
  bool *starts;    /* [units] out: it begins an episode in this meta-step, at step clock.t */
  double *share;   /* [tasks] cumulative proportions, the last is 1 */
  double *cost;    /* [tasks] */
  double *load;    /* [ranks] scratch: cost assigned */
  int64_t *order;  /* [units] scratch */
  int *heap;       /* [ranks] scratch: the least loaded rank, the lowest of them, comes first */
} wl_plan;

wl_status wl_plan_create(const wl_plan_setting *setting, wl_plan **out);
void wl_plan_destroy(wl_plan **plan);
/* At the start of a meta-step: units at step 0 draw family and horizon of their episode and are assigned,
 * longest first, each to the least loaded rank. */
void wl_plan_begin(wl_plan *plan);
/* After a meta-step of windows of `steps` steps; 0: of whole episodes. */
void wl_plan_advance(wl_plan *plan, int64_t steps);
/* Assigns all units anew: their clocks come from a file. */
void wl_plan_assign(wl_plan *plan);
/* Whether some unit is within its episode. */
bool wl_plan_is_midway(const wl_plan *plan);
/* The longest episode under way. */
int64_t wl_plan_longest(const wl_plan *plan);
/* Length of the unit's episode: steps[0], or log-uniform in [steps[0], steps[1]]. */
int64_t wl_plan_horizon(const wl_plan_setting *setting, int64_t episode, int64_t unit);

#endif
