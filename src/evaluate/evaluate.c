/* evaluate.c - tunes the hand-designed rules, runs the learned rule and the hand-designed rules,
 * and compares their results. */
#include "evaluate/evaluate_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { N_BASELINES = 5, MAX_RATES = 40 };

/* A hand-designed rule with which the learned rule is compared. */
typedef struct baseline {
  const char *rule, *label;
  bool adapts; /* true if the rule starts from the learned theta_0 */
  bool warped; /* true if the rule runs on the network with the trained warp layers */
} baseline;

static const baseline whole_field[N_BASELINES] = {{"sgd", "sgd", false, false},
                                                  {"momentum", "momentum", false, false},
                                                  {"nesterov", "nesterov", false, false},
                                                  {"rmsprop", "rmsprop", false, false},
                                                  {"adam", "adam", false, false}};

static bool is_none(const wl_config *config, const char *section) {
  return strcmp(wl_map_variant(wl_config_map(config, section, 0)), "none") == 0;
}

/* Chooses the hand-designed rules with which the learned rule is compared, and returns the number
 * of these rules. For few-shot tasks, the only rule is gradient descent from the learned theta_0,
 * on the network without warp layers. If the trained system has warp layers and is not gradient
 * descent, a second entry runs gradient descent with the warp layers. For other tasks, all
 * hand-designed rules run on the network without warp layers. */
static int choose_baselines(const wl_eval_runner *r, baseline out[N_BASELINES]) {
  const wl_config *config = r->trained->config;
  if (!r->few_shot) {
    memcpy(out, whole_field, sizeof whole_field);
    return N_BASELINES;
  }
  const bool warped = r->task->warp != NULL, learned_start = !is_none(config, "initialisation");
  const bool descent = strcmp(wl_map_variant(wl_config_map(config, "rule", 0)), "sgd") == 0 &&
                       is_none(config, "precondition");
  out[0] = (baseline){"sgd", learned_start ? "sgd from theta_0" : "sgd", true, false};
  out[1] = (baseline){"sgd", "sgd with warp layers", true, true};
  return warped && !descent ? 2 : 1;
}

static wl_status create_baseline(const wl_eval_runner *r, const baseline *b, double rate,
                                 wl_contender *c) {
  wl_rule *rule = NULL;
  wl_model *model = NULL;
  const wl_task *task = b->warped ? r->task : r->plain;
  wl_status status = wl_rule_create_fixed(b->rule, rate, &rule);
  if (status == WL_OK)
    status = wl_model_create_fixed(rule, b->adapts ? r->trained->config : NULL, task, &model);
  if (status == WL_OK &&
      /* the phi of this model contains the parameters of the warp layers and the learned theta_0,
       * and these are the last groups of the trained phi */
      b->adapts)
    c->phi = r->trained->phi + (r->trained->layout.size - model->phi.size);
  c->model = model;
  c->task = task;
  return wl_comm_agree(r->comm, status);
}

/* Runs a hand-designed rule with one rate on the tuning tasks, and computes the mean final loss.
 * Sets *loss to infinity if a run diverges. */
static wl_status try_rate(const wl_eval_runner *r, const baseline *b, double rate,
                          wl_outcome *scratch, double *loss) {
  wl_contender c = {0};
  wl_status status = create_baseline(r, b, rate, &c);
  if (status == WL_OK)
    status = wl_eval_run_sets(r, &c, WL_SPACE_TUNE, scratch, NULL);
  wl_model_destroy(&c.model);
  double sum = 0.0;
  for (int64_t i = 0; i < r->setting->tune_units; i++)
    sum += scratch[i].diverged > 0 ? INFINITY : scratch[i].final;
  *loss = sum / (double)r->setting->tune_units;
  return status;
}

/* The rates that the search has tried so far. Rate number i is 10^(q[i]/4), and its loss is
 * loss[i]. */
typedef struct rate_search {
  int q[MAX_RATES];
  double loss[MAX_RATES];
  int count, best;
} rate_search;

static wl_status try_quarter(const wl_eval_runner *r, const baseline *b, int q, wl_outcome *scratch,
                             rate_search *s) {
  for (int i = 0; i < s->count; i++)
    if (s->q[i] == q) return WL_OK;
  if (s->count == MAX_RATES) return WL_OK;
  const int i = s->count++;
  s->q[i] = q;
  WL_TRY(try_rate(r, b, pow(10.0, q / 4.0), scratch, &s->loss[i]));
  if (i == 0 || s->loss[i] < s->loss[s->best]) s->best = i;
  return WL_OK;
}

/* Finds the rate with the lowest loss. The search first tries the rates from 1e-7 to 1 in steps of
 * half a decade. While the best rate is the highest rate that was tried, the search tries a rate
 * that is half a decade higher. Finally, the search tries the rates that are a quarter of a decade
 * below and above the best rate. */
static wl_status tune(const wl_eval_runner *r, const baseline *b, wl_outcome *scratch,
                      double *rate) {
  enum { LOW = -28, HIGH = 0, HALF = 2 };
  rate_search s = {.count = 0};
  int top = HIGH;
  for (int q = LOW; q <= HIGH; q += HALF) WL_TRY(try_quarter(r, b, q, scratch, &s));
  while (s.q[s.best] == top && top < 16) WL_TRY(try_quarter(r, b, top += HALF, scratch, &s));
  const int best = s.q[s.best];
  WL_TRY(try_quarter(r, b, best - 1, scratch, &s));
  WL_TRY(try_quarter(r, b, best + 1, scratch, &s));
  *rate = pow(10.0, s.q[s.best] / 4.0);
  return WL_OK;
}

/* Returns the 97.5 % quantile of Student's t distribution, for a two-sided 95 % interval. Above 10
 * degrees of freedom, the function uses formula 26.7.5 of Abramowitz and Stegun. */
static double student(int64_t degrees) {
  static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                                 2.447,  2.365, 2.306, 2.262, 2.228};
  if (degrees < 1) return NAN;
  if (degrees <= 10) return table[degrees - 1];
  const double z = 1.959964, v = (double)degrees;
  return z + (z * z * z + z) / (4 * v) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * v * v);
}

void wl_evaluate_interval(const double *values, int64_t n, double *mean, double *half_width) {
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < n; i++) sum += values[i];
  *mean = sum / (double)n;
  for (int64_t i = 0; i < n; i++) squares += (values[i] - *mean) * (values[i] - *mean);
  *half_width = n > 1 ? student(n - 1) * sqrt(squares / (double)(n - 1) / (double)n) : NAN;
  if (!isfinite(*mean)) *mean = *half_width = NAN;
}

/* Fills an entry from the outcomes of all episodes: computes means over the units of each set, and
 * then means and intervals over the sets. Sets *start to the mean loss at theta_0. */
static void summarise(wl_eval_entry *e, const wl_eval_runner *r, const wl_outcome *o,
                      const double *curves, double *start) {
  const int64_t seeds = r->setting->seeds, units = r->setting->units, steps = r->setting->steps;
  double logs[WL_MAX_SEEDS];
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
  wl_evaluate_interval(e->final, seeds, &e->mean, &e->half_width);
  wl_evaluate_interval(logs, seeds, &e->log10_mean, &e->log10_half);
}

static wl_status enter(const wl_eval_runner *r, const wl_contender *c, wl_eval_entry *e,
                       wl_outcome *outcomes, double *curves, double *start) {
  WL_TRY(wl_eval_run_sets(r, c, WL_SPACE_EVAL, outcomes, curves));
  summarise(e, r, outcomes, curves, start);
  return WL_OK;
}

static wl_status enter_learned(const wl_eval_runner *r, wl_eval_case *out, wl_outcome *o,
                               double *curves) {
  const wl_trained *t = r->trained;
  wl_contender c = {.phi = t->phi, .task = r->task};
  WL_TRY(wl_comm_agree(r->comm, wl_model_create(t->config, &r->task, 1, &c.model)));
  wl_eval_entry *e = &out->entry[0];
  snprintf(e->rule, sizeof e->rule, "learned (%s)", c.model->rule->ops->name);
  e->rate = NAN;
  wl_status status = enter(r, &c, e, o, curves, &out->start);
  if (status == WL_OK) status = wl_eval_warp(r, &c, o, out);
  wl_model_destroy(&c.model);
  return status;
}

static wl_status enter_baseline(const wl_eval_runner *r, const baseline *b, wl_eval_entry *e,
                                wl_outcome *o, double *curves) {
  wl_contender c = {0};
  double start;
  snprintf(e->rule, sizeof e->rule, "%s", b->label);
  WL_TRY(tune(r, b, o, &e->rate));
  wl_status status = create_baseline(r, b, e->rate, &c);
  if (status == WL_OK) status = enter(r, &c, e, o, curves, &start);
  wl_model_destroy(&c.model);
  return status;
}

/* Returns the index of the hand-designed entry with the lowest mean final loss. Returns an entry
 * with diverged runs only if all hand-designed entries have diverged runs. */
static int best_entry(const wl_eval_case *c) {
  int best = 1;
  for (int i = 2; i < c->entries; i++)
    if (c->entry[i].mean < c->entry[best].mean || isnan(c->entry[best].mean)) best = i;
  return best;
}

/* Compares the learned rule with the best hand-designed rule and sets the verdict. In two cases,
 * the comparison uses the difference of the final losses of the two rules on each set: if the tasks
 * are few-shot tasks, or if a loss is not positive. In all other cases, the comparison uses the
 * ratio of the final losses. */
static void judge(wl_eval_case *c) {
  double ratio[WL_MAX_SEEDS], gap[WL_MAX_SEEDS];
  const wl_eval_entry *learned = &c->entry[0];
  c->best = best_entry(c);
  const wl_eval_entry *best = &c->entry[c->best];
  for (int64_t s = 0; s < c->seeds; s++) {
    ratio[s] = log10(learned->final[s]) - log10(best->final[s]);
    gap[s] = learned->final[s] - best->final[s];
  }
  wl_evaluate_interval(ratio, c->seeds, &c->difference, &c->difference_half);
  if (c->few_shot)
    /* the table of few-shot tasks shows mean losses; the verdict therefore uses the difference of
     * the mean losses */
    c->difference = c->difference_half = NAN;
  wl_evaluate_interval(gap, c->seeds, &c->gap, &c->gap_half);
  const double middle = isnan(c->difference) ? c->gap : c->difference;
  const double half = isnan(c->difference) ? c->gap_half : c->difference_half;
  if (learned->diverged > 0 || !(learned->mean < c->start)) c->verdict = WL_FAILS;
  else if (isnan(best->mean) || middle + half < 0) c->verdict = WL_WINS;
  else if (middle - half > 0) c->verdict = WL_LOSES;
  else c->verdict = WL_TIES;
}

static wl_status run_case(const wl_eval_runner *r, wl_eval_case *out, wl_outcome *o,
                          double *curves) {
  baseline list[N_BASELINES];
  choose_baselines(r, list);
  WL_TRY(enter_learned(r, out, o, curves));
  for (int i = 0; i + 1 < out->entries; i++) {
    char text[sizeof out->name + 64];
    snprintf(text, sizeof text, "%s: tuning %s", out->name, list[i].label);
    wl_log_progress("evaluation", i, out->entries - 1, text);
    WL_TRY(enter_baseline(r, &list[i], &out->entry[i + 1], o, curves));
  }
  if (out->entries > 1)
    wl_log_progress("evaluation", out->entries - 1, out->entries - 1, out->name);
  wl_log_progress_end();
  if (!r->setting->alone) judge(out);
  return WL_OK;
}

static wl_status allocate_entry(wl_eval_entry *e, int64_t seeds, int64_t steps) {
  WL_TRY(WL_NEW(e->final, seeds));
  WL_TRY(WL_NEW(e->heldout, seeds));
  WL_TRY(WL_NEW(e->accuracy, seeds));
  return WL_NEW(e->curve, seeds * steps);
}

static wl_status allocate_entries(wl_eval_case *c) {
  WL_TRY(WL_NEW(c->entry, c->entries));
  for (int i = 0; i < c->entries; i++) WL_TRY(allocate_entry(&c->entry[i], c->seeds, c->steps));
  return WL_OK;
}

/* Allocates the arrays of a case and runs the case. Allocates all memory before the first
 * collective call, so that all ranks agree on a failure. */
static wl_status create_case(const wl_eval_runner *r, wl_eval_case *out) {
  const wl_eval_setting *s = r->setting;
  const int64_t jobs = s->seeds * s->units;
  wl_outcome *outcomes = NULL;
  double *curves = NULL;
  out->steps = s->steps;
  out->seeds = s->seeds;
  out->few_shot = r->few_shot;
  baseline list[N_BASELINES];
  out->entries = s->alone ? 1 : 1 + choose_baselines(r, list);
  wl_status status = allocate_entries(out);
  if (status == WL_OK) status = WL_NEW(outcomes, jobs > s->tune_units ? jobs : s->tune_units);
  if (status == WL_OK) status = WL_NEW(curves, jobs * s->steps);
  status = wl_comm_agree(r->comm, status);
  if (status == WL_OK) status = run_case(r, out, outcomes, curves);
  wl_free(outcomes);
  wl_free(curves);
  return status;
}

/* Returns a copy of the setting in which each member that is 0 has its default value. The defaults
 * for few-shot tasks are larger, because these tasks are small and each set is only one task. */
static wl_eval_setting resolve(const wl_eval_setting *given, bool few_shot) {
  wl_eval_setting s = *given;
  if (s.seeds == 0) s.seeds = few_shot ? WL_FEW_SHOT_TASKS : 10;
  if (s.tune_units == 0) s.tune_units = few_shot ? 25 : 5;
  return s;
}

wl_status wl_evaluate(const wl_trained *trained, const char *name, const wl_eval_setting *given,
                      wl_comm *comm, wl_eval_case *out) {
  wl_task *task = NULL, *plain = NULL;
  *out = (wl_eval_case){.coverage = NAN, .advantage = NAN, .advantage_half = NAN};
  snprintf(out->name, sizeof out->name, "%s", name);
  const wl_map *map = wl_config_map(trained->config, "task", given->task);
  wl_status status = wl_task_create(map, given->seed, &task);
  if (status == WL_OK) status = wl_task_create_unwarped(map, given->seed, &plain);
  status = wl_comm_agree(comm, status);
  if (status == WL_OK) {
    const bool few_shot = task->family->few_shot;
    const wl_eval_setting setting = resolve(given, few_shot);
    status = create_case(&(wl_eval_runner){trained, task, plain, &setting, few_shot, comm}, out);
  }
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
