/* ablate.c - `warploom ablate CONFIG`: what each part of a joint system is worth, as a table. */
#include <math.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/stop.h"
#include "evaluate/ablation.h"
#include "train/schema.h"

static const wl_argument arguments[] = {
    {"set", "KEY=VALUE", "override a key of the configuration for all subsets; may be repeated"},
    {"rate", "X",
     "rate that plain descent starts from where the LSTM is left out; it is learned; default 0.1"},
    {"steps", "T", "horizon of the evaluation in inner steps; by default that of the training"},
    {"seeds", "N",
     "sets of fresh tasks, over which intervals are taken; default 10, or 600 where a task is "
     "few-shot"},
    {"units", "N", "tasks in each set; default 1"},
    {"seed", "N", "seed of the fresh tasks; default 1"},
    WL_STOP_ARGUMENTS,
    {"json", "FILE", "also write the table as JSON; - for standard output"},
    {0}};

static wl_status read_request(const wl_cli *cli, const char *path, const char **overrides,
                              wl_ablation_request *q) {
  const wl_arguments *a = &cli->arguments;
  int64_t seed = 1;
  *q = (wl_ablation_request){
      .path = path, .overrides = overrides, .rate = 0.1, .evaluation = {.units = 1, .threads = 1}};
  q->n_overrides = wl_argument_all(a, "set", overrides);
  WL_TRY(wl_argument_real(a, "rate", 0.0, 1e30, &q->rate));
  WL_TRY(wl_argument_int(a, "steps", 1, 100000000, &q->evaluation.steps));
  WL_TRY(wl_argument_int(a, "seeds", 2, WL_MAX_SEEDS, &q->evaluation.seeds));
  WL_TRY(wl_argument_int(a, "units", 1, 1000000, &q->evaluation.units));
  WL_TRY(wl_argument_int(a, "seed", 0, INT64_MAX, &seed));
  q->evaluation.seed = (uint64_t)seed;
  return wl_stop_read(a, &q->training);
}

/* ---- For people ------------------------------------------------------------------------------- */

static void print_difference(const wl_ablation *a, const wl_ablation_row *row, FILE *out) {
  if (row == &a->row[0]) fprintf(out, "%24s", "");
  else if (a->ratios)
    fprintf(out, "  x %.3f (%.3f to %.3f)", pow(10, row->difference),
            pow(10, row->difference - row->half), pow(10, row->difference + row->half));
  else fprintf(out, "  %+10.4f +- %-9.4f", row->difference, row->half);
}

static void print_row(const wl_ablation *a, const wl_ablation_row *row, FILE *out) {
  const wl_eval_entry *e = &row->result.entry[0];
  for (int i = 0; i < WL_PARTS; i++)
    if (a->parts >> i & 1) fprintf(out, "  %-12s", row->parts >> i & 1 ? "yes" : "-");
  fprintf(out, "  %9.4f +- %-8.4f", e->mean, e->half_width);
  print_difference(a, row, out);
  fprintf(out, "  %s%s\n", row->digest, e->diverged > 0 ? "  diverged" : "");
}

static void print_table(const wl_ablation *a, FILE *out) {
  const wl_eval_case *whole = &a->row[0].result;
  fprintf(out,
          "%s after %lld steps on %lld %s; +- and ranges are 95 %% intervals, differences paired\n",
          whole->few_shot ? "Loss on the query set" : "Final loss", (long long)whole->steps,
          (long long)whole->seeds, whole->few_shot ? "fresh tasks" : "sets of fresh tasks");
  for (int i = 0; i < WL_PARTS; i++)
    if (a->parts >> i & 1) fprintf(out, "  %-12s", wl_part_names[i]);
  fprintf(out, "  %-21s  %-22s  %s\n", "loss",
          a->ratios ? "ratio to the whole" : "less the whole's", "digest");
  for (int i = 0; i < a->count; i++) print_row(a, &a->row[i], out);
  for (int i = 1; i < whole->entries; i++)
    fprintf(out, "  %-24s %9.4f +- %-8.4f  tuned, rate %.3g\n", whole->entry[i].rule,
            whole->entry[i].mean, whole->entry[i].half_width, whole->entry[i].rate);
}

/* ---- For scripts ------------------------------------------------------------------------------ */

static json_t *row_json(const wl_ablation *a, const wl_ablation_row *row) {
  json_t *o = json_object(), *parts = json_array();
  const wl_eval_entry *e = &row->result.entry[0];
  for (int i = 0; i < WL_PARTS; i++)
    if (row->parts >> i & 1) json_array_append_new(parts, json_string(wl_part_names[i]));
  json_object_set_new(o, "parts", parts);
  json_object_set_new(o, "run", json_string(row->run));
  json_object_set_new(o, "digest", json_string(row->digest));
  json_object_set_new(o, "loss", wl_json_number(e->mean));
  json_object_set_new(o, "loss_half_width", wl_json_number(e->half_width));
  json_object_set_new(o, a->ratios ? "log10_ratio_to_whole" : "difference_to_whole",
                      wl_json_number(row->difference));
  json_object_set_new(o, "half_width", wl_json_number(row->half));
  json_object_set_new(o, "diverged", json_integer(e->diverged));
  return o;
}

static json_t *rules_json(const wl_eval_case *whole) {
  json_t *rules = json_array();
  for (int i = 1; i < whole->entries; i++) {
    const wl_eval_entry *e = &whole->entry[i];
    json_t *o = json_object();
    json_object_set_new(o, "rule", json_string(e->rule));
    json_object_set_new(o, "learning_rate", wl_json_number(e->rate));
    json_object_set_new(o, "loss", wl_json_number(e->mean));
    json_object_set_new(o, "loss_half_width", wl_json_number(e->half_width));
    json_array_append_new(rules, o);
  }
  return rules;
}

static wl_status write_json(const wl_ablation *a, const char *path) {
  json_t *root = json_object(), *rows = json_array();
  json_object_set_new(root, "steps", json_integer(a->row[0].result.steps));
  json_object_set_new(root, "sets", json_integer(a->row[0].result.seeds));
  json_object_set_new(root, "few_shot", json_boolean(a->row[0].result.few_shot));
  for (int i = 0; i < a->count; i++) json_array_append_new(rows, row_json(a, &a->row[i]));
  json_object_set_new(root, "subsets", rows);
  json_object_set_new(root, "hand_designed", rules_json(&a->row[0].result));
  return wl_json_write(root, path);
}

/* ---- The command ------------------------------------------------------------------------------ */

static wl_status report(const wl_cli *cli, const wl_ablation *a) {
  const char *json = wl_argument_text(&cli->arguments, "json", NULL);
  print_table(a, wl_json_beside(json));
  return json ? write_json(a, json) : WL_OK;
}

static wl_status run_ablate(wl_cli *cli, int argc, char **argv) {
  (void)argc;
  const char *overrides[WL_ARGUMENTS_MAX];
  wl_ablation_request q;
  wl_ablation ablation = {0};
  wl_status status = wl_comm_agree(cli->comm, read_request(cli, argv[0], overrides, &q));
  if (status == WL_OK) status = wl_ablate(&q, cli->comm, &ablation);
  if (status == WL_OK)
    status =
        wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0 ? report(cli, &ablation) : WL_OK);
  wl_ablation_clear(&ablation);
  return status;
}

const wl_command wl_command_ablate = {
    "ablate",
    "CONFIG",
    "trains and evaluates every subset of a system's parts: LSTM, warp, preconditioner, theta_0",
    1,
    1,
    arguments,
    wl_command_help_keys,
    false,
    run_ablate,
    "Trains every subset of the parts that the configuration has, with the same meta-steps, tasks and "
    "seed, evaluates each on the same fresh tasks, and prints the table with differences paired over "
    "tasks. Where the LSTM is left out, plain descent with a learned rate takes its place. The outer "
    "optimizer's `groups` go with their parts. Each subset is a run of its own below `output`; all "
    "ranks work on one after the other, and --resume passes over those that are done.",
    "mpirun -n 4 warploom ablate jobs/joint-sinusoid.yaml --rate 0.01\n"
    "warploom ablate jobs/joint-fashion.yaml --rate 1 --json table.json\n"};
