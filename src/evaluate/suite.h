/* suite.h - a suite: a YAML file with named tasks and their horizons, for the comparison of optimizers.
 *
 *   suite: unseen                # its name
 *   seeds: 5                     # runs of each cell, that is, of a task at a horizon
 *   tasks:
 *     - {name: digits, horizons: [100, 500, 2000], family: mlp, data: digits, widths: [32]}
 *
 * A task has the keys `name`, `horizons` and the reference keys, and the keys of a configuration's section `task`. The
 * file of baselines stores the name and definition of each task. The stored baselines remain valid when tasks are
 * added. */
#ifndef WL_EVALUATE_SUITE_H
#define WL_EVALUATE_SUITE_H

#include "base/options.h"

typedef struct wl_suite_task {
  const char *name; /* may contain letters, digits, - and _ */
  wl_ints horizons; /* inner steps in rising order */
  wl_ints
      reference_steps; /* steps at which published losses of tuned Adam are known */
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
      /* random batches for each loss during a run, every 10 steps; 0: whole fixed sample, after a growing number of
       * steps */
      batches;
  int64_t reach; /* tuned rules run for `reach` times the longest horizon */
  double smoothing; /* decay of the running mean of the losses in 10 steps; 0: no running mean */
  int count;
  wl_suite_task *tasks; /* [count] */
} wl_suite;

/* The keys of a suite, and the keys that tasks have only in a suite. */
extern const wl_option wl_suite_keys[], wl_suite_task_keys[];

/* Reads and checks a suite file. Not collective. The caller destroys *out with wl_suite_destroy. */
wl_status wl_suite_read(const char *path, wl_suite **out);
void wl_suite_destroy(wl_suite **suite); /* accepts NULL */

#endif
