/* eval_speedup.c - runs `warploom eval RUN --speedup SUITE`: reads the options, and writes the
 * tables, the JSON and the picture. */
#include "cli/eval_speedup.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "base/statistic.h"
#include "cli/json.h"
#include "cli/picture.h"
#include "evaluate/speedup.h"

typedef struct request {
  const char *path, *suite;
  char curves[PATH_MAX], output[PATH_MAX];
  wl_baseline baselines[WL_MAX_BASELINES];
  int count;
  /* length of new curves as a multiple of the longest horizon; 0 means that the suite's `reach` is
   * used */
  int64_t reach;
} request;

/* Writes the path without its ending to `out`: "a/b.yaml" becomes "b", or "a/b" if `with_folder` is
 * true. */
static void stem_of(const char *path, bool with_folder, char *out, size_t size) {
  const char *const slash = strrchr(path, '/'), *const name = slash ? slash + 1 : path;
  const char *const dot = strrchr(name, '.'), *const from = with_folder ? path : name;
  snprintf(out, size, "%.*s", (int)((dot ? dot : name + strlen(name)) - from), from);
}

static wl_status read_baselines(const char *list, request *q) {
  char names[512], *rest, *name;
  if (strcmp(list, "none") == 0) return WL_OK;
  if (strcmp(list, "all") == 0) {
    q->count = wl_baselines(q->baselines);
    return WL_OK;
  }
  if (snprintf(names, sizeof names, "%s", list) >= (int)sizeof names)
    return WL_FAIL(WL_ERR_USAGE, "--baselines: the list of rules is longer than %zu bytes",
                   sizeof names - 1);
  for (name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
    if (q->count == WL_MAX_BASELINES)
      return WL_FAIL(WL_ERR_USAGE, "--baselines: the list has more than %d names", WL_MAX_BASELINES);
    WL_TRY(wl_baseline_find(name, &q->baselines[q->count++]));
  }
  return WL_OK;
}

/* Returns an error if the command has an option without an effect. The array `of_suite` contains
 * the options whose values the suite sets. The array `of_run` contains the options that have an
 * effect only on the report about RUN. */
static wl_status refuse_others(const wl_arguments *a, bool has_run) {
  static const char *const of_suite[] = {"steps", "seeds", "units",        "tune-units",
                                         "seed",  "vary",  "learned-only", NULL};
  static const char *const of_run[] = {"set", "output", "json", NULL};
  WL_TRY(wl_arguments_refuse(
      a, of_suite,
      "this option is not allowed with --speedup, because the suite sets tasks, horizons and seeds"));
  if (has_run) return WL_OK;
  return wl_arguments_refuse(
      a, of_run, "without RUN, --speedup computes only curves and writes no report; name a RUN");
}

static wl_status read_request(const wl_arguments *a, const char *path, request *q) {
  char stem[PATH_MAX];
  WL_TRY(refuse_others(a, path != NULL));
  *q = (request){.path = path, .suite = wl_argument_text(a, "speedup", "")};
  stem_of(q->suite, true, stem, sizeof stem);
  int used = snprintf(q->curves, sizeof q->curves, "%s", wl_argument_text(a, "curves", ""));
  if (used == 0) used = snprintf(q->curves, sizeof q->curves, "%s.h5", stem);
  if (used >= (int)sizeof q->curves) return WL_FAIL(WL_ERR_USAGE, "--curves: the file names are too long; use "
                                                                  "shorter names");
  WL_TRY(wl_argument_int(a, "reach", 1, WL_SPEEDUP_REACH, &q->reach));
  return read_baselines(wl_argument_text(a, "baselines", "adam"), q);
}

/* Sets the path of the report. The default is RUN/speedup-SUITE.json for a run directory, and
 * NAME-speedup-SUITE.json in the current folder for a file. */
static wl_status name_output(const wl_arguments *a, const wl_suite *suite, request *q) {
  const char *const given = wl_argument_text(a, "output", NULL);
  char stem[PATH_MAX];
  int used;
  stem_of(q->path, false, stem, sizeof stem);
  if (given) used = snprintf(q->output, sizeof q->output, "%s", given);
  else if (wl_is_directory(q->path))
    used = snprintf(q->output, sizeof q->output, "%s/speedup-%s.json", q->path, suite->name);
  else used = snprintf(q->output, sizeof q->output, "%s-speedup-%s.json", stem, suite->name);
  if (used < (int)sizeof q->output) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "--output: the file's name is too long; choose a shorter name");
}

/* ---- For people ----------------------------------------------------------------------------- */

/* Prints a table of the losses of tuned Adam on the tasks for which the suite contains published
 * losses of tuned Adam. Steps that the measured curve does not reach have no row. */
static void print_references(const wl_suite *suite, const wl_task_curves *curves, FILE *out) {
  bool any = false;
  for (int i = 0; i < suite->count; i++) {
    const wl_suite_task *t = &suite->tasks[i];
    const wl_baseline_curve *adam = NULL;
    for (int j = 0; j < curves[i].count; j++)
      if (strcmp(curves[i].curve[j].baseline.name, "adam") == 0) adam = &curves[i].curve[j];
    for (int j = 0; adam && j < t->reference_steps.count; j++) {
      const int64_t step = t->reference_steps.at[j];
      const double ours = wl_speedup_as_published(adam, suite->smoothing, step);
      if (isnan(ours)) continue;
      if (!any)
        fprintf(out, "\nLoss of tuned Adam, read from its curve as the published loss was\n"
                     "  %-36s %8s %10s %10s %12s\n", "task", "steps", "this curve", "published", "difference");
      any = true;
      fprintf(out, "  %-36s %8lld %10.4f %10.4f %+10.1f %%\n", t->name, (long long)step, ours,
              t->reference_losses.at[j], 100 * (ours / t->reference_losses.at[j] - 1));
    }
  }
}

static double median_of_seeds(const double *values, int64_t seeds) {
  double sorted[WL_MAX_SUITE_SEEDS];
  memcpy(sorted, values, (size_t)seeds * sizeof *sorted);
  return wl_median(sorted, seeds);
}

static void print_cells(const wl_speedup *s, const wl_speedup_table *t, FILE *out) {
  fprintf(out, "\nSpeed-up over tuned %s: median over %lld runs for each task and horizon\n",
          t->baseline.name, (long long)s->seeds);
  fprintf(out, "  %-32s %8s %10s %10s %12s\n", "task", "steps", "speed-up", "in time",
          "loss ratio");
  for (int64_t i = 0; i < s->cells; i++) {
    const double *const steps = t->speedup + i * s->seeds;
    if (isnan(steps[0])) continue;
    const double median = median_of_seeds(steps, s->seeds);
    int64_t caps = 0;
    for (int64_t k = 0; k < s->seeds; k++) caps += t->capped[i * s->seeds + k];
    fprintf(out, "  %-32s %8lld %9s%.2f %10.2f %12.3f\n", s->cell[i].task->name,
            (long long)s->cell[i].horizon, 2 * caps > s->seeds ? ">" : "", median,
            median_of_seeds(t->wall + i * s->seeds, s->seeds), t->losses.of_cell[i]);
  }
}

/* Prints the hand-designed rule with the lowest loss in each cell, and the learned rule's final
 * loss divided by this loss. A cell is one task at one horizon. */
static void print_strongest(const wl_speedup *s, FILE *out) {
  fprintf(out, "\nFinal loss of the learned rule divided by the loss of the strongest tuned rule\n  %-32s %8s  "
               "%-18s %10s\n",
          "task", "steps", "tuned rule", "loss ratio");
  for (int64_t i = 0; i < s->cells; i++)
    if (s->strongest_table[i] >= 0)
      fprintf(out, "  %-32s %8lld  %-18s %10.3f\n", s->cell[i].task->name,
              (long long)s->cell[i].horizon, s->table[s->strongest_table[i]].baseline.name,
              s->strongest.of_cell[i]);
}

static void print_losses(const char *rule, const wl_loss_ratios *r, FILE *out) {
  fprintf(out, "  %-18s %6lld %8.3f %8.3f %8lld %8lld %8lld\n", rule, (long long)r->judged,
          r->median, r->worst, (long long)r->lower, (long long)r->ties,
          (long long)(r->judged - r->lower - r->ties));
}

static bool is_constant(const wl_speedup_table *t) {
  return strcmp(t->baseline.schedule, "constant") == 0;
}

static void print_summary(const wl_speedup *s, FILE *out) {
  fprintf(
      out,
      "\nSpeed-ups over all tasks, horizons and seeds: %lld runs, of which %lld diverged. The intervals are 95 "
      "%% bootstrap intervals. Speed-ups are capped at %d.\n",
      (long long)(s->cells * s->seeds), (long long)s->diverged, WL_SPEEDUP_REACH);
  fprintf(out, "  %-18s %6s %24s %24s %22s %8s\n", "tuned rule", "cells", "interquartile mean",
          "median", "interquartile, in time", "capped");
  for (int i = 0; i < s->tables; i++) {
    const wl_speedup_table *t = &s->table[i];
    fprintf(
        out,
        "  %-18s %6lld %8.2f (%5.2f to %5.2f) %8.2f (%5.2f to %5.2f) %6.2f (%5.2f to %5.2f) %8lld\n",
        t->baseline.name, (long long)t->losses.judged, t->iqm, t->iqm_low, t->iqm_high, t->median,
        t->median_low, t->median_high, t->wall_iqm, t->wall_low, t->wall_high, (long long)t->caps);
  }
  for (int i = 0; i < s->tables; i++)
    if (s->table[i].is_incomplete)
      fprintf(out, "  %s: some runs end before %d times the horizon, so the speed-ups over this rule are %s\n",
              s->table[i].baseline.name, WL_SPEEDUP_REACH,
              is_constant(&s->table[i]) ? "lower bounds"
                                        : "rough: they are cut, or interpolated between few lengths");
  fprintf(
      out,
      "\nMean final loss of the learned rule divided by the loss of the tuned rule (a tie is a difference of "
      "at most 1 %%)\n  %-18s %6s %8s %8s %8s %8s "
      "%8s\n",
      "tuned rule", "cells", "median", "worst", "lower", "ties", "higher");
  for (int i = 0; i < s->tables; i++)
    print_losses(s->table[i].baseline.name, &s->table[i].losses, out);
  if (s->tables > 1) print_losses("strongest", &s->strongest, out);
}

/* ---- For scripts ---------------------------------------------------------------------------- */

static json_t *numbers(const double *values, int64_t n) {
  json_t *list = json_array();
  for (int64_t i = 0; i < n; i++) json_array_append_new(list, wl_json_number(values[i]));
  return list;
}

static json_t *interval_json(double value, double low, double high) {
  return json_pack("{s:o, s:o, s:o}", "value", wl_json_number(value), "low", wl_json_number(low),
                   "high", wl_json_number(high));
}

static json_t *losses_json(const wl_loss_ratios *r) {
  return json_pack("{s:o, s:o, s:I, s:I, s:I}", "median", wl_json_number(r->median), "worst",
                   wl_json_number(r->worst), "lower", (json_int_t)r->lower, "ties",
                   (json_int_t)r->ties, "higher", (json_int_t)(r->judged - r->lower - r->ties));
}

static json_t *strongest_json(const wl_speedup *s) {
  json_t *cells = json_array();
  for (int64_t i = 0; s->strongest_table && i < s->cells; i++)
    if (s->strongest_table[i] >= 0)
      json_array_append_new(
          cells, json_pack("{s:s, s:I, s:s, s:o}", "task", s->cell[i].task->name, "steps",
                           (json_int_t)s->cell[i].horizon, "baseline",
                           s->table[s->strongest_table[i]].baseline.name, "loss_ratio",
                           wl_json_number(s->strongest.of_cell[i])));
  return json_pack("{s:o, s:o}", "loss_ratio", losses_json(&s->strongest), "cells", cells);
}

static json_t *table_json(const wl_speedup *s, const wl_speedup_table *t) {
  json_t *cells = json_array();
  for (int64_t i = 0; i < s->cells; i++) {
    /* the hand-designed rule has no curve for this task */
    if (isnan(t->speedup[i * s->seeds])) continue;
    json_t *capped = json_array();
    for (int64_t k = 0; k < s->seeds; k++)
      json_array_append_new(capped, json_boolean(t->capped[i * s->seeds + k]));
    json_array_append_new(
        cells, json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "task", s->cell[i].task->name, "steps",
                         (json_int_t)s->cell[i].horizon, "speedup",
                         numbers(t->speedup + i * s->seeds, s->seeds), "wall_clock_speedup",
                         numbers(t->wall + i * s->seeds, s->seeds), "capped", capped, "loss_ratio",
                         wl_json_number(t->losses.of_cell[i]), "seconds_of_a_step",
                         wl_json_number(t->seconds[i])));
  }
  return json_pack("{s:s, s:b, s:b, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "baseline", t->baseline.name,
                   "lower_bound", t->is_incomplete && is_constant(t), "incomplete", t->is_incomplete, "interquartile_mean", interval_json(t->iqm, t->iqm_low, t->iqm_high), "median",
                   interval_json(t->median, t->median_low, t->median_high),
                   "wall_clock_interquartile_mean",
                   interval_json(t->wall_iqm, t->wall_low, t->wall_high), "capped",
                   (json_int_t)t->caps, "judged_cells", (json_int_t)t->losses.judged, "loss_ratio",
                   losses_json(&t->losses), "cells", cells);
}

static json_t *report_json(const wl_suite *suite, const wl_trained *trained, const wl_speedup *s) {
  json_t *tables = json_array(), *cells = json_array();
  for (int i = 0; i < s->tables; i++) json_array_append_new(tables, table_json(s, &s->table[i]));
  for (int64_t i = 0; i < s->cells; i++)
    json_array_append_new(cells,
                          json_pack("{s:s, s:I, s:o, s:o}", "task", s->cell[i].task->name, "steps",
                                    (json_int_t)s->cell[i].horizon, "final_loss_of_seed",
                                    numbers(s->cell[i].final, s->seeds), "seconds_of_a_step",
                                    wl_json_number(s->cell[i].seconds)));
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:I, s:o, s:o, s:o}", "suite", suite->name,
                   "source", trained->source, "digest", trained->digest, "meta_steps",
                   (json_int_t)trained->meta_steps, "seeds", (json_int_t)s->seeds, "cap",
                   WL_SPEEDUP_REACH, "diverged", (json_int_t)s->diverged, "cells", cells, "tables",
                   tables, "strongest", strongest_json(s));
}

/* ---- The command ---------------------------------------------------------------------------- */

/* Returns an error if the output exists and is not a report, so that no other file is renamed. */
static wl_status check_existing(const char *output) {
  json_error_t error;
  if (access(output, F_OK) != 0) return WL_OK;
  json_t *const root = wl_is_directory(output) ? NULL : json_load_file(output, 0, &error);
  const bool is_report = json_is_array(json_object_get(root, "tables"));
  json_decref(root);
  if (is_report) return WL_OK;
  return WL_FAIL(
      WL_ERR_CANNOT_CREATE,
      "--output %s: this path exists and is not a report of --speedup; choose another name",
      output);
}

/* Checks that the report can be written, before the long computation starts. */
static wl_status check_outputs(const wl_arguments *a, const request *q) {
  const char *const json = wl_argument_text(a, "json", "-");
  WL_TRY(check_existing(q->output));
  WL_TRY(wl_check_writable("--output", q->output, true));
  return strcmp(json, "-") == 0 ? WL_OK : wl_check_writable("--json", json, false);
}

/* Prints the tables and writes the report as JSON. Only rank 0 calls this function. */
static wl_status report(const wl_arguments *a, const request *q, const wl_suite *suite,
                        const wl_trained *trained, const wl_speedup *s,
                        const wl_task_curves *curves) {
  char kept[WL_PATH_MAX];
  const char *const json = wl_argument_text(a, "json", NULL);
  FILE *const out = wl_json_text_stream(json);
  print_references(suite, curves, out);
  if (!trained) {
    int found = 0;
    for (int i = 0; i < suite->count; i++) found += curves[i].count;
    fprintf(out,
            found > 0 ? "the curves of the hand-designed rules are in %s\n"
                      : "no curve was computed, and there is no curve of this suite in %s\n",
            q->curves);
    return WL_OK;
  }
  for (int i = 0; i < s->tables; i++) print_cells(s, &s->table[i], out);
  if (s->tables > 1) print_strongest(s, out);
  print_summary(s, out);
  if (access(q->output, F_OK) == 0) WL_TRY(wl_keep_previous(q->output, kept));
  WL_TRY(wl_json_write(report_json(suite, trained, s), q->output));
  if (json) WL_TRY(wl_json_write(report_json(suite, trained, s), json));
  wl_log_info("the report %s has the results of all runs", q->output);
  if (!wl_argument_given(a, "no-picture")) wl_picture_draw("plot_speedup.py", q->output);
  return WL_OK;
}

static wl_status run_suite(wl_cli *cli, request *q, const wl_suite *suite,
                           const wl_trained *trained) {
  wl_task_curves *curves = NULL;
  wl_speedup speedup = {0};
  wl_status status = wl_comm_agree(cli->comm, WL_NEW(curves, suite->count));
  const wl_speedup_request request = {suite, q->baselines, q->count, q->curves, trained};
  if (status == WL_OK) status = wl_speedup_run(&request, cli->comm, curves, &speedup);
  if (status == WL_OK)
    status =
        wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0
                                     ? report(&cli->arguments, q, suite, trained, &speedup, curves)
                                     : WL_OK);
  wl_speedup_clear(&speedup);
  for (int i = 0; curves && i < suite->count; i++) wl_task_curves_clear(&curves[i]);
  wl_free(curves);
  return status;
}

void wl_eval_help_suite(bool roff, FILE *out) {
  const wl_section sections[] = {
      {.name = "", .doc = "Keys of the suite", .options = wl_suite_keys},
      {.name = "tasks",
       .doc =
           "Keys of a task. A task also has the keys of the section `task` of a configuration, which "
           "`warploom train --help` lists",
       .options = wl_suite_task_keys,
       .list = true},
      {0}};
  fputs(roff ? ".SH SUITE\n" : "\nKeys of a suite, a YAML file:\n\n", out);
  wl_sections_help(sections, roff, out);
}

wl_status wl_eval_speedup(wl_cli *cli, const char *path) {
  request q;
  wl_suite *suite = NULL;
  wl_trained *trained = NULL;
  wl_override overrides[WL_ARGUMENTS_MAX + 1];
  const int n = wl_argument_overrides(&cli->arguments, overrides);
  wl_status status = read_request(&cli->arguments, path, &q);
  if (status == WL_OK) status = wl_suite_read(q.suite, &suite);
  if (status == WL_OK && q.reach > 0) suite->reach = q.reach;
  if (status == WL_OK && path) status = wl_trained_read(path, overrides, n, &trained);
  if (status == WL_OK && path) status = name_output(&cli->arguments, suite, &q);
  if (status == WL_OK && path && wl_comm_rank(cli->comm) == 0)
    status = check_outputs(&cli->arguments, &q);
  status = wl_comm_agree(cli->comm, status);
  if (status == WL_OK) status = run_suite(cli, &q, suite, trained);
  wl_trained_destroy(&trained);
  wl_suite_destroy(&suite);
  return status;
}
