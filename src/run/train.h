/* train.h - `warploom train`: does a whole meta-training run, from reading the configuration to writing the files. */
#ifndef WL_RUN_TRAIN_H
#define WL_RUN_TRAIN_H

#include <signal.h>

#include "base/options.h"
#include "comm/comm.h"

typedef struct wl_train_request {
  bool resume;        /* resume from the newest valid checkpoint, if there is one */
  int64_t stop_after; /* stop with a checkpoint when this many meta-steps are done; 0: never */
  double time_limit;  /* stop with a checkpoint within this many seconds after the call; 0: no limit */
  const volatile sig_atomic_t *stop; /* a signal handler sets *stop; may be NULL */
  /* True while the training reads *stop. While it is false, the signal handler ends the process. NULL if `stop` is
   * NULL. */
  volatile sig_atomic_t *polled;
} wl_train_request;

typedef struct wl_train_outcome {
  uint64_t digest;
  int64_t meta_steps;
  char run[4096]; /* path of the run directory */
} wl_train_outcome;

/* Prints the memory and the output folder of a training, without training. Creates data, model and workspaces, so that
 * it finds errors that reading the configuration does not find. Collective. */
wl_status wl_train_preview(const wl_config *config, const char *config_path, wl_comm *comm);

/* Trains and fills in `outcome`. Returns WL_OK when outer.steps meta-steps are done, WL_TRY_AGAIN if the training
 * stopped early with a checkpoint, and WL_ERR_DIVERGED if the training diverged. After other errors, `outcome` is not
 * filled in. Collective. */
wl_status wl_train(const wl_config *config, const char *config_path,
                   const wl_train_request *request, wl_comm *comm, wl_train_outcome *outcome);

#endif
