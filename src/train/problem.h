/* problem.h - creates the learning problem that a configuration describes: tasks, model and
 * settings of the windows.
 *
 * The subcommands `train` and `check` both create the problem with wl_problem_create. */
#ifndef WL_TRAIN_PROBLEM_H
#define WL_TRAIN_PROBLEM_H

#include "unroll/window.h"

typedef struct wl_problem {
  uint64_t seed;
  wl_task **tasks; /* [n_tasks] */
  int n_tasks;
  wl_window_spec spec;
  /* settings of imitation, which include the teacher; NULL if the configuration has no teacher */
  wl_imitation *imitation;
  wl_model *model;
  /* [n_horizon] values of the key episode.steps, borrowed from the configuration */
  const int64_t *horizon;
  /* 1 if the horizon is a fixed number; 2 if the horizon is drawn from [horizon[0], horizon[1]] */
  int n_horizon;
} wl_problem;

/* Creates the problem. The caller frees the problem with wl_problem_destroy. After a failure, there
 * is nothing to free. Returns WL_ERR_CONFIG for a wrong configuration, for example if there are no
 * meta-parameters. Borrows `config`, which must remain valid until the problem is destroyed. Not
 * collective. */
wl_status wl_problem_create(const wl_config *config, wl_problem *out);
void wl_problem_destroy(wl_problem *problem);

#endif
