/* ablation.c - the overrides that leave parts out, the runs, the comparison. */
#include "evaluate/ablation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "train/outer.h"
#include "train/schema.h"

enum { LSTM, WARP, PRECONDITION, THETA0 };
const char *const wl_part_names[WL_PARTS] = {"lstm", "warp", "precondition", "theta0"};
/* The outer optimizer's groups that belong to parts; plain descent's rate is of the rule's group. */
static const char *const part_groups[WL_PARTS] = {NULL, "warp", "precondition", "initialisation"};

enum { OWN_OVERRIDES = WL_PARTS + 2, TEXT = 4200, MOST_OVERRIDES = 300 };

/* Overrides of one subset, behind those of the request. */
typedef struct edits {
  char text[OWN_OVERRIDES][TEXT];
  const char *list[MOST_OVERRIDES];
  int count;
} edits;

static bool is_none(const wl_config *config, const char *section) {
  return strcmp(wl_map_variant(wl_config_map(config, section, 0)), "none") == 0;
}

static bool has_warp(const wl_map *task) {
  int count;
  const char *const *names = wl_map_strings(task, "warp", &count);
  return count > 0 && strcmp(names[0], "none") != 0;
}

/* The parts that a configuration has; it is an error to have none, or a mixture of tasks. */
static wl_status find_parts(const wl_config *config, unsigned *parts) {
  const wl_map *task = wl_config_map(config, "task", 0);
  if (wl_config_count(config, "task") > 1)
    return wl_map_fail(task, "family",
                       "an ablation is of a system on one task family, not on a mixture");
  /* more than there are would not fit the override that repeats them */
  if (wl_config_count(config, "groups") > WL_OUTER_GROUPS)
    return wl_map_fail(wl_config_map(config, "groups", WL_OUTER_GROUPS), "group",
                       "there are only %d groups: one is given twice", WL_OUTER_GROUPS);
  *parts = (unsigned)(strcmp(wl_map_variant(wl_config_map(config, "rule", 0)), "lstm") == 0)
               << LSTM |
           (unsigned)has_warp(task) << WARP |
           (unsigned)!is_none(config, "precondition") << PRECONDITION |
           (unsigned)!is_none(config, "initialisation") << THETA0;
  if (*parts) return WL_OK;
  return WL_FAIL(
      WL_ERR_CONFIG,
      "nothing to leave out: the configuration has neither `rule: {name: lstm}` nor warp "
      "layers, a preconditioner or a learned initialisation");
}

static void name_subset(unsigned parts, char *name, size_t size) {
  size_t used = 0;
  snprintf(name, size, "rate");
  for (int i = 0; i < WL_PARTS; i++)
    if (parts >> i & 1)
      used += (size_t)snprintf(name + used, size - used, "%s%s", used ? "+" : "", wl_part_names[i]);
}

static bool keeps_group(unsigned left_out, const char *group) {
  for (int i = 0; i < WL_PARTS; i++)
    if ((left_out >> i & 1) && part_groups[i] && strcmp(part_groups[i], group) == 0) return false;
  return true;
}

/* "groups=[...]" without those of the parts that are left out. */
static void edit_groups(const wl_config *config, unsigned left_out, char *text) {
  size_t used = (size_t)snprintf(text, TEXT, "groups=[");
  for (int i = 0, kept = 0; i < wl_config_count(config, "groups"); i++) {
    const wl_map *m = wl_config_map(config, "groups", i);
    if (strcmp(wl_map_variant(m), "none") == 0 || !keeps_group(left_out, wl_map_variant(m)))
      continue;
    used += (size_t)snprintf(text + used, TEXT - used,
                             "%s{group: %s, learning_rate: %.17g, optimizer: %s, clip_norm: %.17g, "
                             "from_step: %lld, until_step: %lld}",
                             kept++ ? ", " : "", wl_map_variant(m), wl_map_real(m, "learning_rate"),
                             wl_map_string(m, "optimizer"), wl_map_real(m, "clip_norm"),
                             (long long)wl_map_int(m, "from_step"),
                             (long long)wl_map_int(m, "until_step"));
  }
  if (text[used - 1] == '[') snprintf(text, TEXT, "groups=[{group: none}]");
  else snprintf(text + used, TEXT - used, "]");
}

static void write_edits(const wl_ablation_request *q, const wl_config *config, unsigned left_out,
                        const char *run, edits *e) {
  static const char *const off[WL_PARTS] = {NULL, "task.warp=none", "precondition={name: none}",
                                            "initialisation={name: none}"};
  e->count = 0;
  for (int i = 0; i < q->n_overrides; i++) e->list[e->count++] = q->overrides[i];
  const int given = e->count;
  for (int i = 0; i < WL_PARTS; i++) {
    if (!(left_out >> i & 1)) continue;
    char *text = e->text[e->count - given];
    if (off[i]) snprintf(text, TEXT, "%s", off[i]);
    else snprintf(text, TEXT, "rule={name: sgd, rate: %.17g, learn: [rate]}", q->rate);
    e->list[e->count++] = text;
  }
  snprintf(e->text[e->count - given], TEXT, "output=%s", run);
  e->list[e->count] = e->text[e->count - given];
  e->count++;
  edit_groups(config, left_out, e->text[e->count - given]);
  e->list[e->count] = e->text[e->count - given];
  e->count++;
}

/* What is left of the limit, which holds for all subsets together: 0 is none, so at least a moment. */
static wl_train_request remaining(const wl_ablation_request *q, double started) {
  wl_train_request training = q->training;
  if (training.time_limit > 0)
    training.time_limit = fmax(training.time_limit - (wl_comm_time() - started), 1e-3);
  return training;
}

/* Trains a subset, or goes on with it. */
static wl_status train_subset(const wl_ablation_request *q, const edits *e, double started,
                              wl_comm *comm, wl_ablation_row *row) {
  wl_config *config = NULL;
  wl_train_outcome outcome = {0};
  wl_status status = wl_config_read(q->path, wl_schema(), e->list, e->count, &config);
  status = wl_comm_agree(comm, status);
  const wl_train_request training = remaining(q, started);
  if (status == WL_OK) status = wl_train(config, q->path, &training, comm, &outcome);
  if (status == WL_ERR_DIVERGED) { /* what it evaluates to says so in the table */
    wl_log_warning("%s: %s", row->name, wl_last_error());
    status = WL_OK;
  }
  wl_digest_hex((wl_digest){outcome.digest}, row->digest);
  wl_config_destroy(&config);
  return status;
}

/* The whole system beside the hand-designed rules, the others alone. */
static wl_status evaluate_subset(const wl_ablation_request *q, bool whole, wl_comm *comm,
                                 wl_ablation_row *row) {
  wl_trained *trained = NULL;
  wl_eval_setting setting = q->evaluation;
  setting.alone = !whole;
  wl_status status = wl_comm_agree(comm, wl_trained_read(row->run, NULL, 0, &trained));
  if (status == WL_OK && setting.steps == 0) setting.steps = wl_trained_horizon(trained);
  if (status == WL_OK) status = wl_evaluate(trained, row->name, &setting, comm, &row->result);
  wl_trained_destroy(&trained);
  return status;
}

/* Each subset against the whole system, paired over sets. */
static void compare(wl_ablation *a) {
  const wl_eval_case *whole = &a->row[0].result;
  double value[WL_MAX_SEEDS];
  a->ratios = !whole->few_shot;
  for (int i = 0; i < a->count; i++)
    for (int64_t s = 0; s < whole->seeds; s++)
      a->ratios = a->ratios && !(a->row[i].result.entry[0].final[s] <= 0);
  for (int i = 0; i < a->count; i++) {
    const double *mine = a->row[i].result.entry[0].final, *all = whole->entry[0].final;
    for (int64_t s = 0; s < whole->seeds; s++)
      value[s] = a->ratios ? log10(mine[s]) - log10(all[s]) : mine[s] - all[s];
    wl_interval(value, whole->seeds, &a->row[i].difference, &a->row[i].half);
  }
}

/* The subsets: more parts first, so that the whole system is the first row. */
static int list_subsets(unsigned parts, unsigned subset[WL_MAX_SUBSETS]) {
  int count = 0;
  for (int size = WL_PARTS; size >= 0; size--)
    for (unsigned s = 0; s < WL_MAX_SUBSETS; s++)
      if ((s & ~parts) == 0 && __builtin_popcount(s) == size) subset[count++] = s;
  return count;
}

static wl_status run_subset(const wl_ablation_request *q, const wl_config *config,
                            unsigned left_out, double started, wl_comm *comm,
                            wl_ablation_row *row) {
  edits *e = NULL;
  wl_status status = WL_NEW(e, 1);
  if (status == WL_OK) write_edits(q, config, left_out, row->run, e);
  status = wl_comm_agree(comm, status);
  if (status == WL_OK) status = train_subset(q, e, started, comm, row);
  wl_free(e);
  return status == WL_OK ? evaluate_subset(q, left_out == 0, comm, row) : status;
}

static wl_status run_all(const wl_ablation_request *q, const wl_config *config, wl_comm *comm,
                         wl_ablation *out) {
  unsigned subset[WL_MAX_SUBSETS];
  const double started = wl_comm_time();
  const int count = list_subsets(out->parts, subset);
  for (int i = 0; i < count; i++) {
    wl_ablation_row *row = &out->row[i];
    row->parts = subset[i];
    name_subset(subset[i], row->name, sizeof row->name);
    if (snprintf(row->run, sizeof row->run, "%s/%s", out->output, row->name) >=
        (int)sizeof row->run)
      return wl_comm_agree(comm, WL_FAIL(WL_ERR_CONFIG, "key 'output': the path is too long"));
    wl_log_info("subset %d of %d: %s", i + 1, count, row->name);
    out->count = i + 1; /* so that a failure clears it too */
    WL_TRY(run_subset(q, config, out->parts & ~subset[i], started, comm, row));
  }
  compare(out);
  return WL_OK;
}

wl_status wl_ablate(const wl_ablation_request *q, wl_comm *comm, wl_ablation *out) {
  wl_config *config = NULL;
  *out = (wl_ablation){0};
  wl_status status = WL_OK;
  if (q->n_overrides + OWN_OVERRIDES > MOST_OVERRIDES)
    status = WL_FAIL(WL_ERR_USAGE, "too many --set");
  if (status == WL_OK)
    status = wl_config_read(q->path, wl_schema(), q->overrides, q->n_overrides, &config);
  if (status == WL_OK) status = find_parts(config, &out->parts);
  if (status == WL_OK) status = WL_NEW(out->row, WL_MAX_SUBSETS);
  if (status == WL_OK)
    status = wl_train_run_directory(config, q->path, out->output, sizeof out->output);
  status = wl_comm_agree(comm, status);
  if (status == WL_OK) status = run_all(q, config, comm, out);
  wl_config_destroy(&config);
  if (status != WL_OK) wl_ablation_clear(out);
  return status;
}

void wl_ablation_clear(wl_ablation *a) {
  for (int i = 0; i < a->count; i++) wl_eval_case_clear(&a->row[i].result);
  wl_free(a->row);
  *a = (wl_ablation){0};
}
