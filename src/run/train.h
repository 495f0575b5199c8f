/* train.h - `warploom train`: does a whole meta-training run, from the configuration to its files. */
#ifndef WL_RUN_TRAIN_H
#define WL_RUN_TRAIN_H

#include <signal.h>

#include "base/options.h"
#include "comm/comm.h"

typedef struct wl_train_request {
  bool resume;        /* resume from the newest valid checkpoint, if there is one */
  int64_t stop_after; /* stop with a checkpoint once this many meta-steps are done; 0: never */
  double time_limit;  /* stop with a checkpoint within this many seconds of the call; 0: no limit */
  const volatile sig_atomic_t *stop; /* set by a signal handler; may be NULL */
  /* Set while *stop is read. Before and after that time the signal handler ends the process. NULL if `stop` is NULL. */
  volatile sig_atomic_t *polled;
} wl_train_request;

typedef struct wl_train_outcome {
  uint64_t digest;
  int64_t meta_steps;
  char run[4096]; /* the run directory */
} wl_train_outcome;

/* Prints the memory and the output folder of a training, without training. Creates data, model and workspaces. This
 * finds errors that reading the configuration does not find. Collective. */
wl_status wl_train_preview(const wl_config *config, const char *config_path, wl_comm *comm);

/* Trains. Collective. Returns WL_OK when outer.steps are done, WL_TRY_AGAIN if the training stopped early with a
 * checkpoint, WL_ERR_DIVERGED if the training diverged; `outcome` is filled in these three cases. */
wl_status wl_train(const wl_config *config, const char *config_path,
                   const wl_train_request *request, wl_comm *comm, wl_train_outcome *outcome);

#endif
