/* plan.c - draws the tasks and horizons of the units' episodes, and assigns units to ranks. */
#include "train/plan.h"

#include <math.h>
#include <stdlib.h>

static wl_status allocate(wl_plan *p) {
  WL_TRY(WL_NEW(p->clock, p->units));
  WL_TRY(WL_NEW(p->owner, p->units));
  WL_TRY(WL_NEW(p->starts, p->units));
  WL_TRY(WL_NEW(p->restarts, p->units));
  WL_TRY(WL_NEW(p->origin, p->units));
  WL_TRY(WL_NEW(p->stored, p->units));
  WL_TRY(WL_NEW(p->share, p->setting.tasks));
  WL_TRY(WL_NEW(p->cost, p->setting.tasks));
  WL_TRY(WL_NEW(p->load, p->setting.ranks));
  WL_TRY(WL_NEW(p->heap, p->setting.ranks));
  return WL_NEW(p->order, p->units);
}

wl_status wl_plan_create(const wl_plan_setting *s, wl_plan **out) {
  wl_plan *p = NULL;
  WL_TRY(WL_NEW(p, 1));
  p->setting = *s;
  p->units = s->units;
  p->setting.proportion = p->setting.cost = NULL;
  const wl_status status = allocate(p);
  if (status != WL_OK) {
    wl_plan_destroy(&p);
    return status;
  }
  double total = 0.0, sum = 0.0;
  for (int i = 0; i < s->tasks; i++) total += s->proportion[i];
  for (int i = 0; i < s->tasks; i++) {
    sum += s->proportion[i];
    p->share[i] = i == s->tasks - 1 ? 1.0 : sum / total;
    p->cost[i] = s->cost[i];
  }
  *out = p;
  return WL_OK;
}

void wl_plan_destroy(wl_plan **plan) {
  wl_plan *p = *plan;
  if (!p) return;
  void *const owned[] = {p->clock,  p->owner, p->starts, p->restarts, p->origin, p->stored,
                         p->share,  p->cost,  p->load,   p->order,    p->heap};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_free(p);
  *plan = NULL;
}

static double draw(const wl_plan_setting *s, wl_purpose purpose, int64_t episode, int64_t unit,
                   double low, double high) {
  double x;
  wl_rng_uniform_double(
      (wl_stream){s->seed, purpose, WL_SPACE_TRAIN, (uint64_t)episode, (uint64_t)unit, 0}, 0, 1,
      low, high, &x);
  return x;
}

static int64_t draw_task(const wl_plan *p, int64_t episode, int64_t unit) {
  const double x = draw(&p->setting, WL_FOR_FAMILY, episode, unit, 0.0, 1.0);
  int64_t task = 0;
  while (task < p->setting.tasks - 1 && !(x < p->share[task])) task++;
  return task;
}

/* If units are not staggered, every unit has the horizon that is drawn for unit 0. */
int64_t wl_plan_horizon(const wl_plan_setting *s, int64_t episode, int64_t unit) {
  const int64_t *steps = s->horizon + (s->stage ? 2 * *s->stage : 0);
  if (s->n_horizon < 2) return steps[0];
  const double x = draw(s, WL_FOR_HORIZON, episode, s->stagger ? unit : 0, log((double)steps[0]),
                        log((double)steps[1] + 1.0));
  const int64_t drawn = (int64_t)exp(x);
  return drawn < steps[0] ? steps[0] : drawn > steps[1] ? steps[1] : drawn;
}

/* Draws the inner step at which the windows of a staggered unit begin to contribute in the unit's
 * first episode. The step is drawn uniformly from [0, T), where T is `horizon`. */
static int64_t first_step(const wl_plan_setting *s, int64_t unit, int64_t horizon) {
  const double x = draw(s, WL_FOR_STAGGER, 0, unit, 0.0, (double)horizon);
  return (int64_t)x < horizon ? (int64_t)x : horizon - 1;
}

static void begin_episode(wl_plan *p, int64_t u) {
  wl_clock *const c = &p->clock[u];
  c->task_index = draw_task(p, c->episode, u);
  c->horizon = wl_plan_horizon(&p->setting, c->episode, u);
  p->origin[u] = c->episode;
  p->stored[u] = 0;
  if (p->setting.stagger && c->episode == 0) c->t = first_step(&p->setting, u, c->horizon);
}

/* Sets the clock of a unit that begins an episode at the unit's stored state. The task does not
 * change, because the stored state belongs to this task. The number of steps from the stored state
 * to the end of the episode is drawn again. */
static void begin_again(wl_plan *p, int64_t u) {
  wl_clock *const c = &p->clock[u];
  c->t = p->stored[u];
  c->horizon = c->t + wl_plan_horizon(&p->setting, c->episode, u);
}

static bool is_restarted(const wl_plan *p, int64_t u) {
  if (p->clock[u].t > 0 || p->stored[u] == 0) return false;
  return draw(&p->setting, WL_FOR_RESTART, p->clock[u].episode, u, 0.0, 1.0) < p->setting.restart;
}

static double cost_of(const wl_plan *p, int64_t u) { return p->cost[p->clock[u].task_index]; }

/* Writes to p->order the units that begin an episode, sorted by falling cost. Units of equal cost
 * keep their order. For each cost that occurs, the function makes one pass over all units. Returns
 * the number of sorted units. */
static int64_t sort_by_cost(wl_plan *p) {
  int64_t placed = 0;
  for (double bound = INFINITY; bound > -INFINITY;) {
    double next = -INFINITY;
    for (int i = 0; i < p->setting.tasks; i++)
      if (p->cost[i] < bound && p->cost[i] > next) next = p->cost[i];
    for (int64_t u = 0; next > -INFINITY && u < p->units; u++)
      if (p->starts[u] && cost_of(p, u) == next) p->order[placed++] = u;
    bound = next;
  }
  return placed;
}

static bool comes_before(const wl_plan *p, int a, int b) {
  return p->load[a] < p->load[b] || (!(p->load[b] < p->load[a]) && a < b);
}

/* Restores the order of the heap (sift-down) after the load of the rank at position `at` of the
 * heap has grown. */
static void sink(const wl_plan *p, int at) {
  const int rank = p->heap[at];
  for (int child = 2 * at + 1; child < p->setting.ranks; child = 2 * at + 1) {
    if (child + 1 < p->setting.ranks && comes_before(p, p->heap[child + 1], p->heap[child]))
      child++;
    if (!comes_before(p, p->heap[child], rank)) break;
    p->heap[at] = p->heap[child];
    at = child;
  }
  p->heap[at] = rank;
}

/* Builds the heap of ranks, ordered by load. Units within an episode stay on their rank. The load
 * of a rank is the total cost of its units that are within an episode. */
static void fill_heap(wl_plan *p) {
  const int ranks = p->setting.ranks;
  for (int r = 0; r < ranks; r++) {
    p->load[r] = 0.0;
    p->heap[r] = r;
  }
  for (int64_t u = 0; u < p->units; u++)
    if (!p->starts[u]) p->load[p->owner[u]] += cost_of(p, u);
  for (int at = ranks / 2 - 1; at >= 0; at--) sink(p, at);
}

static void assign_starting(wl_plan *p) {
  const int64_t count = sort_by_cost(p);
  fill_heap(p);
  for (int64_t i = 0; i < count; i++) {
    const int64_t u = p->order[i];
    p->owner[u] = p->heap[0];
    p->load[p->heap[0]] += cost_of(p, u);
    sink(p, 0);
  }
}

void wl_plan_begin(wl_plan *p) {
  bool any = false;
  for (int64_t u = 0; u < p->units; u++) {
    p->restarts[u] = is_restarted(p, u);
    p->starts[u] = p->clock[u].t == 0 && !p->restarts[u];
    if (p->starts[u]) begin_episode(p, u);
    if (p->restarts[u]) begin_again(p, u);
    any |= p->starts[u];
  }
  if (any) assign_starting(p);
}

void wl_plan_assign(wl_plan *p) {
  for (int64_t u = 0; u < p->units; u++) p->starts[u] = true;
  assign_starting(p);
}

void wl_plan_store(wl_plan *p, int64_t u) { p->stored[u] = p->clock[u].t; }

void wl_plan_advance(wl_plan *p, int64_t steps) {
  for (int64_t u = 0; u < p->units; u++) {
    wl_clock *const c = &p->clock[u];
    const int64_t left = c->horizon - c->t;
    c->t = steps == 0 || left <= steps ? 0 : c->t + steps;
    c->episode += c->t == 0;
  }
}

bool wl_plan_is_midway(const wl_plan *p) {
  for (int64_t u = 0; u < p->units; u++)
    if (p->clock[u].t > 0) return true;
  return false;
}

int64_t wl_plan_longest(const wl_plan *p) {
  int64_t longest = 0;
  for (int64_t u = 0; u < p->units; u++)
    if (p->clock[u].horizon > longest) longest = p->clock[u].horizon;
  return longest;
}
