/* problem.h - the learning problem of a configuration: tasks, settings of the windows, and model.
 *
 * `train` and `check` both create the problem with wl_problem_create. */
#ifndef WL_TRAIN_PROBLEM_H
#define WL_TRAIN_PROBLEM_H

#include "unroll/window.h"

typedef struct wl_problem {
  uint64_t seed;
  wl_task **tasks; /* [n_tasks] */
  int n_tasks;
  wl_window_spec spec;
  wl_imitation *imitation; /* NULL: none */
  wl_model *model;
  const int64_t *horizon; /* [n_horizon] episode.steps, borrowed from the configuration */
  int n_horizon;          /* 1: the horizon is T; 2: the horizon is drawn from [low, high] */
} wl_problem;

/* Creates the problem. Returns WL_ERR_CONFIG if there are no meta-parameters, or if episode.steps is neither a number
 * nor a range. After a failure, the caller has nothing to free. Borrows `config`, which must exist as long as the
 * problem. Not collective. */
wl_status wl_problem_create(const wl_config *config, wl_problem *out);
void wl_problem_destroy(wl_problem *problem);

#endif
