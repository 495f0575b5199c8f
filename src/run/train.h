/* train.h - `warploom train`: runs a complete meta-training, from the configuration to the files of
 * the run. */
#ifndef WL_RUN_TRAIN_H
#define WL_RUN_TRAIN_H

#include <signal.h>

#include "base/options.h"
#include "comm/comm.h"

typedef struct wl_train_request {
  /* true: if there is a valid checkpoint, the training resumes from the newest one */
  bool resume;
  /* number of meta-steps after which the training stops with a checkpoint; 0: no limit */
  int64_t stop_after;
  /* number of seconds after the call within which the training stops with a checkpoint; 0: no
   * limit */
  double time_limit;
  /* flag that a signal handler sets to stop the training; may be NULL */
  const volatile sig_atomic_t *stop;
  /* *polled is true while the training reads *stop. While *polled is false, the signal handler ends
   * the process. The pointer is NULL if `stop` is NULL. */
  volatile sig_atomic_t *polled;
} wl_train_request;

typedef struct wl_train_outcome {
  uint64_t digest;
  int64_t meta_steps;
  char run[4096]; /* path of the run directory */
} wl_train_outcome;

/* Prints the memory and the output folder of a training, without training. Creates data, model and
 * workspaces, because some errors of a configuration are detected only during this creation.
 * Collective. */
wl_status wl_train_preview(const wl_config *config, const char *config_path, wl_comm *comm);

/* Trains and fills in `outcome`. Returns WL_OK when outer.steps meta-steps are done, WL_TRY_AGAIN if the training
 * stopped early with a checkpoint, and WL_ERR_DIVERGED if the training diverged. After other errors, `outcome` is not
 * filled in. Collective. */
wl_status wl_train(const wl_config *config, const char *config_path,
                   const wl_train_request *request, wl_comm *comm, wl_train_outcome *outcome);

#endif
