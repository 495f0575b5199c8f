/* problem.h - what is learned and on what: tasks, window policy and model of a configuration.
 *
 * `train` and `check` build the same problem from the same keys through this one function. */
#ifndef WL_TRAIN_PROBLEM_H
#define WL_TRAIN_PROBLEM_H

#include "unroll/window.h"

typedef struct wl_problem {
  uint64_t seed;
  wl_task **tasks; /* [n_tasks] */
  int n_tasks;
  wl_window_spec spec;
  wl_model *model;
  const int64_t *horizon; /* [n_horizon] episode.steps, borrowed from the configuration */
  int n_horizon;          /* 1: T; 2: [low, high] */
} wl_problem;

/* WL_ERR_CONFIG when nothing is learned, or episode.steps is not a number or a range. On failure
 * nothing is left to free. `config` is borrowed for the problem's life. Not collective. */
wl_status wl_problem_create(const wl_config *config, wl_problem *out);
void wl_problem_destroy(wl_problem *problem);

#endif
