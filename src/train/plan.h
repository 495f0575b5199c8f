/* plan.h - who does what in an episode: a pure function of the configuration, seed and episode
 * number that every rank evaluates alike, so that balancing needs no message. */
#ifndef WL_TRAIN_PLAN_H
#define WL_TRAIN_PLAN_H

#include "base/rng.h"
#include "base/status.h"

typedef struct wl_plan {
  int64_t units;
  int ranks, tasks;
  double *share;  /* [tasks] cumulative proportions, the last is 1 */
  double *cost;   /* [tasks] cost of a unit of this task */
  int *task;      /* [units] out: index of the unit's task family */
  int *owner;     /* [units] out: rank that computes it */
  double *load;   /* [ranks] out: cost assigned */
  int64_t *order; /* [units] scratch */
  int *heap;      /* [ranks] scratch: the least loaded rank, the lowest of them, comes first */
} wl_plan;

/* `proportion` and `cost` [tasks] are copied. */
wl_status wl_plan_create(int64_t units, int ranks, int tasks, const double *proportion,
                         const double *cost, wl_plan **out);
void wl_plan_destroy(wl_plan **plan);
/* Draws each unit's family and assigns the units, longest first, each to the least loaded rank. */
void wl_plan_episode(wl_plan *plan, uint64_t seed, int64_t episode);
/* Length of an episode: steps[0], or log-uniform in [steps[0], steps[1]]. */
int64_t wl_plan_horizon(const int64_t *steps, int count, uint64_t seed, int64_t episode);

#endif
