/* evaluate.c - runs rules on tasks, spread over the ranks, and tunes the hand-designed ones.
 *
 * The unit of work is one episode of one rule on one task. Every rank holds the whole table of
 * results, fills in its own rows, and the tables are added: rows of others are zero bits, so the sum
 * is exact. */
#include "train/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static const char *const baselines[] = {"sgd", "momentum", "nesterov", "rmsprop", "adam"};
enum { N_BASELINES = 5, MAX_RATES = 40 };

/* What one episode yields. */
typedef struct outcome {
  double start, final, heldout, accuracy;
  double diverged; /* 1 when it did */
} outcome;
enum { OUTCOME_VALUES = sizeof(outcome) / sizeof(double) };

/* Who runs: a model with its phi, on a network. */
typedef struct contender {
  const wl_model *model;
  const double *phi;
  const wl_task *task;
} contender;

typedef struct runner {
  const wl_task *task;  /* with the trained warp layers */
  const wl_task *plain; /* without: what hand-designed rules run on */
  const wl_eval_setting *setting;
  wl_comm *comm;
} runner;

typedef struct curve_context { double *loss; int64_t t; } curve_context;

static void keep_loss(void *context, const wl_step_view *step) {
  ((curve_context *)context)->loss[step->t] = step->loss;
}

/* One episode; `curve` [steps] minibatch losses, NULL: not wanted. */
static wl_status run_episode(const runner *r, wl_unroll_ws *ws, wl_unit *unit, const wl_episode *episode, bool all,
                             outcome *o, double *curve) {
  const wl_task *task = unit->task;
  curve_context context = {curve, 0};
  wl_window_result result;
  wl_task_ws *task_ws = wl_unroll_task_ws(ws);
  WL_TRY(wl_unit_start(ws, unit, episode));
  o->start = all ? wl_task_evaluate(task, task_ws, WL_SPLIT_TRAIN, unit->theta, wl_unroll_warp(ws), NULL) : NAN;
  WL_TRY(wl_window_run(ws, unit, r->setting->steps, NULL, NULL, curve ? keep_loss : NULL, &context, &result));
  for (int64_t t = result.steps; curve && t < r->setting->steps; t++) curve[t] = NAN;
  o->diverged = !result.finite;
  o->final = o->heldout = o->accuracy = NAN;
  if (!result.finite) return WL_OK;
  o->final = wl_task_evaluate(task, task_ws, WL_SPLIT_TRAIN, unit->theta, wl_unroll_warp(ws), NULL);
  if (all) o->heldout = wl_task_evaluate(task, task_ws, WL_SPLIT_HELDOUT, unit->theta, wl_unroll_warp(ws), &o->accuracy);
  o->diverged = !isfinite(o->final);
  return WL_OK;
}

/* Adds disjoint tables: an element is written by one rank and zero bits on the others. */
static wl_status share(wl_comm *comm, wl_status mine, double *values, int64_t count) {
  WL_TRY(wl_comm_agree(comm, mine));
  return wl_comm_sum_int64(comm, (int64_t *)(void *)values, (size_t)count);
}

/* The contender on `sets` sets of `units` tasks of a space. outcomes [sets*units]; curves
 * [sets*units][steps] or NULL. Collective. */
static wl_status run_sets(const runner *r, contender c, wl_space space, int64_t sets, int64_t units, outcome *outcomes,
                          double *curves) {
  const wl_window_spec spec = {.steps = r->setting->steps, .weights = WL_WEIGHTS_LAST, .memory = 0};
  const int64_t jobs = sets * units, steps = r->setting->steps;
  wl_unroll_ws *ws = NULL;
  wl_unit *unit = NULL;
  memset(outcomes, 0, (size_t)jobs * sizeof *outcomes);
  if (curves) memset(curves, 0, (size_t)(jobs * steps) * sizeof *curves);
  wl_status status = wl_unroll_ws_create(c.model, c.task, &spec, false, r->setting->threads, &ws);
  if (status == WL_OK) status = wl_unit_create(c.model, c.task, &unit);
  if (status == WL_OK) wl_unroll_set_phi(ws, c.phi);
  for (int64_t j = wl_comm_rank(r->comm); status == WL_OK && j < jobs; j += wl_comm_size(r->comm)) {
    const wl_episode episode = {r->setting->seed, space, j / units, j % units};
    status = run_episode(r, ws, unit, &episode, space == WL_SPACE_EVAL, &outcomes[j], curves ? curves + j * steps : NULL);
  }
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  WL_TRY(share(r->comm, status, (double *)(void *)outcomes, jobs * OUTCOME_VALUES));
  return curves ? wl_comm_sum_int64(r->comm, (int64_t *)(void *)curves, (size_t)(jobs * steps)) : WL_OK;
}

/* Mean final loss of a hand-designed rule at a rate on the tuning tasks; infinity when one diverges. */
static wl_status try_rate(const runner *r, const char *name, double rate, outcome *scratch, double *loss) {
  wl_rule *rule = NULL;
  wl_model *model = NULL;
  wl_status status = wl_rule_create_fixed(name, rate, &rule);
  if (status == WL_OK) status = wl_model_create_fixed(rule, &model);
  WL_TRY(wl_comm_agree(r->comm, status));
  status = run_sets(r, (contender){model, NULL, r->plain}, WL_SPACE_TUNE, 1, r->setting->tune_units, scratch, NULL);
  wl_model_destroy(&model);
  double sum = 0.0;
  for (int64_t i = 0; i < r->setting->tune_units; i++) sum += scratch[i].diverged > 0 ? INFINITY : scratch[i].final;
  *loss = sum / (double)r->setting->tune_units;
  return status;
}

/* Rates tried so far, in quarter-decades q: rate = 10^(q/4). */
typedef struct rate_search { int q[MAX_RATES]; double loss[MAX_RATES]; int count, best; } rate_search;

static wl_status try_quarter(const runner *r, const char *name, int q, outcome *scratch, rate_search *s) {
  for (int i = 0; i < s->count; i++)
    if (s->q[i] == q) return WL_OK;
  if (s->count == MAX_RATES) return WL_OK;
  const int i = s->count++;
  s->q[i] = q;
  WL_TRY(try_rate(r, name, pow(10.0, q / 4.0), scratch, &s->loss[i]));
  if (i == 0 || s->loss[i] < s->loss[s->best]) s->best = i;
  return WL_OK;
}

/* Half-decades 1e-7 .. 1, on while the best lies at the upper end, then its quarter-decade neighbours. */
static wl_status tune(const runner *r, const char *name, outcome *scratch, double *rate) {
  enum { LOW = -28, HIGH = 0, HALF = 2 };
  rate_search s = {.count = 0};
  int top = HIGH;
  for (int q = LOW; q <= HIGH; q += HALF) WL_TRY(try_quarter(r, name, q, scratch, &s));
  while (s.q[s.best] == top && top < 16) WL_TRY(try_quarter(r, name, top += HALF, scratch, &s));
  const int best = s.q[s.best];
  WL_TRY(try_quarter(r, name, best - 1, scratch, &s));
  WL_TRY(try_quarter(r, name, best + 1, scratch, &s));
  *rate = pow(10.0, s.q[s.best] / 4.0);
  return WL_OK;
}

/* Two-sided 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5 beyond the table). */
static double student(int64_t degrees) {
  static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  if (degrees < 1) return NAN;
  if (degrees <= 10) return table[degrees - 1];
  const double z = 1.959964, v = (double)degrees;
  return z + (z * z * z + z) / (4 * v) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * v * v);
}

void wl_interval(const double *values, int64_t n, double *mean, double *half_width) {
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < n; i++) sum += values[i];
  *mean = sum / (double)n;
  for (int64_t i = 0; i < n; i++) squares += (values[i] - *mean) * (values[i] - *mean);
  *half_width = n > 1 ? student(n - 1) * sqrt(squares / (double)(n - 1) / (double)n) : NAN;
  if (!isfinite(*mean)) *mean = *half_width = NAN;
}

static wl_status allocate_entry(wl_eval_entry *e, int64_t seeds, int64_t steps) {
  WL_TRY(WL_NEW(e->final, seeds));
  WL_TRY(WL_NEW(e->heldout, seeds));
  WL_TRY(WL_NEW(e->accuracy, seeds));
  return WL_NEW(e->curve, seeds * steps);
}

/* Means over the units of each set, then the interval over sets. */
static wl_status summarise(wl_eval_entry *e, const runner *r, const outcome *o, const double *curves, double *start) {
  const int64_t seeds = r->setting->seeds, units = r->setting->units, steps = r->setting->steps;
  double logs[WL_MAX_SEEDS];
  WL_TRY(allocate_entry(e, seeds, steps));
  *start = 0.0;
  for (int64_t j = 0; j < seeds * units; j++) {
    const int64_t s = j / units;
    const double share_of = 1.0 / (double)units;
    *start += o[j].start / (double)(seeds * units);
    e->diverged += o[j].diverged > 0;
    e->final[s] += (o[j].diverged > 0 ? NAN : o[j].final) * share_of;
    e->heldout[s] += o[j].heldout * share_of;
    e->accuracy[s] += o[j].accuracy * share_of;
    for (int64_t t = 0; t < steps; t++) e->curve[s * steps + t] += curves[j * steps + t] * share_of;
  }
  for (int64_t s = 0; s < seeds; s++) logs[s] = log10(e->final[s]);
  wl_interval(e->final, seeds, &e->mean, &e->half_width);
  wl_interval(logs, seeds, &e->log10_mean, &e->log10_half);
  return WL_OK;
}

static wl_status enter(const runner *r, contender c, wl_eval_entry *e, outcome *outcomes, double *curves, double *start) {
  WL_TRY(run_sets(r, c, WL_SPACE_EVAL, r->setting->seeds, r->setting->units, outcomes, curves));
  return summarise(e, r, outcomes, curves, start);
}

static wl_status enter_learned(const runner *r, const wl_trained *t, wl_eval_case *out, outcome *o, double *curves) {
  wl_model *model = NULL;
  wl_task *const task = (wl_task *)r->task; /* borrowed; model_create takes a list of tasks */
  WL_TRY(wl_comm_agree(r->comm, wl_model_create(t->config, &task, 1, &model)));
  wl_eval_entry *e = &out->entry[0];
  snprintf(e->rule, sizeof e->rule, "learned (%s)", model->rule->ops->name);
  e->rate = NAN;
  const wl_status status = enter(r, (contender){model, t->phi, r->task}, e, o, curves, &out->start);
  wl_model_destroy(&model);
  return status;
}

static wl_status enter_baseline(const runner *r, const char *name, wl_eval_entry *e, outcome *o, double *curves) {
  wl_rule *rule = NULL;
  wl_model *model = NULL;
  double start;
  snprintf(e->rule, sizeof e->rule, "%s", name);
  WL_TRY(tune(r, name, o, &e->rate));
  wl_status status = wl_rule_create_fixed(name, e->rate, &rule);
  if (status == WL_OK) status = wl_model_create_fixed(rule, &model);
  WL_TRY(wl_comm_agree(r->comm, status));
  status = enter(r, (contender){model, NULL, r->plain}, e, o, curves, &start);
  wl_model_destroy(&model);
  return status;
}

/* The hand-designed entry of lowest mean; one whose runs diverged only where all did. */
static int best_entry(const wl_eval_case *c) {
  int best = 1;
  for (int i = 2; i < c->entries; i++)
    if (c->entry[i].mean < c->entry[best].mean || isnan(c->entry[best].mean)) best = i;
  return best;
}

/* The learned rule against the best hand-designed one, paired over sets: by the ratio of losses, and
 * where they are not positive by their difference. */
static void judge(wl_eval_case *c) {
  double ratio[WL_MAX_SEEDS], gap[WL_MAX_SEEDS];
  const wl_eval_entry *learned = &c->entry[0];
  c->best = best_entry(c);
  const wl_eval_entry *best = &c->entry[c->best];
  for (int64_t s = 0; s < c->seeds; s++) {
    ratio[s] = log10(learned->final[s]) - log10(best->final[s]);
    gap[s] = learned->final[s] - best->final[s];
  }
  wl_interval(ratio, c->seeds, &c->difference, &c->difference_half);
  wl_interval(gap, c->seeds, &c->gap, &c->gap_half);
  const double middle = isnan(c->difference) ? c->gap : c->difference;
  const double half = isnan(c->difference) ? c->gap_half : c->difference_half;
  if (learned->diverged > 0 || !(learned->mean < c->start)) c->verdict = WL_FAILS;
  else if (isnan(best->mean) || middle + half < 0) c->verdict = WL_WINS;
  else if (middle - half > 0) c->verdict = WL_LOSES;
  else c->verdict = WL_TIES;
}

static wl_status run_case(const runner *r, const wl_trained *t, wl_eval_case *out, outcome *o, double *curves) {
  WL_TRY(enter_learned(r, t, out, o, curves));
  for (int i = 0; i < N_BASELINES; i++) {
    char text[96];
    snprintf(text, sizeof text, "%s: tuning %s", out->name, baselines[i]);
    wl_log_progress("evaluation", i, N_BASELINES, text);
    WL_TRY(enter_baseline(r, baselines[i], &out->entry[i + 1], o, curves));
  }
  wl_log_progress_end();
  judge(out);
  return WL_OK;
}

wl_status wl_evaluate(const wl_trained *trained, const char *name, const wl_eval_setting *setting, wl_comm *comm,
                      wl_eval_case *out) {
  wl_task *task = NULL, *plain = NULL;
  outcome *outcomes = NULL;
  double *curves = NULL;
  const int64_t jobs = setting->seeds * setting->units;
  *out = (wl_eval_case){.steps = setting->steps, .seeds = setting->seeds, .entries = N_BASELINES + 1};
  snprintf(out->name, sizeof out->name, "%s", name);
  const wl_map *map = wl_config_map(trained->config, "task", setting->task);
  wl_status status = wl_task_create(map, setting->seed, &task);
  if (status == WL_OK) status = wl_task_create_unwarped(map, setting->seed, &plain);
  const runner r = {task, plain, setting, comm};
  if (status == WL_OK) status = WL_NEW(out->entry, out->entries);
  if (status == WL_OK) status = WL_NEW(outcomes, jobs > setting->tune_units ? jobs : setting->tune_units);
  if (status == WL_OK) status = WL_NEW(curves, jobs * setting->steps);
  status = wl_comm_agree(comm, status);
  if (status == WL_OK) status = run_case(&r, trained, out, outcomes, curves);
  wl_free(outcomes);
  wl_free(curves);
  wl_task_destroy(&task);
  wl_task_destroy(&plain);
  if (status != WL_OK) wl_eval_case_clear(out);
  return status;
}

void wl_eval_case_clear(wl_eval_case *c) {
  for (int i = 0; c->entry && i < c->entries; i++) {
    wl_free(c->entry[i].final);
    wl_free(c->entry[i].heldout);
    wl_free(c->entry[i].accuracy);
    wl_free(c->entry[i].curve);
  }
  wl_free(c->entry);
  c->entry = NULL;
  c->entries = 0;
}
