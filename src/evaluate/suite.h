/* suite.h - a suite of named tasks with horizons, for the comparison of optimizers: a YAML file.
 *
 *   suite: unseen                # its name
 *   seeds: 5                     # runs of each cell, that is, of a task at a horizon
 *   tasks:
 *     - {name: digits, horizons: [100, 500, 2000], family: mlp, data: digits, widths: [32]}
 *
 * A task has `name`, `horizons` and the reference keys, and the keys of a configuration's section `task`. Baselines are
 * stored by name and definition of the task; they remain valid when other tasks are added. */
#ifndef WL_EVALUATE_SUITE_H
#define WL_EVALUATE_SUITE_H

#include "base/options.h"

typedef struct wl_suite_task {
  const char *name; /* letters, digits, - and _ */
  wl_ints horizons; /* inner steps, rising */
  wl_ints
      reference_steps; /* steps of the published losses of tuned Adam, for comparison with ours */
  wl_reals reference_losses; /* published losses of tuned Adam, one for each of reference_steps */
  wl_reals rates;            /* lowest and highest rate of tuned rules; empty: all 15 rates */
  const wl_map *map;         /* for wl_task_create */
  char *definition;          /* every key with its value, and how losses are recorded; owned */
} wl_suite_task;

typedef struct wl_suite {
  wl_config *config; /* owned */
  const char *name;
  int64_t seed, seeds;
  int64_t
      batches; /* random batches of an intermediate loss, every 10 steps; 0: whole fixed sample, at steps that grow
                  by a twentieth */
  int64_t reach; /* tuned rules run for `reach` times the longest horizon */
  double smoothing; /* decay in 10 steps of the running mean over intermediate losses; 0: no mean */
  int count;
  wl_suite_task *tasks; /* [count] */
} wl_suite;

/* The keys of a suite, and the keys of its tasks that other tasks do not have. */
extern const wl_option wl_suite_keys[], wl_suite_task_keys[];

/* Reads and checks a suite. Not collective. The caller destroys *out. */
wl_status wl_suite_read(const char *path, wl_suite **out);
void wl_suite_destroy(wl_suite **suite); /* accepts NULL */

#endif
