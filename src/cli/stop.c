/* stop.c - signals and time limits of the commands that train. */
#include "cli/stop.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "cli/duration.h"

static volatile sig_atomic_t stop_signal;

static void on_signal(int number) { stop_signal = number; }

/* The first signal asks for a checkpoint and exit 75; the action stays, so that the copies a
 * launcher forwards change nothing. */
static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    sigaction(numbers[i], &action, NULL);
}

/* --time-limit, else what is left of the SLURM job less a minute for the last checkpoint. */
static wl_status time_limit(const wl_arguments *given, double *seconds) {
  enum { MARGIN = 60 };
  const char *text = wl_argument_text(given, "time-limit", NULL),
             *end = getenv("SLURM_JOB_END_TIME");
  *seconds = 0;
  if (text) return wl_duration_parse(text, "--time-limit", seconds);
  if (!end) return WL_OK;
  const double left = strtod(end, NULL) - (double)time(NULL) - MARGIN;
  *seconds = left > 1 ? left : 1;
  return WL_OK;
}

wl_status wl_stop_read(const wl_arguments *given, wl_train_request *request) {
  *request = (wl_train_request){.resume = wl_argument_given(given, "resume"), .stop = &stop_signal};
  catch_signals();
  return time_limit(given, &request->time_limit);
}
