/* signals.h - signals and the option --time-limit, which stop a training early with a checkpoint, and the option
 * --resume. */
#ifndef WL_CLI_SIGNALS_H
#define WL_CLI_SIGNALS_H

#include "cli/arguments.h"
#include "run/train.h"

/* The options of the commands that train. */
#define WL_TRAIN_ARGUMENTS                                                                          \
  {"resume", NULL,                                                                                 \
   "resume from the run directory's newest valid checkpoint; start a new run if there is none"},         \
  {                                                                                                \
    "time-limit", "TIME",                                                                          \
        "stop with a checkpoint before TIME from now (seconds, 90m, 4h, HH:MM:SS, D-HH[:MM[:SS]]), " \
        "exit code 75; under "                                                                     \
        "SLURM the end of the job is used automatically"                                                \
  }

/* Returns true if a command has WL_TRAIN_ARGUMENTS, and therefore trains. */
bool wl_signals_stop_training(const wl_argument *arguments);

/* Sets how the whole process handles signals. main calls this function before MPI starts. SIGPIPE and SIGXFSZ are
 * ignored, because writes return their errors. In a command that trains, SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1 and
 * SIGUSR2 end the process immediately with exit code 75 while there is nothing to save. During the training, it polls
 * these signals. Other commands keep the default actions, but ignore SIGUSR1 and SIGUSR2, which batch systems send as a
 * warning. Rank 0 prints why the program ends. */
void wl_signals_prepare(bool trains, int rank);

/* Reads the options into *request. Returns WL_ERR_USAGE if the time limit is not a duration. */
wl_status wl_train_request_read(const wl_arguments *arguments, wl_train_request *request);

#endif
