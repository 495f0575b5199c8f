/* suite.h - a suite of named tasks with horizons, on which optimizers are judged: a YAML file.
 *
 *   suite: unseen                # its name
 *   seeds: 5                     # runs of each cell, that is, of a task at a horizon
 *   tasks:
 *     - {name: digits, horizons: [100, 500, 2000], family: mlp, data: digits, widths: [32]}
 *
 * A task has the keys of a configuration's `task` section beside its own. Baselines are kept by task and definition, so that
 * adding tasks leaves what was computed valid. */
#ifndef WL_EVALUATE_SUITE_H
#define WL_EVALUATE_SUITE_H

#include "base/options.h"

typedef struct wl_suite_task {
  const char *name; /* letters, digits, - and _ */
  wl_ints horizons; /* inner steps, rising */
  wl_ints
      reference_steps; /* published losses of tuned Adam, to compare ours with: after so many steps */
  wl_reals reference_losses; /* as many */
  const wl_map *map;         /* for wl_task_create */
  char *definition;          /* every key with its value, and how losses are taken: owned */
} wl_suite_task;

typedef struct wl_suite {
  wl_config *config; /* owned */
  const char *name;
  int64_t seed, seeds;
  int64_t
      batches; /* of a loss on the way, every 10 steps; 0: the whole fixed sample, at steps that grow by a twentieth */
  double smoothing; /* what the running mean over losses on the way keeps after 10 steps; 0: none */
  int count;
  wl_suite_task *tasks; /* [count] */
} wl_suite;

/* Not collective. The caller destroys *out. */
wl_status wl_suite_read(const char *path, wl_suite **out);
void wl_suite_destroy(wl_suite **suite); /* accepts NULL */

#endif
