/* speedup_run.c - runs hand-designed rules and the learned rule on the tasks of a suite, and
 * distributes the runs over the ranks.
 *
 * A job is one run of one rule on one task. Every rank has a table of the losses of all jobs, and
 * writes only the rows of its own jobs. The rows of other ranks' jobs have only zero bits, so the
 * sum of the tables over ranks is exact. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/path.h"
#include "evaluate/speedup_impl.h"
#include "unroll/window.h"

enum { SCHEDULED_LENGTHS = 3, TIMED_STEPS = 10, TIMINGS = 30, FINAL_BATCHES = 100 };

typedef struct field {
  const wl_suite *suite;
  const wl_suite_task *entry;
  const wl_task *task;
  wl_comm *comm;
} field;

/* A rule that runs on one task: the rule's model, its workspace and its unit. */
typedef struct runner {
  const field *f;
  wl_model *model;
  wl_unroll_ws *ws;
  wl_unit *unit;
} runner;

/* Creates a runner with a workspace and a unit. Takes ownership of `model`. */
static wl_status create_runner(const field *f, wl_model *model, const double *phi, int64_t steps,
                               runner *r) {
  const wl_window_spec spec = {.steps = steps, .weights = WL_WEIGHTS_LAST};
  *r = (runner){.f = f, .model = model};
  WL_TRY(wl_unroll_ws_create(model, f->task, &spec, false, 1, &r->ws));
  WL_TRY(wl_unit_create(model, f->task, &r->unit));
  wl_unroll_set_phi(r->ws, phi);
  return WL_OK;
}

static void destroy_runner(runner *r) {
  wl_unit_destroy(&r->unit);
  wl_unroll_ws_destroy(&r->ws);
  wl_model_destroy(&r->model);
}

static wl_status start_run(runner *r, int64_t seed, int64_t horizon) {
  const wl_episode episode = {(uint64_t)r->f->suite->seed, WL_SPACE_EVAL, seed, 0};
  WL_TRY(wl_unit_start(r->ws, r->unit, &episode));
  r->unit->horizon = horizon;
  return WL_OK;
}

/* Runs inner steps until `step` inner steps of the episode are done. Sets *finite to false if a
 * value of the run is not finite. */
static wl_status advance(runner *r, int64_t step, bool *finite) {
  wl_window_result result = {.finite = true};
  if (step > r->unit->t) WL_TRY(wl_window_run(r->ws, r->unit, step - r->unit->t, NULL, &result));
  *finite = result.finite;
  return WL_OK;
}

/* Returns the loss at the current theta, as a mean over `batches` minibatches of training data. The
 * minibatches of a measurement are drawn independently of the minibatches of the run. `point` is
 * the number of the measurement, and each measurement draws different minibatches. If `batches` is
 * 0 or the task has only one minibatch, returns the loss on the fixed sample. */
static double measure(const runner *r, int64_t point, int64_t batches) {
  const wl_task *task = r->f->task;
  wl_task_ws *ws = wl_unroll_task_ws(r->ws);
  const wl_real *warp = wl_unroll_warp(r->ws);
  if (batches == 0 || task->eval_batches == 1)
    return wl_task_evaluate(task, ws, WL_SPLIT_TRAIN, r->unit->theta, warp, NULL);
  double sum = 0.0;
  for (int64_t i = 0; i < batches; i++) {
    const wl_batch batch = {WL_FOR_OUTER_BATCH, WL_SPLIT_TRAIN, point * batches + i};
    sum += wl_task_loss(task, ws, &(wl_task_point){&batch, r->unit->theta, warp}, NULL, NULL);
  }
  return sum / (double)batches;
}

static bool is_constant(const wl_baseline *b) { return strcmp(b->schedule, "constant") == 0; }

/* ---- Baselines ------------------------------------------------------------------------------ */

/* Runs a rule and records the loss at each point of the curve. A rule with a schedule has a
 * separate run for each point. After the first non-finite value, all losses of the run are NaN, and
 * *diverged becomes 1. */
static wl_status run_points(runner *r, const wl_baseline_curve *c, int64_t seed, double *loss,
                            double *diverged) {
  const bool constant = is_constant(&c->baseline);
  /* the losses of a rule with a schedule are final losses, as those of the learned rule are */
  const int64_t batches = constant || r->f->suite->batches == 0 ? r->f->suite->batches : FINAL_BATCHES;
  bool finite = true;
  for (int64_t k = 0; k < c->points; k++) {
    if (k == 0 || !constant) WL_TRY(start_run(r, seed, constant ? 0 : c->steps[k]));
    if (k == 0 || !constant || finite) WL_TRY(advance(r, c->steps[k], &finite));
    loss[k] = finite ? measure(r, k, batches) : NAN;
    finite = finite && isfinite(loss[k]);
    if (!finite) *diverged = 1.0;
  }
  return wl_task_status(r->f->task);
}

/* Runs a baseline with one rate and one seed. If the suite does not allow the rate, sets all losses
 * to NaN without a run. */
static wl_status run_rate(const field *f, const wl_baseline_curve *c, int index, int64_t seed,
                          double *loss, double *diverged) {
  const double rate = wl_baseline_rate(&c->baseline, index);
  wl_rule *rule = NULL;
  wl_model *model = NULL;
  runner r = {0};
  for (int64_t k = 0; k < c->points; k++) loss[k] = NAN;
  if (!wl_suite_allows(f->entry, rate)) return WL_OK;
  WL_TRY(wl_rule_create_scheduled(c->baseline.rule, rate, c->baseline.schedule, &rule));
  WL_TRY(wl_model_create_fixed(rule, NULL, f->task, &model));
  wl_status status = create_runner(f, model, NULL, c->steps[c->points - 1], &r);
  if (status == WL_OK) status = run_points(&r, c, seed, loss, diverged);
  destroy_runner(&r);
  return status;
}

/* Writes to `steps` the lengths of the runs of a rule with a schedule, in rising order. Returns the
 * number of lengths. The lengths are 1, 3 and 10 times each horizon. Factors above `reach` are
 * replaced by `reach`. */
static int64_t list_lengths(const wl_suite_task *t, int64_t reach, int64_t *steps) {
  static const int64_t factors[SCHEDULED_LENGTHS] = {1, 3, WL_SPEEDUP_REACH};
  int64_t count = 0;
  for (int i = 0; i < t->horizons.count; i++)
    for (int j = 0; j < SCHEDULED_LENGTHS; j++) {
      const int64_t factor = factors[j] < reach ? factors[j] : reach;
      const int64_t length = factor * t->horizons.at[i];
      int64_t at = 0;
      while (at < count && steps[at] < length) at++;
      if (at < count && steps[at] == length) continue;
      memmove(steps + at + 1, steps + at, (size_t)(count - at) * sizeof *steps);
      steps[at] = length;
      count++;
    }
  return count;
}

static wl_status allocate_curve(const field *f, wl_baseline_curve *c) {
  const wl_suite_task *t = f->entry;
  const int64_t last = f->suite->reach * t->horizons.at[t->horizons.count - 1];
  const bool growing = f->suite->batches == 0;
  const int64_t most = is_constant(&c->baseline) ? wl_speedup_points(last, growing, NULL)
                                                 : SCHEDULED_LENGTHS * t->horizons.count;
  WL_TRY(WL_NEW(c->steps, most));
  c->points = is_constant(&c->baseline) ? wl_speedup_points(last, growing, c->steps)
                                        : list_lengths(t, f->suite->reach, c->steps);
  WL_TRY(WL_NEW(c->loss, WL_SPEEDUP_RATES * c->points));
  WL_TRY(WL_NEW(c->diverged, WL_SPEEDUP_RATES));
  return WL_NEW(c->best, c->points);
}

/* Averages the losses of all runs over seeds. The table has the shape [rate][seed][points + 1]. The
 * last element of a row is 1 if the run diverged. */
static void average_runs(const field *f, const double *table, wl_baseline_curve *c) {
  const int64_t seeds = f->suite->seeds, row = c->points + 1;
  for (int64_t job = 0; job < WL_SPEEDUP_RATES * seeds; job++) {
    const int64_t rate = job / seeds;
    for (int64_t k = 0; k < c->points; k++)
      c->loss[rate * c->points + k] += table[job * row + k] / (double)seeds;
    c->diverged[rate] += table[job * row + c->points] > 0;
  }
}

/* Computes the curve of a baseline. Jobs are assigned to ranks in rotation, so that each rank has
 * runs with all rates. If each rank had the runs of only a few rates, the loads of the ranks would
 * differ, because runs with high rates may diverge and end early. */
static wl_status compute_curve(const field *f, wl_baseline_curve *c) {
  const int64_t jobs = WL_SPEEDUP_RATES * f->suite->seeds;
  double *table = NULL;
  wl_status status = allocate_curve(f, c);
  const int64_t row = c->points + 1;
  if (status == WL_OK) status = WL_NEW(table, jobs * row);
  status = wl_comm_agree(f->comm, status);
  for (int64_t j = wl_comm_rank(f->comm); status == WL_OK && j < jobs; j += wl_comm_size(f->comm))
    status = run_rate(f, c, (int)(j / f->suite->seeds), j % f->suite->seeds, table + j * row,
                      table + j * row + c->points);
  status = wl_comm_agree(f->comm, status);
  if (status == WL_OK)
    status = wl_comm_sum_int64(f->comm, (int64_t *)(void *)table, (size_t)(jobs * row));
  if (status == WL_OK) average_runs(f, table, c);
  wl_free(table);
  return status;
}

/* Returns true if the curve has the results at all horizons of the task and the length that the suite requires. A curve
 * may be too short because it was computed with a smaller `--reach` or before a horizon was added. */
static bool is_complete(const wl_suite *suite, const wl_suite_task *t, const wl_baseline_curve *c) {
  for (int i = 0; i < t->horizons.count; i++)
    if (!wl_curve_covers(c, t->horizons.at[i])) return false;
  return c->steps[c->points - 1] >= suite->reach * t->horizons.at[t->horizons.count - 1];
}

/* Returns true if the task has a complete curve of the baseline. Removes an incomplete curve. */
static bool find_complete(const field *f, const char *name, wl_task_curves *out) {
  wl_baseline_curve *const c = wl_curve_find(out, name);
  if (!c || is_complete(f->suite, f->entry, c)) return c != NULL;
  wl_task_curves removed = {1, {*c}};
  wl_task_curves_clear(&removed);
  *c = out->curve[--out->count];
  return false;
}

static wl_status save_curves(const wl_speedup_request *q, wl_comm *comm, wl_task_curves *curves) {
  return wl_comm_agree(
      comm, wl_comm_rank(comm) == 0 ? wl_speedup_save(q->file, q->suite, curves) : WL_OK);
}

/* Computes the curves of one task that are requested and missing. Saves the curves of all tasks
 * after each new curve. Also computes the member `best` of every curve of the task. */
static wl_status complete_curves(const field *f, const wl_speedup_request *q,
                                 wl_task_curves *curves) {
  wl_task_curves *const out = &curves[f->entry - q->suite->tasks];
  for (int i = 0; i < q->count; i++) {
    if (find_complete(f, q->baselines[i].name, out)) continue;
    wl_log_info("task %s: running %s with %d rates and %lld seeds", f->entry->name, q->baselines[i].name,
                WL_SPEEDUP_RATES, (long long)f->suite->seeds);
    wl_baseline_curve *c = &out->curve[out->count++];
    c->baseline = q->baselines[i];
    WL_TRY(compute_curve(f, c));
    WL_TRY(save_curves(q, f->comm, curves));
  }
  for (int i = 0; i < out->count; i++) wl_speedup_envelope(&out->curve[i], f->suite->smoothing);
  return WL_OK;
}

/* ---- The learned rule ----------------------------------------------------------------------- */

static wl_status create_learned(const field *f, const wl_trained *t, int64_t steps, runner *r) {
  wl_model *model = NULL;
  WL_TRY(wl_model_create(t->config, &f->task, 1, &model));
  if (model->phi.size == t->layout.size && model->phi.count == t->layout.count)
    return create_runner(f, model, t->phi, steps, r);
  wl_model_destroy(&model);
  return WL_FAIL(
      WL_ERR_CONFIG,
      "%s: the shape of some meta-parameters depends on the network of the training, so the optimizer cannot "
      "run on task '%s'; use an optimizer without preconditioner, warp layers and learned theta_0",
      t->source, f->entry->name);
}

static wl_status run_seed(runner *r, int64_t seed, int64_t horizon, double *final) {
  bool finite;
  WL_TRY(start_run(r, seed, horizon));
  WL_TRY(advance(r, horizon, &finite));
  *final = finite ? measure(r, 0, r->f->suite->batches > 0 ? FINAL_BATCHES : 0) : NAN;
  if (!isfinite(*final)) *final = NAN;
  return wl_task_status(r->f->task);
}

/* Measures the seconds of an inner step, which uses one thread. The result is the minimum of many
 * short measurements of CPU time. Other processes therefore have little effect on the result. Every
 * rank makes these measurements separately. */
static wl_status time_steps(runner *r, double *seconds) {
  bool finite = true;
  *seconds = INFINITY;
  for (int i = 0; i < TIMINGS; i++) {
    WL_TRY(start_run(r, 0, TIMED_STEPS));
    const double before = wl_thread_seconds();
    WL_TRY(advance(r, TIMED_STEPS, &finite));
    *seconds = fmin(*seconds, (wl_thread_seconds() - before) / TIMED_STEPS);
  }
  return WL_OK;
}

static wl_status time_baseline(const field *f, const wl_baseline *b, double *seconds) {
  wl_rule *rule = NULL;
  wl_model *model = NULL;
  runner r = {0};
  WL_TRY(wl_rule_create_scheduled(b->rule, 1e-4, b->schedule, &rule));
  WL_TRY(wl_model_create_fixed(rule, NULL, f->task, &model));
  wl_status status = create_runner(f, model, NULL, TIMED_STEPS, &r);
  if (status == WL_OK) status = time_steps(&r, seconds);
  destroy_runner(&r);
  return status;
}

static wl_status run_learned(const field *f, const wl_trained *t, wl_speedup_cell *cells) {
  const wl_ints *horizons = &f->entry->horizons;
  const int64_t seeds = f->suite->seeds, jobs = horizons->count * seeds;
  runner r = {0};
  double seconds = 0.0;
  const int64_t longest = horizons->at[horizons->count - 1];
  wl_status status = create_learned(f, t, longest > TIMED_STEPS ? longest : TIMED_STEPS, &r);
  for (int i = 0; status == WL_OK && i < horizons->count; i++)
    status = WL_NEW(cells[i].final, seeds);
  status = wl_comm_agree(f->comm, status);
  if (status == WL_OK) status = time_steps(&r, &seconds);
  for (int64_t j = wl_comm_rank(f->comm); status == WL_OK && j < jobs; j += wl_comm_size(f->comm))
    status = run_seed(&r, j % seeds, horizons->at[j / seeds], &cells[j / seeds].final[j % seeds]);
  status = wl_comm_agree(f->comm, status);
  for (int i = 0; status == WL_OK && i < horizons->count; i++) {
    cells[i].task = f->entry;
    cells[i].horizon = horizons->at[i];
    cells[i].seconds = seconds;
    status = wl_comm_sum_int64(f->comm, (int64_t *)(void *)cells[i].final, (size_t)seeds);
  }
  destroy_runner(&r);
  return status;
}

/* ---- The suite ------------------------------------------------------------------------------ */

/* Computes the curves of the baselines, the cells of the learned rule and the times of inner steps
 * for one task of the suite. The array seconds [WL_MAX_BASELINES] receives the seconds of an inner
 * step with the baseline of each curve. */
static wl_status run_task(const wl_speedup_request *q, int index, wl_comm *comm,
                          wl_task_curves *curves, double *seconds, wl_speedup_cell *cells) {
  wl_task *task = NULL;
  const wl_suite_task *entry = &q->suite->tasks[index];
  wl_status status = wl_task_create(entry->map, (uint64_t)q->suite->seed, &task);
  if (status == WL_OK && task->family->few_shot)
    status = wl_map_fail(entry->map, "family", "few-shot tasks cannot be used with --speedup; use eval without "
                                               "--speedup");
  status = wl_comm_agree(comm, status);
  const field f = {q->suite, entry, task, comm};
  if (status == WL_OK) status = complete_curves(&f, q, curves);
  if (status == WL_OK && q->trained) status = run_learned(&f, q->trained, cells);
  for (int i = 0; status == WL_OK && q->trained && i < curves[index].count; i++)
    status = time_baseline(&f, &curves[index].curve[i].baseline, &seconds[i]);
  wl_task_destroy(&task);
  return wl_comm_agree(comm, status);
}

static void warn_unusable(const wl_suite_task *t, int horizon, const wl_baseline *b) {
  wl_log_warning(
      "task %s, %lld steps: there is no comparison with %s, because its curve has no finite loss at this "
      "horizon",
      t->name, (long long)t->horizons.at[horizon], b->name);
}

/* Compares the learned rule with one baseline on the tasks on which the baseline has a curve. */
static wl_status judge_baseline(const wl_suite *suite, wl_task_curves *curves,
                                const double *seconds, const wl_baseline *b, wl_speedup *out) {
  const wl_baseline_curve **curve = NULL;
  double *step = NULL;
  int64_t cell = 0;
  bool any = false, incomplete = false;
  wl_status status = WL_NEW(curve, out->cells);
  if (status == WL_OK) status = WL_NEW(step, out->cells);
  for (int i = 0; status == WL_OK && i < suite->count; i++) {
    const wl_baseline_curve *const c = wl_curve_find(&curves[i], b->name);
    for (int h = 0; h < suite->tasks[i].horizons.count; h++, cell++) {
      if (!wl_curve_is_usable(c, suite->tasks[i].horizons.at[h])) {
        if (c) warn_unusable(&suite->tasks[i], h, b);
        continue;
      }
      any = true;
      curve[cell] = c;
      incomplete |= c->steps[c->points - 1] < WL_SPEEDUP_REACH * suite->tasks[i].horizons.at[h];
      step[cell] = seconds[i * WL_MAX_BASELINES + (c - curves[i].curve)];
    }
  }
  if (status == WL_OK && any) {
    wl_speedup_table *const table = &out->table[out->tables++];
    table->baseline = *b;
    table->is_incomplete = incomplete;
    status = wl_speedup_judge(out, curve, step, table);
  }
  wl_free(curve);
  wl_free(step);
  return status;
}

static wl_status judge_all(const wl_suite *suite, wl_task_curves *curves, const double *seconds,
                           wl_speedup *out) {
  wl_baseline all[WL_MAX_BASELINES];
  const int count = wl_baselines(all);
  for (int64_t i = 0; i < out->cells; i++)
    for (int64_t s = 0; s < out->seeds; s++) out->diverged += isnan(out->cell[i].final[s]);
  for (int i = 0; i < count; i++) WL_TRY(judge_baseline(suite, curves, seconds, &all[i], out));
  return wl_speedup_judge_strongest(out);
}

/* Returns an error if ranks have different curves. Ranks that read different files would start
 * different runs, and would wait for each other forever in collective calls. */
static wl_status same_curves(const wl_suite *suite, const wl_task_curves *curves, wl_comm *comm) {
  wl_digest digest = {0};
  for (int i = 0; i < suite->count; i++) {
    const char *const definition = suite->tasks[i].definition;
    wl_digest_add(&digest, "task", definition, strlen(definition));
    for (int k = 0; k < curves[i].count; k++) {
      const wl_baseline_curve *const c = &curves[i].curve[k];
      wl_digest_add(&digest, c->baseline.name, c->steps, (size_t)c->points * sizeof *c->steps);
    }
  }
  return wl_comm_same(comm, "the suite, or the file of its curves,", digest.value);
}

/* Returns an error if the command has nothing to compare: no file has a curve of the suite, and no curve is computed. */
static wl_status check_found(const wl_speedup_request *q, const wl_task_curves *curves) {
  int found = q->count;
  for (int i = 0; i < q->suite->count; i++) found += curves[i].count;
  if (found > 0 || !q->trained) return WL_OK;
  return WL_FAIL(
      WL_ERR_NO_INPUT,
      "--curves %s: there is no curve of a task of the suite '%s', so nothing can be compared; name a file "
      "that has curves of this suite, or name rules with --baselines",
      q->file, q->suite->name);
}

/* Checks, before the long computation starts, that the requested curves that are missing can be computed and saved. */
static wl_status check_missing(const wl_speedup_request *q, wl_task_curves *curves, bool saves) {
  char path[WL_PATH_MAX];
  bool any = strchr(q->file, ',') != NULL;
  for (int i = 0; i < q->suite->count; i++)
    for (int k = 0; k < q->count; k++) {
      const wl_suite_task *const t = &q->suite->tasks[i];
      const wl_baseline_curve *const c = wl_curve_find(&curves[i], q->baselines[k].name);
      if (c && is_complete(q->suite, t, c)) continue;
      any = true;
      if (!wl_baseline_tries(&q->baselines[k], t))
        return wl_map_fail(t->map, "rates",
                           "%s has no rate in this range; its rates are %.3g, %.3g, ..., %.3g",
                           q->baselines[k].name, wl_baseline_rate(&q->baselines[k], 0),
                           wl_baseline_rate(&q->baselines[k], 1),
                           wl_baseline_rate(&q->baselines[k], WL_SPEEDUP_RATES - 1));
    }
  snprintf(path, sizeof path, "%.*s", (int)strcspn(q->file, ","), q->file);
  return any && saves ? wl_check_writable("--curves", path, true) : WL_OK;
}

wl_status wl_speedup_run(const wl_speedup_request *q, wl_comm *comm, wl_task_curves *curves,
                         wl_speedup *out) {
  const wl_suite *suite = q->suite;
  double *seconds = NULL;
  *out = (wl_speedup){.seeds = suite->seeds};
  for (int i = 0; i < suite->count; i++) out->cells += suite->tasks[i].horizons.count;
  wl_status status = WL_NEW(out->cell, out->cells);
  if (status == WL_OK) status = WL_NEW(seconds, suite->count * WL_MAX_BASELINES);
  if (status == WL_OK) status = wl_speedup_load(q->file, suite, curves);
  if (status == WL_OK) status = check_found(q, curves);
  if (status == WL_OK) status = check_missing(q, curves, wl_comm_rank(comm) == 0);
  status = wl_comm_agree(comm, status);
  if (status == WL_OK) status = same_curves(suite, curves, comm);
  for (int64_t i = 0, cell = 0; status == WL_OK && i < suite->count; i++) {
    status = run_task(q, (int)i, comm, curves, seconds + i * WL_MAX_BASELINES, out->cell + cell);
    cell += suite->tasks[i].horizons.count;
  }
  /* also writes the curves of the other files to the first file */
  if (status == WL_OK && strchr(q->file, ',')) status = save_curves(q, comm, curves);
  if (status == WL_OK && q->trained)
    status = wl_comm_agree(comm, judge_all(suite, curves, seconds, out));
  wl_free(seconds);
  if (status != WL_OK) wl_speedup_clear(out);
  return status;
}
