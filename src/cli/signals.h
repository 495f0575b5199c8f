/* signals.h - handles signals and the options --time-limit and --resume. Signals and the time limit
 * stop a training early with a checkpoint. */
#ifndef WL_CLI_SIGNALS_H
#define WL_CLI_SIGNALS_H

#include "cli/arguments.h"
#include "run/train.h"

/* The options --resume and --time-limit, as entries for the option table of each subcommand that
 * trains. */
#define WL_TRAIN_ARGUMENTS                                                                          \
  {"resume", NULL,                                                                                  \
   "resume from the newest valid checkpoint in the run directory; if there is none, start a new run"}, \
  {                                                                                                 \
    "time-limit", "TIME",                                                                           \
        "stop with a checkpoint and exit code 75 before the duration TIME has passed "              \
        "(write seconds, 90m, 4h, HH:MM:SS or D-HH[:MM[:SS]]); "                                    \
        "the default in a SLURM job is the remaining time of the job"                               \
  }

/* Returns true if `arguments` contains WL_TRAIN_ARGUMENTS, which means that the subcommand
 * trains. */
bool wl_signals_stop_training(const wl_argument *arguments);

/* Sets the signal handlers of the process. main calls this function before MPI starts. The process
 * ignores SIGPIPE and SIGXFSZ, because the failed write then returns an error. If `trains` is true,
 * the signals SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1 and SIGUSR2 stop the program. While there
 * is nothing to save, each of these signals ends the process immediately with exit code 75, and
 * rank 0 prints the reason. Later, the training polls whether a signal has arrived. If `trains` is
 * false, the process ignores SIGUSR1 and SIGUSR2, because batch systems send these signals as a
 * warning. All other signals keep their default actions. */
void wl_signals_prepare(bool trains, int rank);

/* Reads the options --resume and --time-limit into *request. Returns WL_ERR_USAGE if the time limit
 * is not a duration. */
wl_status wl_train_request_read(const wl_arguments *arguments, wl_train_request *request);

#endif
