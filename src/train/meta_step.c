/* meta_step.c - one meta-step: windows of this rank's units, the exact sum, the outer update. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/finite.h"
#include "train/recorder.h"
#include "train/replay.h"
#include "train/trainer.h"

static bool mine(const wl_trainer *tr, int64_t u) {
  return tr->plan->owner[u] == wl_comm_rank(tr->comm);
}

/* What the windows of the episodes teach; the rest is left to replay. */
static unsigned taught_groups(const wl_trainer *tr) {
  return tr->replay ? 1u << WL_OUTER_INITIALISATION : WL_OUTER_ALL;
}

/* A unit object and a workspace for its family, where this rank has none that fits. */
static wl_status prepare_unit(wl_trainer *tr, int64_t u) {
  const int64_t family = tr->plan->clock[u].family;
  wl_task *task = tr->tasks[family];
  if (tr->unit[u] && tr->unit[u]->task != task) wl_unit_destroy(&tr->unit[u]);
  if (!tr->unit[u]) WL_TRY(wl_unit_create(tr->model, task, &tr->unit[u]));
  if (tr->ws[family]) return WL_OK;
  return wl_unroll_ws_create(tr->model, task, &tr->spec, wl_trainer_back_propagates(tr),
                             tr->threads, &tr->ws[family]);
}

/* Room for the vectors of this rank's units; what they held is of no use any more. */
static wl_status make_room(wl_trainer *tr, int64_t own) {
  if (own <= tr->room) return WL_OK;
  tr->room = 0;
  wl_free(tr->vectors);
  wl_free(tr->counted);
  tr->vectors = NULL;
  tr->counted = NULL;
  WL_TRY(WL_NEW(tr->vectors, own * tr->vector));
  WL_TRY(WL_NEW(tr->counted, own));
  tr->room = own;
  return WL_OK;
}

static wl_status prepare_units(wl_trainer *tr) {
  int64_t own = 0;
  for (int64_t u = 0; u < tr->plan->units; u++) {
    if (mine(tr, u)) WL_TRY(prepare_unit(tr, u));
    else wl_unit_destroy(&tr->unit[u]);
    own += mine(tr, u);
  }
  return make_room(tr, own);
}

wl_status wl_trainer_place_units(wl_trainer *tr) {
  wl_plan_assign(tr->plan);
  return prepare_units(tr);
}

static void set_phi(wl_trainer *tr) {
  for (int i = 0; i < tr->n_tasks; i++)
    if (tr->ws[i]) wl_unroll_set_phi(tr->ws[i], tr->phi);
}

/* Runs a staggered unit to the step at which it begins to contribute. */
static wl_status run_to_first_step(wl_trainer *tr, wl_unit *unit, int64_t first) {
  wl_window_result result;
  while (unit->t < first && !unit->stopped) {
    const int64_t left = first - unit->t, steps = left < tr->spec.steps ? left : tr->spec.steps;
    WL_TRY(wl_window_run(tr->ws[unit->family], unit, steps, NULL, &result));
  }
  unit->t = first;
  return WL_OK;
}

static wl_status start_unit(wl_trainer *tr, int64_t u) {
  const wl_clock *clock = &tr->plan->clock[u];
  const wl_episode episode = {tr->seed, WL_SPACE_TRAIN, clock->episode, u};
  wl_unit *unit = tr->unit[u];
  WL_TRY(wl_unit_start(tr->ws[clock->family], unit, &episode));
  unit->horizon = clock->horizon;
  unit->family = clock->family;
  if (tr->replay) wl_replay_keep(tr->replay, tr, u, unit);
  return run_to_first_step(tr, unit, clock->t);
}

static wl_status start_units(wl_trainer *tr) {
  for (int64_t u = 0; u < tr->plan->units; u++)
    if (tr->unit[u] && tr->plan->starts[u]) WL_TRY(start_unit(tr, u));
  return WL_OK;
}

/* Sees each step of a window: keeps the point it leads to for replay. */
typedef struct witness {
  wl_trainer *trainer;
  int64_t unit;
} witness;

static void watch(void *context, const wl_step_view *step) {
  const witness *w = context;
  wl_trainer *tr = w->trainer;
  wl_unit after = *tr->unit[w->unit];
  after.t = step->t + 1;
  wl_replay_keep(tr->replay, tr, w->unit, &after);
}

/* One window of one unit into its vector: gradient and losses; false: not finite. */
static wl_status run_window(wl_trainer *tr, wl_recorder *recorder, int64_t u, int64_t steps,
                            double *vector, bool *finite) {
  wl_unroll_ws *ws = tr->ws[tr->plan->clock[u].family];
  wl_window_result result;
  wl_observer recording;
  const bool recorded = recorder && wl_recorder_begin(recorder, tr, u, &recording);
  witness w = {tr, u};
  const wl_observer keeping = {.step = watch, .context = &w, .next = recorded ? &recording : NULL};
  const wl_window_options options = {.phi_grad = vector,
                                     .observers = tr->replay ? &keeping : keeping.next};
  WL_TRY(wl_window_run(ws, tr->unit[u], steps, &options, &result));
  if (recorded) wl_recorder_end(recorder);
  double *losses = vector + tr->model->phi.size;
  losses[0] += result.meta_loss;
  if (!tr->per_episode || tr->unit[u]->t == result.steps) losses[1] = result.first_loss;
  losses[2] = result.last_loss;
  losses[3] = result.mean_loss;
  *finite = result.finite;
  return WL_OK;
}

/* The unit's windows of this meta-step: one, or all that the episode still has. */
static wl_status run_unit(wl_trainer *tr, wl_recorder *recorder, int64_t u, double *vector,
                          bool *counted) {
  const wl_clock *clock = &tr->plan->clock[u];
  int64_t t = clock->t;
  *counted = true;
  memset(vector, 0, (size_t)tr->vector * sizeof *vector);
  do {
    const int64_t left = clock->horizon - t, steps = left < tr->spec.steps ? left : tr->spec.steps;
    WL_TRY(run_window(tr, recorder, u, steps, vector, counted));
    t += steps;
  } while (*counted && tr->per_episode && t < clock->horizon);
  tr->unit[u]->t = t; /* also where it stopped: its clock goes on */
  return WL_OK;
}

static wl_status run_units(wl_trainer *tr, wl_recorder *recorder, int64_t *own) {
  *own = 0;
  if (tr->pending.code != WL_OK) return tr->pending.code;
  WL_TRY(prepare_units(tr));
  set_phi(tr);
  if (tr->replay) WL_TRY(wl_replay_open(tr->replay, tr));
  WL_TRY(start_units(tr));
  for (int64_t u = 0; u < tr->plan->units; u++) {
    if (!tr->unit[u]) continue;
    WL_TRY(run_unit(tr, recorder, u, tr->vectors + *own * tr->vector, &tr->counted[*own]));
    (*own)++;
  }
  return WL_OK;
}

static void advance(wl_trainer *tr) {
  wl_plan_advance(tr->plan, tr->per_episode ? 0 : tr->spec.steps);
  tr->meta_step++;
}

static void fill_report(wl_trainer *tr, int64_t counted, int64_t busy, wl_meta_report *report) {
  const double *loss = tr->sum + tr->model->phi.size,
               scale = counted > 0 ? 1.0 / (double)counted : NAN;
  report->meta_loss = loss[0] * scale;
  report->first_loss = loss[1] * scale;
  report->last_loss = loss[2] * scale;
  report->mean_loss = loss[3] * scale;
  report->units = tr->plan->units;
  report->skipped = tr->plan->units - counted;
  report->inner_steps = wl_plan_longest(tr->plan);
  report->compute_seconds = tr->flags[WL_FLAG_BUSY];
  report->compute_seconds_least = -tr->flags[WL_FLAG_IDLE];
  report->wait_seconds = report->compute_seconds - 1e-9 * (double)busy / wl_comm_size(tr->comm);
}

/* phi moves by counted units alone: without any, all that can help is what the next episode draws. */
static void note_counted(wl_trainer *tr, int64_t counted) {
  if (counted == 0) {
    tr->barren += tr->plan->starts[0];
    return;
  }
  tr->sound = tr->meta_step + 1;
  tr->barren = 0;
}

bool wl_trainer_has_diverged(const wl_trainer *tr) {
  const wl_clock *first = &tr->plan->clock[0];
  const int64_t begun = first->episode + (first->t > 0);
  if (!wl_finite_doubles(tr->phi, tr->model->phi.size)) return true;
  if (tr->patience == 0 || tr->barren == 0) return false;
  return tr->barren >= tr->patience || (tr->meta_step >= tr->steps && 2 * tr->barren >= begun);
}

/* The mean of the counted units' meta-gradients moves phi; none counted, none moved. */
static void update(wl_trainer *tr, int64_t counted, wl_meta_report *report) {
  report->rate = wl_outer_rate(tr->outer, tr->meta_step);
  report->gradient_norm = NAN;
  tr->skipped += tr->plan->units - counted;
  note_counted(tr, counted);
  if (counted == 0) return;
  for (int64_t i = 0; i < tr->model->phi.size; i++) tr->sum[i] /= (double)counted;
  report->gradient_norm =
      wl_outer_update(tr->outer, tr->meta_step, taught_groups(tr), tr->sum, tr->phi);
}

/* What goes on while the other ranks come to the reduction. A failure here is raised in the next one. */
static void meanwhile(wl_trainer *tr, wl_recorder *recorder, wl_meta_report *report) {
  if (!recorder) return;
  wl_failure_keep(&tr->pending, wl_recorder_ship(recorder, tr, &report->io_seconds));
}

/* The exact sum of all units' vectors, which also tells every rank of failures, wishes to stop and times. */
static wl_status reduce(wl_trainer *tr, wl_recorder *recorder, int64_t own, double computing,
                        wl_meta_report *report) {
  const double start = wl_seconds();
  int64_t busy = (int64_t)(1e9 * computing);
  wl_exact_sum s = {.vectors = tr->vectors,
                    .units = own,
                    .counted = tr->counted,
                    .count = tr->vector,
                    .blocks = tr->quanta,
                    .n_blocks = tr->n_quanta,
                    .total = tr->plan->units,
                    .flags = tr->flags,
                    .n_flags = WL_FLAG_COUNT,
                    .tallies = &busy,
                    .n_tallies = 1,
                    .sum = tr->sum};
  WL_TRY(wl_comm_exact_sum_start(tr->comm, &s));
  meanwhile(tr, recorder, report);
  WL_TRY(wl_comm_exact_sum_finish(tr->comm, &s));
  const double waited =
      tr->flags[WL_FLAG_BUSY] - computing; /* ranks leave the last meta-step together */
  report->reduce_seconds = fmax(0.0, wl_seconds() - start - waited);
  fill_report(tr, s.n_counted, busy, report);
  return WL_OK;
}

wl_status wl_trainer_meta_step(wl_trainer *tr, wl_recorder *recorder,
                               const volatile sig_atomic_t *stop, bool out_of_time,
                               wl_meta_report *report) {
  const double start = wl_seconds();
  int64_t own = 0;
  wl_plan_begin(tr->plan);
  const wl_status status = run_units(tr, recorder, &own);
  wl_failure_keep(&tr->pending, status);
  const double computing = wl_seconds() - start;
  const double flags[WL_FLAG_COUNT] = {status != WL_OK, stop && *stop, out_of_time, computing,
                                       -computing};
  memcpy(tr->flags, flags, sizeof flags);
  WL_TRY(reduce(tr, recorder, status == WL_OK ? own : 0, computing, report));
  if (tr->flags[WL_FLAG_FAILED] > 0) return wl_comm_agree(tr->comm, wl_failure_raise(&tr->pending));
  update(tr, report->units - report->skipped, report);
  if (tr->replay) WL_TRY(wl_replay_share(tr->replay, tr));
  if (tr->replay) WL_TRY(wl_replay_run(tr->replay, tr, report));
  advance(tr);
  return WL_OK;
}
