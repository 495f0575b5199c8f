/* plan.c - families, horizons and the assignment of units to ranks. */
#include "train/plan.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static wl_status allocate(wl_plan *p) {
  WL_TRY(WL_NEW(p->share, p->tasks));
  WL_TRY(WL_NEW(p->cost, p->tasks));
  WL_TRY(WL_NEW(p->task, p->units));
  WL_TRY(WL_NEW(p->owner, p->units));
  WL_TRY(WL_NEW(p->load, p->ranks));
  WL_TRY(WL_NEW(p->heap, p->ranks));
  return WL_NEW(p->order, p->units);
}

wl_status wl_plan_create(int64_t units, int ranks, int tasks, const double *proportion,
                         const double *cost, wl_plan **out) {
  wl_plan *p = NULL;
  WL_TRY(WL_NEW(p, 1));
  *p = (wl_plan){.units = units, .ranks = ranks, .tasks = tasks};
  const wl_status status = allocate(p);
  if (status != WL_OK) {
    wl_plan_destroy(&p);
    return status;
  }
  double total = 0.0, sum = 0.0;
  for (int i = 0; i < tasks; i++) total += proportion[i];
  for (int i = 0; i < tasks; i++) {
    sum += proportion[i];
    p->share[i] = i == tasks - 1 ? 1.0 : sum / total;
    p->cost[i] = cost[i];
  }
  *out = p;
  return WL_OK;
}

void wl_plan_destroy(wl_plan **plan) {
  wl_plan *p = *plan;
  if (!p) return;
  wl_free(p->share);
  wl_free(p->cost);
  wl_free(p->task);
  wl_free(p->owner);
  wl_free(p->load);
  wl_free(p->order);
  wl_free(p->heap);
  wl_free(p);
  *plan = NULL;
}

static void draw_families(wl_plan *p, uint64_t seed, int64_t episode) {
  for (int64_t u = 0; u < p->units; u++) {
    double x;
    wl_rng_uniform_double(
        (wl_stream){seed, WL_FOR_FAMILY, WL_SPACE_TRAIN, (uint64_t)episode, (uint64_t)u, 0}, 0, 1,
        0.0, 1.0, &x);
    p->task[u] = 0;
    while (p->task[u] < p->tasks - 1 && !(x < p->share[p->task[u]])) p->task[u]++;
  }
}

/* Units by falling cost; equal costs keep their order, by counting sort over the families. */
static void sort_by_cost(wl_plan *p) {
  int64_t placed = 0;
  double bound = INFINITY;
  while (placed < p->units) {
    double next = -INFINITY;
    for (int i = 0; i < p->tasks; i++)
      if (p->cost[i] < bound && p->cost[i] > next) next = p->cost[i];
    for (int64_t u = 0; u < p->units; u++)
      if (p->cost[p->task[u]] == next) p->order[placed++] = u;
    bound = next;
  }
}

static bool comes_before(const wl_plan *p, int a, int b) {
  return p->load[a] < p->load[b] || (!(p->load[b] < p->load[a]) && a < b);
}

/* Lets the rank at the top, whose load has grown, sink to its place in the heap. */
static void sink(const wl_plan *p) {
  const int rank = p->heap[0];
  int at = 0;
  for (int child = 1; child < p->ranks; child = 2 * at + 1) {
    if (child + 1 < p->ranks && comes_before(p, p->heap[child + 1], p->heap[child])) child++;
    if (!comes_before(p, p->heap[child], rank)) break;
    p->heap[at] = p->heap[child];
    at = child;
  }
  p->heap[at] = rank;
}

void wl_plan_episode(wl_plan *p, uint64_t seed, int64_t episode) {
  draw_families(p, seed, episode);
  sort_by_cost(p);
  for (int r = 0; r < p->ranks; r++) {
    p->load[r] = 0.0;
    p->heap[r] = r;
  }
  for (int64_t i = 0; i < p->units; i++) {
    const int64_t u = p->order[i];
    const int rank = p->heap[0];
    p->owner[u] = rank;
    p->load[rank] += p->cost[p->task[u]];
    sink(p);
  }
}

int64_t wl_plan_horizon(const int64_t *steps, int count, uint64_t seed, int64_t episode) {
  if (count < 2) return steps[0];
  double x;
  wl_rng_uniform_double((wl_stream){seed, WL_FOR_HORIZON, WL_SPACE_TRAIN, (uint64_t)episode, 0, 0},
                        0, 1, log((double)steps[0]), log((double)steps[1] + 1.0), &x);
  const int64_t drawn = (int64_t)exp(x);
  return drawn < steps[0] ? steps[0] : drawn > steps[1] ? steps[1] : drawn;
}
