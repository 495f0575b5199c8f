/* units.c - creates and starts the units of this rank, and runs their windows.
 *
 * Units with a backward pass run one after the other, each with all threads. Small forward-only
 * units run concurrently: each thread computes one inner run of a unit's window in a separate
 * workspace. The bits of the results do not depend on how the units run. */
#include <omp.h>
#include <string.h>

#include "task/family.h"
#include "train/replay.h"
#include "train/trainer_impl.h"
#include "unroll/restart.h"

/* Largest number of coordinates of theta for which inner runs are computed concurrently. Up to this
 * number, one thread for each run is faster than all threads for one run. */
enum { SMALL = 65536 };

int wl_trainer_lanes(const wl_trainer *tr) {
  if (tr->setup.estimator->ops->traces || tr->setup.threads < 2) return 1;
  for (int i = 0; i < tr->setup.problem.n_tasks; i++)
    if (tr->setup.problem.tasks[i]->n > SMALL) return 1;
  return tr->setup.threads;
}

static bool mine(const wl_trainer *tr, int64_t u) {
  return tr->state->plan->owner[u] == wl_comm_rank(tr->setup.comm);
}

static wl_unroll_ws **workspace(const wl_trainer *tr, int lane, int64_t task) {
  return &tr->ws[lane * tr->setup.problem.n_tasks + task];
}

/* ---- Functions that create and start units ---- */

static wl_status prepare_workspaces(wl_trainer *tr, int64_t task) {
  for (int lane = 0; lane < tr->setup.lanes; lane++) {
    wl_unroll_ws **ws = workspace(tr, lane, task);
    if (*ws) continue;
    WL_TRY(wl_unroll_ws_create(tr->setup.problem.model, tr->setup.problem.tasks[task],
                               &tr->setup.estimator->spec, wl_trainer_back_propagates(tr),
                               tr->setup.lanes > 1 ? 1 : tr->setup.threads, ws));
    wl_unroll_set_interrupt(*ws, wl_interruption_asked, &tr->interruption);
  }
  return WL_OK;
}

/* If *unit is NULL, creates a unit of `task`. If *unit belongs to another task, replaces *unit by a
 * new unit of `task`. */
static wl_status fit(const wl_trainer *tr, wl_task *task, wl_unit **unit) {
  if (*unit && (*unit)->task != task) wl_unit_destroy(unit);
  return *unit ? WL_OK
               : wl_unit_create_with(tr->setup.problem.model, task, &tr->setup.estimator->shape,
                                     unit);
}

static wl_status prepare_units(wl_trainer *tr) {
  int64_t own = 0;
  for (int64_t u = 0; u < tr->state->plan->units; u++) {
    const int64_t task = tr->state->plan->clock[u].task_index;
    if (!mine(tr, u)) {
      wl_unit_destroy(&tr->state->unit[u]);
      continue;
    }
    WL_TRY(fit(tr, tr->setup.problem.tasks[task], &tr->state->unit[u]));
    WL_TRY(prepare_workspaces(tr, task));
    own++;
  }
  return wl_reduction_reserve(&tr->reduction, own);
}

wl_status wl_trainer_place_units(wl_trainer *tr) {
  wl_plan_assign(tr->state->plan);
  return prepare_units(tr);
}

static void set_phi(wl_trainer *tr) {
  const wl_imitation *imitation = tr->setup.problem.imitation;
  wl_imitation_weights weights;
  if (imitation) weights = wl_imitation_at(imitation, tr->state->meta_step);
  for (int i = 0; i < tr->setup.lanes * tr->setup.problem.n_tasks; i++) {
    if (!tr->ws[i]) continue;
    wl_unroll_set_phi(tr->ws[i], tr->state->phi);
    if (imitation) wl_unroll_set_imitation(tr->ws[i], &weights);
  }
}

static bool draw_imitation(const wl_trainer *tr, const wl_episode *episode) {
  const wl_curriculum *c = tr->state->curriculum;
  const double share = wl_imitation_share(tr->setup.problem.imitation, c ? c->stage : 0);
  double x;
  wl_rng_uniform_double(wl_episode_stream(episode, WL_FOR_IMITATION, 0), 0, 1, 0.0, 1.0, &x);
  return x < share;
}

static wl_status start_units(wl_trainer *tr) {
  for (int64_t u = 0; u < tr->state->plan->units; u++) {
    const wl_clock *clock = &tr->state->plan->clock[u];
    const wl_episode episode = {tr->setup.problem.seed, WL_SPACE_TRAIN, clock->episode, u};
    wl_unit *unit = tr->state->unit[u];
    if (unit && tr->state->plan->restarts[u]) {
      unit->horizon = clock->horizon;
      wl_restart_begin(tr->setup.problem.model, unit, clock->episode, clock->t);
    }
    if (!unit || !tr->state->plan->starts[u]) continue;
    unit->horizon = clock->horizon;
    unit->task_index = clock->task_index;
    if (tr->setup.problem.imitation) *unit->imitates = draw_imitation(tr, &episode);
    WL_TRY(wl_unit_start(*workspace(tr, 0, clock->task_index), unit, &episode));
    if (unit->shape.restarts) wl_restart_clear_scores(unit);
    if (tr->state->replay) wl_replay_keep(tr->state->replay, tr, u, unit);
  }
  return WL_OK;
}

/* ---- windows ---- */

/* The progress of one unit of this rank during a meta-step. */
typedef struct passage {
  int64_t u;
  int64_t t; /* number of inner steps of the episode that are done */
  double *vector;
  bool *counted;
  bool done;
  wl_run_outcome *outcomes; /* [runs] outcome of the current window in each inner run of the unit */
} passage;

/* Returns true if the next window of the unit contributes to the meta-gradient. In the first
 * episode of a staggered unit, windows contribute only from the inner step clock.t on. The plan has
 * drawn this inner step. */
static bool contributes(const wl_trainer *tr, const passage *p) {
  return p->t >= tr->state->plan->clock[p->u].t;
}

static int64_t steps_of(const wl_trainer *tr, const passage *p) {
  const wl_clock *clock = &tr->state->plan->clock[p->u];
  const int64_t left = (contributes(tr, p) ? clock->horizon : clock->t) - p->t;
  return left < tr->setup.problem.spec.steps ? left : tr->setup.problem.spec.steps;
}

static wl_estimator_job job_of(const wl_trainer *tr, const passage *p, int run, int lane) {
  return (wl_estimator_job){
      .ws = *workspace(tr, lane, tr->state->plan->clock[p->u].task_index),
      .scratch =
          tr->scratch ? tr->scratch + lane * wl_estimator_scratch(tr->setup.estimator) : NULL,
      .unit = tr->state->unit[p->u],
      .run = run,
      .t = p->t,
      .steps = steps_of(tr, p),
      .phi = tr->state->phi,
      .vector = contributes(tr, p) ? p->vector : NULL};
}

static double mean_of(const wl_trainer *tr, const wl_run_outcome *o, size_t member) {
  double sum = 0.0;
  for (int r = 0; r < tr->setup.estimator->runs; r++)
    sum += *(const double *)(const void *)((const char *)&o[r].window + member);
  return sum / tr->setup.estimator->runs;
}
#define MEAN(tr, o, member) mean_of(tr, o, offsetof(wl_window_result, member))

static void note_losses(const wl_trainer *tr, const passage *p) {
  double *sums = p->vector + tr->reduction.width;
  sums[WL_SUM_META_LOSS] += MEAN(tr, p->outcomes, meta_loss);
  if (!tr->setup.per_episode || p->t == 0)
    sums[WL_SUM_FIRST_LOSS] = MEAN(tr, p->outcomes, first_loss);
  sums[WL_SUM_LAST_LOSS] = MEAN(tr, p->outcomes, last_loss);
  sums[WL_SUM_MEAN_LOSS] = MEAN(tr, p->outcomes, mean_loss);
}

static bool all_counted(const wl_trainer *tr, const passage *p) {
  for (int r = 0; r < tr->setup.estimator->runs; r++)
    if (!p->outcomes[r].counted) return false;
  return true;
}

/* Returns the number of doubles that each inner run stores for imitation; 0 if there is no
 * teacher. */
static int64_t terms_of(const wl_trainer *tr) {
  return tr->setup.problem.imitation ? tr->setup.problem.spec.steps * WL_IMITATION_TERMS : 0;
}

/* Completes the contribution of a unit after its last window. */
static void close_passage(const wl_trainer *tr, passage *p) {
  const int64_t n = tr->setup.problem.model->phi.size;
  double squares = 0.0;
  for (int64_t i = 0; i < n; i++) squares += p->vector[i] * p->vector[i];
  p->vector[tr->reduction.width + WL_SUM_SQUARES] = squares;
  if (tr->setup.estimator->ops->close)
    tr->setup.estimator->ops->close(tr->setup.estimator, p->vector);
  p->done = true;
}

/* If the losses rose in the current window, stores the state before this window. Later episodes may
 * begin at the stored state. If an episode ends and the unit has no stored state yet, also stores
 * the state before the current window. Stores nothing in the first window of an episode. At the
 * first window of a restarted episode, the state before the window is the stored state itself. At
 * the first window of any other episode, there is no earlier state of the episode. */
static void store_state(wl_trainer *tr, const passage *p, bool ends) {
  wl_unit *unit = tr->state->unit[p->u];
  const wl_plan *plan = tr->state->plan;
  const bool grown = wl_restart_has_grown(unit);
  if (plan->starts[p->u] || plan->restarts[p->u]) return;
  if (!grown && !(ends && plan->stored[p->u] == 0)) return;
  wl_restart_store(tr->setup.problem.model, tr->start.unit[p->u], unit);
  tr->tallies[2 + p->u] = 1;
}

/* Completes a window after its last inner run: combines the outcomes of the inner runs and advances
 * the unit. */
static void close_window(wl_trainer *tr, passage *p) {
  const wl_clock *clock = &tr->state->plan->clock[p->u];
  const bool contributed = contributes(tr, p);
  const wl_estimator_job job = job_of(tr, p, 0, 0);
  if (tr->setup.estimator->ops->finish)
    tr->setup.estimator->ops->finish(tr->setup.estimator, &job, p->outcomes);
  if (contributed) {
    *p->counted = all_counted(tr, p);
    note_losses(tr, p);
  }
  p->t += job.steps;
  if (tr->setup.estimator->shape.restarts) store_state(tr, p, p->t == clock->horizon);
  /* the windows of a stopped unit do not advance unit->t, but all windows advance the progress
   * p->t */
  tr->state->unit[p->u]->t = p->t;
  if (contributed && !(*p->counted && tr->setup.per_episode && p->t < clock->horizon))
    close_passage(tr, p);
}

/* Context of the observer that stores a point for replay after each inner step. */
typedef struct keeper {
  wl_trainer *trainer;
  int64_t unit;
} keeper;

static void keep_point(void *context, const wl_step_view *step) {
  const keeper *k = context;
  wl_trainer *tr = k->trainer;
  wl_unit after = *tr->state->unit[k->unit];
  after.t = step->t + 1;
  wl_replay_keep(tr->state->replay, tr, k->unit, &after);
}

static wl_status run_watched(wl_trainer *tr, passage *p, const wl_watcher *watcher) {
  const bool contributed = contributes(tr, p);
  keeper k = {tr, p->u};
  wl_observer watching;
  const bool watched =
      watcher && contributed && watcher->begin(watcher->context, tr->state->unit[p->u], &watching);
  const wl_observer keeping = {
      .step = keep_point, .context = &k, .next = watched ? &watching : NULL};
  for (int r = 0; r < tr->setup.estimator->runs; r++) {
    wl_estimator_job job = job_of(tr, p, r, 0);
    if (r == tr->setup.estimator->main_run)
      job.observers = tr->state->replay ? &keeping : keeping.next;
    WL_TRY(tr->setup.estimator->ops->run(tr->setup.estimator, &job, &p->outcomes[r]));
  }
  if (watched) watcher->end(watcher->context);
  close_window(tr, p);
  return WL_OK;
}

static wl_status run_in_turn(wl_trainer *tr, passage *passages, int64_t own,
                             const wl_watcher *watcher) {
  for (int64_t i = 0; i < own; i++)
    while (!passages[i].done) WL_TRY(run_watched(tr, &passages[i], watcher));
  return WL_OK;
}

/* Runs one window of each unit that is not done. OpenMP may assign the inner runs of the windows to
 * threads in any order. */
static wl_status run_round(wl_trainer *tr, passage *passages, int64_t own) {
  const int runs = tr->setup.estimator->runs;
  wl_failure failure = {0};
#pragma omp parallel for schedule(dynamic) num_threads(tr->setup.lanes)
  for (int64_t j = 0; j < own * runs; j++) {
    passage *p = &passages[j / runs];
    const int run = (int)(j % runs);
    if (p->done) continue;
    const wl_estimator_job job = job_of(tr, p, run, omp_get_thread_num());
    const wl_status status =
        tr->setup.estimator->ops->run(tr->setup.estimator, &job, &p->outcomes[run]);
    if (status == WL_OK) continue;
#pragma omp critical(wl_train_round)
    wl_failure_keep(&failure, status);
  }
  WL_TRY(wl_failure_raise(&failure));
  for (int64_t i = 0; i < own; i++)
    if (!passages[i].done) close_window(tr, &passages[i]);
  return WL_OK;
}

static wl_status run_side_by_side(wl_trainer *tr, passage *passages, int64_t own) {
  for (bool going = own > 0; going;) {
    WL_TRY(run_round(tr, passages, own));
    going = false;
    for (int64_t i = 0; i < own; i++) going |= !passages[i].done;
  }
  return WL_OK;
}

/* ---- Functions that run all windows of a meta-step ---- */

static int64_t begin_passages(wl_trainer *tr, passage *passages, wl_run_outcome *outcomes) {
  int64_t own = 0;
  for (int64_t u = 0; u < tr->state->plan->units; u++) {
    if (!tr->state->unit[u]) continue;
    passages[own] = (passage){.u = u,
                              .t = tr->state->plan->starts[u] ? 0 : tr->state->plan->clock[u].t,
                              .vector = wl_reduction_vector(&tr->reduction, own),
                              .counted = &tr->reduction.counted[own],
                              .outcomes = outcomes + own * tr->setup.estimator->runs};
    memset(passages[own].vector, 0, (size_t)tr->reduction.vector * sizeof(double));
    own++;
  }
  return own;
}

static wl_status run_passages(wl_trainer *tr, const wl_watcher *watcher, int64_t *own) {
  passage *passages = NULL;
  wl_run_outcome *outcomes = NULL;
  double *terms = NULL;
  const int64_t runs = tr->state->plan->units * tr->setup.estimator->runs;
  wl_status status = WL_NEW(passages, tr->state->plan->units);
  if (status == WL_OK) status = WL_NEW(outcomes, runs);
  if (status == WL_OK && terms_of(tr) > 0) status = WL_NEW(terms, runs * terms_of(tr));
  for (int64_t r = 0; terms && r < runs; r++) outcomes[r].imitation = terms + r * terms_of(tr);
  if (status == WL_OK) {
    *own = begin_passages(tr, passages, outcomes);
    status = tr->setup.lanes > 1 && !watcher ? run_side_by_side(tr, passages, *own)
                                             : run_in_turn(tr, passages, *own, watcher);
  }
  wl_free(passages);
  wl_free(outcomes);
  wl_free(terms);
  return status;
}

wl_status wl_trainer_run_units(wl_trainer *tr, const wl_watcher *watcher, int64_t *own) {
  *own = 0;
  if (tr->pending.code != WL_OK) return tr->pending.code;
  WL_TRY(prepare_units(tr));
  WL_TRY(wl_trainer_keep_start(tr));
  set_phi(tr);
  if (tr->state->replay) WL_TRY(wl_replay_open(tr->state->replay, tr));
  WL_TRY(start_units(tr));
  return run_passages(tr, watcher, own);
}
