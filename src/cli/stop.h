/* stop.h - what makes a training end early with a checkpoint, and go on: signals, --time-limit, --resume. */
#ifndef WL_CLI_STOP_H
#define WL_CLI_STOP_H

#include "cli/arguments.h"
#include "train/train.h"

/* Options of the commands that train. */
#define WL_STOP_ARGUMENTS                                                                          \
  {"resume", NULL,                                                                                 \
   "continue the run directory's newest valid checkpoint; start anew when there is none"},         \
  {                                                                                                \
    "time-limit", "TIME",                                                                          \
        "stop with a checkpoint before TIME from now (seconds, 90m, 4h, [D-]HH:MM:SS), exit code " \
        "75; under "                                                                               \
        "SLURM the job's own end is kept by itself"                                                \
  }

/* Starts to catch SIGTERM, SIGINT and SIGUSR1, and reads the options into *request. */
wl_status wl_stop_read(const wl_arguments *arguments, wl_train_request *request);

#endif
