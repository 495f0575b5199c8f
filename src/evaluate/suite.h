/* suite.h - reads the YAML file of a suite. A suite names the tasks on which optimizers are
 * compared, and the horizons of each task.
 *
 *   suite: unseen                # its name
 *   seeds: 5                     # runs of each cell, that is, of a task at a horizon
 *   tasks:
 *     - {name: digits, horizons: [100, 500, 2000], family: mlp, data: digits, widths: [32]}
 *
 * A task has the keys in wl_suite_task_keys, and the keys of the section `task` of a configuration.
 * The file of baselines stores the name and the definition of each task, so stored curves remain
 * valid when tasks are added to the suite. Keys that do not change the losses, such as `horizons`, may
 * change too. */
#ifndef WL_EVALUATE_SUITE_H
#define WL_EVALUATE_SUITE_H

#include "base/options.h"

enum { WL_MAX_SUITE_SEEDS = 1000 };

typedef struct wl_suite_task {
  const char *name; /* name of the task: letters, digits, - and _ */
  wl_ints horizons; /* numbers of inner steps at which the task is evaluated, in rising order */
  /* inner steps at which published losses of tuned Adam are known */
  wl_ints reference_steps;
  wl_reals reference_losses; /* published losses of tuned Adam at reference_steps */
  /* lowest and highest rate that tuned rules try; the list is empty if tuned rules try all 15
   * rates */
  wl_reals rates;
  /* map of the task's keys in the suite, from which wl_task_create creates the task */
  const wl_map *map;
  /* YAML text that contains every key of the task and every key that determines how losses are
   * measured; owned by this struct */
  char *definition;
} wl_suite_task;

typedef struct wl_suite {
  wl_config *config; /* owned */
  const char *name;
  int64_t seed, seeds;
  /* number of random minibatches over which a measured loss is averaged; if this number is
   * positive, losses are measured every 10 inner steps. If this number is 0, a loss is measured on
   * the whole fixed sample, and the intervals between measurements grow during a run. */
  int64_t batches;
  int64_t reach; /* length of the runs of tuned rules as a multiple of the longest horizon */
  /* decay of the running mean of the losses over 10 inner steps; 0 means that losses are not
   * smoothed */
  double smoothing;
  int count;
  wl_suite_task *tasks; /* [count] */
} wl_suite;

/* The table wl_suite_keys has the keys of a suite. The table wl_suite_task_keys has the keys that
 * tasks have only in a suite. */
extern const wl_option wl_suite_keys[], wl_suite_task_keys[];

/* Returns true if the task allows this rate. The comparison has a tolerance of 1 %, because the bounds
 * in the suite are decimal numbers with rounding errors. */
bool wl_suite_allows(const wl_suite_task *task, double rate);

/* Reads a suite from the YAML file `path` and checks it. Not collective. The caller destroys *out
 * with wl_suite_destroy. */
wl_status wl_suite_read(const char *path, wl_suite **out);
void wl_suite_destroy(wl_suite **suite); /* accepts NULL */

#endif
