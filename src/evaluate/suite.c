/* suite.c - reads the YAML file of a suite and checks its tasks. */
#include "evaluate/suite.h"

#include <stdlib.h>
#include <string.h>

#include "evaluate/speedup.h"
#include "task/task.h"

enum { MAX_OPTIONS = 64, OWN_OPTIONS = 5 };

const wl_option wl_suite_keys[] = {
    {"suite", WL_OPT_STRING, NULL, NULL, 0, 0, "1", "name of the suite", WL_SLOT(wl_suite, name),
     0},
    {"seed", WL_OPT_INT, "1", NULL, 0, 9e18, "1", "seed of all random numbers of the tasks",
     WL_SLOT(wl_suite, seed), 0},
    {"seeds", WL_OPT_INT, "5", NULL, 1, WL_MAX_SUITE_SEEDS, "1",
     "number of runs for each task and each horizon", WL_SLOT(wl_suite, seeds), 0},
    {"evaluate_batches", WL_OPT_INT, "5", NULL, 0, 1e6, "1",
     "number of random minibatches over which a measured loss is averaged; losses are then measured every 10 "
     "inner steps. With 0, a loss is measured on the whole fixed sample, and the intervals between measurements "
     "grow during a run",
     WL_SLOT(wl_suite, batches), 0},
    {"smoothing", WL_OPT_REAL, "0.95", NULL, 0, 0.999999, "1",
     "decay of the running mean of the losses in 10 inner steps; with 0, losses are not smoothed",
     WL_SLOT(wl_suite, smoothing), 0},
    {"reach", WL_OPT_INT, "10", NULL, 1, 10, "1",
     "number of inner steps of the runs of tuned rules, as a multiple of the longest horizon", WL_SLOT(wl_suite, reach), 0},
    {0}};

const wl_option wl_suite_task_keys[] = {
    {"name", WL_OPT_STRING, NULL, NULL, 0, 0, "1", "name of the task", WL_SLOT(wl_suite_task, name),
     0},
    {"horizons", WL_OPT_INTS, NULL, NULL, 1, 1e9, "steps", "numbers of inner steps at which the task is evaluated",
     WL_SLOT(wl_suite_task, horizons), 0},
    {"reference_steps", WL_OPT_INTS, "[]", NULL, 1, 1e9, "steps",
     "inner steps at which published losses of tuned Adam are known", WL_SLOT(wl_suite_task, reference_steps), 0},
    {"rates", WL_OPT_REALS, "[]", NULL, 0, 1e3, "1",
     "lowest and highest rate that tuned rules try; with [], tuned rules try all 15 rates",
     WL_SLOT(wl_suite_task, rates), 0},
    {"reference_losses", WL_OPT_REALS, "[]", NULL, 0, 0, "1", "published losses of tuned Adam at "
                                                              "reference_steps",
     WL_SLOT(wl_suite_task, reference_losses), 0},
    {0}};

/* Returns the keys of a task in a suite: the keys that tasks have only in a suite, followed by the
 * keys that all tasks have. */
static const wl_option *task_options(void) {
  static wl_option all[MAX_OPTIONS];
  memcpy(all, wl_suite_task_keys, OWN_OPTIONS * sizeof *all);
  for (int i = 0; wl_task_common_options[i].key && OWN_OPTIONS + i + 1 < MAX_OPTIONS; i++)
    all[OWN_OPTIONS + i] = wl_task_common_options[i];
  return all;
}

static const wl_section *sections(void) {
  static wl_section all[3];
  all[0] = (wl_section){.name = "", .doc = "The suite", .options = wl_suite_keys};
  all[1] = (wl_section){.name = "tasks",
                        .doc = "Its tasks",
                        .options = task_options(),
                        .selector = "family",
                        .variants = wl_task_variants(),
                        .list = true,
                        .plugins = &wl_task_plugins};
  return all;
}

/* Names are parts of file names and of names of HDF5 groups. */
static wl_status check_name(const wl_map *map, const char *key, const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  const size_t length = strlen(name);
  if (length > 0 && length <= 48 && strspn(name, letters) == length) return WL_OK;
  return wl_map_fail(map, key, "the name must consist of 1 to 48 letters, digits, - and _");
}

bool wl_suite_allows(const wl_suite_task *t, double rate) {
  return t->rates.count == 0 || (rate > 0.99 * t->rates.at[0] && rate < 1.01 * t->rates.at[1]);
}

static wl_status check_rates(const wl_suite_task *t) {
  wl_baseline all[WL_MAX_BASELINES];
  if (t->rates.count != 0 && (t->rates.count != 2 || !(t->rates.at[0] <= t->rates.at[1])))
    return wl_map_fail(t->map, "rates", "give two numbers, the lowest and the highest rate, or []");
  for (int i = wl_baselines(all) - 1; i >= 0; i--)
    if (wl_baseline_tries(&all[i], t)) return WL_OK;
  return wl_map_fail(
      t->map, "rates",
      "no rate is in this range. Nesterov's rule tries the rates 1e-5, 3.16e-5, 1e-4, ..., 31.6, 100, and "
      "other rules try 1e-7, 3.16e-7, 1e-6, ..., 0.316, 1; choose a range that contains one of them");
}

static wl_status check_task(const wl_suite *s, int index) {
  const wl_suite_task *t = &s->tasks[index];
  WL_TRY(check_name(t->map, "name", t->name));
  for (int i = 0; i < index; i++)
    if (strcmp(s->tasks[i].name, t->name) == 0)
      return wl_map_fail(t->map, "name", "the name '%s' is given twice; names of tasks must differ", t->name);
  if (t->horizons.count == 0) return wl_map_fail(t->map, "horizons", "give at least one horizon");
  for (int i = 1; i < t->horizons.count; i++)
    if (t->horizons.at[i] <= t->horizons.at[i - 1])
      return wl_map_fail(t->map, "horizons", "the horizons must be in rising order");
  WL_TRY(check_rates(t));
  if (t->reference_steps.count != t->reference_losses.count)
    return wl_map_fail(t->map, "reference_losses", "the list must have as many numbers as reference_steps");
  return WL_OK;
}

/* Stores the definition of a task, which is the YAML text of a suite with only this task. Reads the
 * suite again without the other tasks to obtain this text. */
static wl_status define_task(const char *path, wl_suite *s, int index) {
  wl_config *config = NULL;
  wl_override *absent = NULL;
  char(*names)[32] = NULL;
  int n = 0;
  wl_status status = WL_NEW(absent, s->count + 1);
  if (status == WL_OK) status = WL_NEW(names, s->count + 1);
  for (int i = s->count - 1; status == WL_OK && i >= 0; i--) {
    if (i == index) continue;
    snprintf(names[n], sizeof names[n], "tasks.%d", i);
    absent[n] = (wl_override){.kind = WL_OVERRIDE_ABSENT, .path = names[n]};
    n++;
  }
  if (status == WL_OK) status = wl_config_read(path, sections(), absent, n, &config);
  if (status == WL_OK) status = wl_config_to_yaml(config, &s->tasks[index].definition);
  wl_config_destroy(&config);
  wl_free(absent);
  wl_free(names);
  return status;
}

wl_status wl_suite_read(const char *path, wl_suite **out) {
  wl_suite *s = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(s, 1));
  wl_status status = wl_config_read(path, sections(), NULL, 0, &s->config);
  if (status == WL_OK) {
    wl_map_read(wl_config_map(s->config, "", 0), wl_suite_keys, s);
    s->count = wl_config_count(s->config, "tasks");
    status = check_name(wl_config_map(s->config, "", 0), "suite", s->name);
  }
  if (status == WL_OK) status = WL_NEW(s->tasks, s->count + 1);
  for (int i = 0; status == WL_OK && i < s->count; i++) {
    wl_suite_task *t = &s->tasks[i];
    t->map = wl_config_map(s->config, "tasks", i);
    wl_map_read(t->map, wl_suite_task_keys, t);
    status = check_task(s, i);
    if (status == WL_OK) status = define_task(path, s, i);
  }
  if (status != WL_OK) wl_suite_destroy(&s);
  *out = s;
  return status;
}

void wl_suite_destroy(wl_suite **suite) {
  wl_suite *s = *suite;
  if (!s) return;
  for (int i = 0; s->tasks && i < s->count; i++) free(s->tasks[i].definition);
  wl_free(s->tasks);
  wl_config_destroy(&s->config);
  wl_free(s);
  *suite = NULL;
}
