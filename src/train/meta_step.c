/* meta_step.c - runs one meta-step: runs the windows of this rank's units, sums the contributions
 * of all ranks, and updates phi. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/finite.h"
#include "base/statistic.h"
#include "train/replay.h"
#include "train/trainer_impl.h"

/* Returns the set of groups of phi that the windows of the episodes update. If the training uses
 * replay, this set contains only the initialisation, because the replayed windows update all other
 * groups. */
static unsigned moved_groups(const wl_trainer *tr) {
  return tr->state->replay ? 1u << WL_OUTER_INITIALISATION : WL_OUTER_ALL;
}

static void fill_report(wl_trainer *tr, int64_t counted, int64_t busy, wl_meta_report *report) {
  const double *sums = tr->reduction.sum + tr->reduction.width,
               scale = counted > 0 ? 1.0 / (double)counted : NAN;
  report->meta_loss = sums[WL_SUM_META_LOSS] * scale;
  report->first_loss = sums[WL_SUM_FIRST_LOSS] * scale;
  report->last_loss = sums[WL_SUM_LAST_LOSS] * scale;
  report->mean_loss = sums[WL_SUM_MEAN_LOSS] * scale;
  report->units = tr->state->plan->units;
  report->skipped = tr->state->plan->units - counted;
  report->inner_steps = wl_plan_longest(tr->state->plan);
  report->compute_seconds = tr->flags[WL_FLAG_BUSY];
  report->compute_seconds_least = -tr->flags[WL_FLAG_IDLE];
  report->wait_seconds =
      report->compute_seconds - 1e-9 * (double)busy / wl_comm_size(tr->setup.comm);
}

/* Records `counted`, the number of finite units. If no unit is finite, phi does not change, so only
 * an episode with a newly drawn task can be finite. The function therefore counts the episodes that
 * have begun since a unit was last finite. */
static void note_counted(wl_trainer *tr, int64_t counted) {
  const bool begun = tr->state->plan->starts[0] || tr->state->plan->restarts[0];
  tr->state->skipped += tr->state->plan->units - counted;
  if (counted == 0) {
    tr->state->episodes_without_finite_unit += begun;
    return;
  }
  tr->state->last_counted = tr->state->meta_step + 1;
  tr->state->episodes_without_finite_unit = 0;
}

bool wl_trainer_has_diverged(const wl_trainer *tr) {
  const wl_clock *first = &tr->state->plan->clock[0];
  const int64_t begun = first->episode + (first->t > 0);
  if (!wl_finite_doubles(tr->state->phi, tr->setup.problem.model->phi.size)) return true;
  if (tr->setup.patience == 0 || tr->state->episodes_without_finite_unit == 0) return false;
  return tr->state->episodes_without_finite_unit >= tr->setup.patience ||
         (tr->state->meta_step >= tr->setup.steps && 2 * tr->state->episodes_without_finite_unit >= begun);
}

/* Computes the variance of the meta-gradients g_u of the units u: mean |g_u - mean g|^2 = mean
 * |g_u|^2 - |mean g|^2. Also computes the signal-to-noise ratio, which is |mean g|^2 divided by the
 * variance. Stores variance and signal-to-noise ratio in the report. */
static void note_noise(const wl_trainer *tr, const wl_reduction *r, int64_t counted,
                       wl_meta_report *report) {
  const int64_t n = tr->setup.problem.model->phi.size;
  double signal = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double mean = r->sum[i] / (double)counted;
    signal += mean * mean;
  }
  const double variance = r->sum[r->width + WL_SUM_SQUARES] / (double)counted - signal;
  report->variance = counted > 1 && variance > 0.0 ? variance : NAN;
  report->signal_to_noise = signal / report->variance;
}

void wl_trainer_update(wl_trainer *tr, wl_reduction *r, int64_t counted, unsigned groups,
                       wl_meta_report *report) {
  if (counted == 0) return;
  note_noise(tr, r, counted, report);
  wl_estimator_combine(tr->setup.estimator, r->sum, counted, r->gradient);
  report->gradient_norm =
      wl_outer_update(tr->state->outer, tr->state->meta_step, groups, r->gradient, tr->state->phi);
}

/* Replaces the exponential average of phi by a * average + (1 - a) * phi. The factor a is
 * outer.average, but at most (1 + n) / (10 + n) at meta-step n, so that early values of phi have
 * less weight. */
static void update_average(wl_trainer *tr) {
  const double n = (double)tr->state->meta_step, early = (1.0 + n) / (10.0 + n),
               keep = tr->state->outer->average < early ? tr->state->outer->average : early;
  for (int64_t i = 0; tr->state->average && i < tr->setup.problem.model->phi.size; i++)
    tr->state->average[i] = keep * tr->state->average[i] + (1.0 - keep) * tr->state->phi[i];
}

double *wl_trainer_result(const wl_trainer *tr) {
  return tr->state->average ? tr->state->average : tr->state->phi;
}

double *wl_trainer_export(const wl_trainer *tr) {
  double *const best =
      tr->state->curriculum ? wl_curriculum_result(tr->state->curriculum) : NULL;
  return best ? best : wl_trainer_result(tr);
}

bool wl_trainer_judge(wl_trainer *tr, double loss) {
  const wl_curriculum *c = tr->state->curriculum;
  const size_t bytes = (size_t)tr->setup.problem.model->phi.size * sizeof(double);
  if (!wl_curriculum_judge(tr->state->curriculum, loss, wl_trainer_result(tr))) return false;
  memcpy(tr->state->phi, c->best, bytes);
  if (tr->state->average) memcpy(tr->state->average, c->best, bytes);
  return true;
}

/* Calls the callback `ship` of the watcher, if there is one. Other ranks may still compute their
 * windows during this call. If the callback fails, the next reduction reports the failure. */
static void ship_records(wl_trainer *tr, const wl_watcher *watcher, wl_meta_report *report) {
  if (!watcher) return;
  wl_failure_keep(&tr->pending, watcher->ship(watcher->context, &report->io_seconds));
}

/* Computes the exact sum of the contributions of all units. The collective operation for the sum
 * also combines the failures, the stop requests and the times of all ranks. */
static wl_status reduce(wl_trainer *tr, const wl_watcher *watcher, int64_t own, double computing,
                        wl_meta_report *report) {
  const double start = wl_seconds();
  int64_t *const tallies = tr->tallies;
  tallies[0] = (int64_t)(1e9 * computing);
  tallies[1] = tr->interruption.told;
  wl_exact_sum s = wl_reduction_sum(&tr->reduction, own, tr->state->plan->units);
  s.flags = tr->flags;
  s.n_flags = WL_FLAG_COUNT;
  s.tallies = tallies;
  s.n_tallies = 2 + (tr->state->plan->setting.restart > 0 ? (int)tr->state->plan->units : 0);
  WL_TRY(wl_comm_exact_sum_start(tr->setup.comm, &s));
  ship_records(tr, watcher, report);
  WL_TRY(wl_comm_exact_sum_finish(tr->setup.comm, &s));
  WL_TRY(wl_interruption_settle(&tr->interruption, tallies[1]));
  const double waited =
      /* seconds that this rank waited for the slowest rank; all ranks began the meta-step at the
       * same time */
      tr->flags[WL_FLAG_BUSY] - computing;
  report->reduce_seconds = fmax(0.0, wl_seconds() - start - waited);
  fill_report(tr, s.n_counted, tallies[0], report);
  return WL_OK;
}

/* Runs the windows of this rank's units. Stores the compute time in seconds in *computing. Sets the
 * elements of tr->flags. Three elements are 1 if a condition is true and otherwise 0. The three
 * conditions are: this rank has failed; this rank stopped computing its windows early; this
 * meta-step must be the last one. The last two elements of tr->flags are the compute time of this
 * rank in seconds and the negative of this time. Returns the number of contributions that this rank
 * adds to the sum. */
static int64_t compute(wl_trainer *tr, const wl_meta_request *request, double *computing) {
  const double start = wl_seconds();
  int64_t own = 0;
  wl_interruption_begin(&tr->interruption, request->stop, request->deadline);
  wl_trainer_keep_clocks(tr);
  memset(tr->tallies, 0, (size_t)(tr->state->plan->units + 2) * sizeof *tr->tallies);
  wl_plan_begin(tr->state->plan);
  wl_status status = wl_trainer_run_units(tr, request->watcher, &own);
  const bool left = status == WL_TRY_AGAIN;
  if (left) status = WL_OK;
  wl_failure_keep(&tr->pending, status);
  wl_failure_keep(&tr->pending, wl_interruption_tell(&tr->interruption));
  *computing = wl_seconds() - start;
  const bool stop = left || request->last || (request->stop && *request->stop);
  const double flags[WL_FLAG_COUNT] = {tr->pending.code != WL_OK, left, stop, *computing,
                                       -*computing};
  memcpy(tr->flags, flags, sizeof flags);
  return left || status != WL_OK ? 0 : own;
}

/* Updates phi from the summed contributions. After this update, runs the replay, which updates phi
 * again. */
static wl_status learn(wl_trainer *tr, wl_meta_report *report, bool *left) {
  const int64_t counted = report->units - report->skipped;
  report->rate = wl_outer_rate(tr->state->outer, tr->state->meta_step);
  report->gradient_norm = report->variance = report->signal_to_noise = NAN;
  note_counted(tr, counted);
  wl_trainer_update(tr, &tr->reduction, counted, moved_groups(tr), report);
  if (tr->state->replay) WL_TRY(wl_replay_share(tr->state->replay, tr));
  return tr->state->replay ? wl_replay_run(tr->state->replay, tr, report, left) : WL_OK;
}

wl_status wl_trainer_meta_step(wl_trainer *tr, const wl_meta_request *request,
                               wl_meta_outcome *outcome, wl_meta_report *report) {
  double computing;
  const int64_t own = compute(tr, request, &computing);
  WL_TRY(reduce(tr, request->watcher, own, computing, report));
  if (tr->flags[WL_FLAG_FAILED] > 0)
    return wl_comm_agree(tr->setup.comm, wl_failure_raise(&tr->pending));
  bool left = tr->flags[WL_FLAG_LEFT] > 0;
  if (!left) WL_TRY(learn(tr, report, &left));
  *outcome = left ? WL_META_ABANDONED : tr->flags[WL_FLAG_STOP] > 0 ? WL_META_LAST : WL_META_GO_ON;
  if (left) {
    wl_trainer_return_to_start(tr);
    return WL_OK;
  }
  update_average(tr);
  for (int64_t u = 0; u < tr->state->plan->units; u++)
    if (tr->tallies[2 + u] > 0) wl_plan_store(tr->state->plan, u);
  wl_plan_advance(tr->state->plan, tr->setup.per_episode ? 0 : tr->setup.problem.spec.steps);
  tr->state->meta_step++;
  return WL_OK;
}
