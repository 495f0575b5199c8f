/* signals.c - handles signals and the time limit of a training. */
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/duration.h"

bool wl_signals_stop_training(const wl_argument *arguments) {
  for (const wl_argument *a = arguments; a && a->name; a++)
    if (strcmp(a->name, "time-limit") == 0) return true;
  return false;
}

/* ---- Signals ---- */

static volatile sig_atomic_t stop_signal, polled;
static int speaker; /* rank of this process; only rank 0 prints the reason why a signal ended the
                     * program */

/* Ends the process from a signal handler. Calls only functions that are safe in a signal
 * handler. */
static void end_now(void) {
  static const char text[] =
      "warploom: a signal ended the program before there was anything to save; start the same command again\n";
  if (speaker == 0 && write(STDERR_FILENO, text, sizeof text - 1) < 0) errno = 0;
  _exit(WL_TRY_AGAIN);
}

static void on_signal(int number) {
  if (!polled) end_now();
  stop_signal = number;
}

static void set_action(int number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
}

/* Returns true if the process already ignores SIGHUP, which is the case if nohup started the
 * process. The program then continues to ignore SIGHUP. */
static bool ignores_hangup(void) {
  struct sigaction action;
  return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* The handlers stay installed after the first signal. A launcher may forward the same signal a
 * second time, and this second signal must have no effect. */
void wl_signals_prepare(bool trains, int rank) {
  static const int endings[] = {SIGTERM, SIGINT, SIGXCPU, SIGUSR1, SIGUSR2};
  speaker = rank;
  set_action(SIGPIPE, SIG_IGN);
  set_action(SIGXFSZ, SIG_IGN);
  if (!trains) {
    set_action(SIGUSR1, SIG_IGN);
    set_action(SIGUSR2, SIG_IGN);
    return;
  }
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) set_action(endings[i], on_signal);
  if (!ignores_hangup()) set_action(SIGHUP, on_signal);
}

/* ---- Time limits ---- */

/* Returns the seconds until the end of the SLURM job, or 0 if the end is not known.
 * SLURM_JOB_END_TIME may be empty, may be "Unknown" or may be left over from another job. The
 * function therefore ignores an end time that is in the past or more than a year ahead. */
static double slurm_seconds_left(void) {
  enum { YEAR = 366 * 86400 };
  const char *const text = getenv("SLURM_JOB_END_TIME");
  if (!text || !*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 12) return 0;
  const double left = (double)(strtoll(text, NULL, 10) - (long long)time(NULL));
  if (left > 0 && left < YEAR) return left;
  wl_log_info("SLURM_JOB_END_TIME=%s is not the end of a running job, so the training has no time limit", text);
  return 0;
}

/* Sets *seconds to the value of --time-limit, or to 0 if there is no limit. If the option is not
 * given, the limit is the remaining time of the SLURM job minus one minute for the last checkpoint.
 * If at most two minutes remain, the limit is half of the remaining time. */
static wl_status time_limit(const wl_arguments *given, double *seconds) {
  enum { MARGIN = 60 };
  const char *const text = wl_argument_text(given, "time-limit", NULL);
  *seconds = 0;
  if (text) return wl_duration_parse(text, "--time-limit", seconds);
  const double left = slurm_seconds_left();
  if (left <= 0) return WL_OK;
  *seconds = left > 2 * MARGIN ? left - MARGIN : left / 2;
  wl_log_info("the training stops in %.0f s, because SLURM ends this job in %.0f s (SLURM_JOB_END_TIME)", *seconds,
              left);
  return WL_OK;
}

wl_status wl_train_request_read(const wl_arguments *given, wl_train_request *request) {
  *request = (wl_train_request){
      .resume = wl_argument_given(given, "resume"), .stop = &stop_signal, .polled = &polled};
  return time_limit(given, &request->time_limit);
}
