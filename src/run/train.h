/* train.h - `warploom train`: a whole meta-training run, from configuration to files. */
#ifndef WL_RUN_TRAIN_H
#define WL_RUN_TRAIN_H

#include <signal.h>

#include "base/options.h"
#include "comm/comm.h"

typedef struct wl_train_request {
  bool resume;        /* continue the newest valid checkpoint, if there is one */
  int64_t stop_after; /* stop with a checkpoint once this meta-step is done; 0: never */
  double time_limit;  /* seconds from the call within which to stop with a checkpoint; 0: none */
  const volatile sig_atomic_t *stop; /* set by a signal handler; may be NULL */
  /* Set while *stop is read: before and after that the handler ends the process. NULL with `stop`. */
  volatile sig_atomic_t *polled;
} wl_train_request;

typedef struct wl_train_outcome {
  uint64_t digest;
  int64_t meta_steps;
  char run[4096]; /* the run directory */
} wl_train_outcome;

/* The configuration's `output`, or runs/NAME for a configuration NAME.yaml. WL_ERR_CONFIG: it is too long. */
wl_status wl_train_run_directory(const wl_config *config, const char *config_path, char *run,
                                 size_t size);

/* Prints the memory and the output folder of a training, without training. It creates data, model and workspaces, and
 * so finds errors that reading the configuration does not. Collective. */
wl_status wl_train_preview(const wl_config *config, const char *config_path, wl_comm *comm);

/* Trains. Collective. WL_OK when outer.steps are done, WL_TRY_AGAIN when it stopped early with a
 * checkpoint, WL_ERR_DIVERGED if it diverged; `outcome` is filled in these cases. */
wl_status wl_train(const wl_config *config, const char *config_path,
                   const wl_train_request *request, wl_comm *comm, wl_train_outcome *outcome);

#endif
