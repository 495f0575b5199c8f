/* log.c - prints messages and progress on stderr.
 *
 * On a terminal, progress is one line that is redrawn at most five times a second. A message clears
 * this line, and the next progress report draws the line again. If stderr is not a terminal, each
 * progress report is a separate line. The first and the last report are always printed. Between the
 * first and the last report, at most one report is printed every PLAIN_SECONDS seconds.
 *
 * Any thread may print messages. For example, the thread that writes files can print a warning
 * while the training shows its progress. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define REDRAW_SECONDS 0.2
#define PLAIN_SECONDS 30.0

enum { LINE_SIZE = 512 };

static struct {
  int rank;
  bool quiet;
} setup;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The state of the progress line. A thread must hold `lock` to read or write this state. */
static struct {
  bool active, terminal, drawn;
  long first;            /* value of `done` in the first call of wl_log_progress, which is the
                          * number of steps that were complete before this process started */
  long done, shown;      /* value of `done` in the last call, and value of `done` in the last
                          * printed line */
  double start, printed; /* time of the first call, and time of the last printed line, in seconds */
  char line[LINE_SIZE];
} progress;

void wl_log_setup(int rank, bool quiet) {
  setup.rank = rank;
  setup.quiet = quiet;
}

/* Writes the whole line with one call of fwrite, because the characters of several ranks could
 * otherwise be mixed in a line. */
static void print_line(const char *prefix, const char *format, va_list arguments) {
  char line[8192];
  pthread_mutex_lock(&lock);
  const int used =
      snprintf(line, sizeof line - 1, "%s%s", progress.drawn ? "\r\033[K" : "", prefix);
  vsnprintf(line + used, sizeof line - 1 - (size_t)used, format, arguments);
  progress.drawn = false;
  const size_t length = strlen(line);
  line[length] = '\n';
  fwrite(line, 1, length + 1, stderr);
  fflush(stderr);
  pthread_mutex_unlock(&lock);
}

void wl_log_info(const char *format, ...) {
  if (setup.rank != 0 || setup.quiet) return;
  va_list arguments;
  va_start(arguments, format);
  print_line("", format, arguments);
  va_end(arguments);
}

void wl_log_warning(const char *format, ...) {
  if (setup.rank != 0) return;
  va_list arguments;
  va_start(arguments, format);
  print_line("warploom: warning: ", format, arguments);
  va_end(arguments);
}

void wl_log_error(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line("warploom: error: ", format, arguments);
  va_end(arguments);
}

/* Formats a duration as "1:02:03" or "4:05". */
static void format_duration(double seconds, char *out, size_t size) {
  const long s = seconds < 0 ? 0 : seconds > 3.6e9 ? (long)3.6e9 : (long)(seconds + 0.5);
  if (s >= 3600) snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

/* Writes "train 120/10000  35.1/s  4:41 left  text" into progress.line. */
static void compose_line(const char *what, long done, long total, const char *text, double now) {
  char speed[96] = "";
  const double elapsed = now - progress.start;
  const long advanced = done - progress.first;
  if (advanced > 0 && elapsed > 0) {
    const double rate = (double)advanced / elapsed;
    char left[32];
    format_duration((double)(total - done) / rate, left, sizeof left);
    snprintf(speed, sizeof speed, "  %.4g/s  %s left", rate, left);
  }
  snprintf(progress.line, sizeof progress.line, "%s %ld/%ld%s%s%s", what, done, total, speed,
           text && *text ? "  " : "", text ? text : "");
}

static void show_line(double now) {
  fprintf(stderr, progress.terminal ? "\r\033[K%s" : "%s\n", progress.line);
  fflush(stderr);
  progress.drawn = progress.terminal;
  progress.printed = now;
  progress.shown = progress.done;
}

static void show_progress(const char *what, long done, long total, const char *text) {
  const double now = wl_seconds();
  const bool first = !progress.active;
  if (first) {
    memset(&progress, 0, sizeof progress);
    progress.active = true;
    progress.terminal = isatty(STDERR_FILENO) == 1;
    progress.first = done;
    progress.start = now;
  }
  progress.done = done;
  compose_line(what, done, total, text, now);
  const double interval = progress.terminal ? REDRAW_SECONDS : PLAIN_SECONDS;
  if (first || now - progress.printed >= interval) show_line(now);
}

void wl_log_progress(const char *what, long done, long total, const char *text) {
  if (setup.rank != 0 || setup.quiet) return;
  pthread_mutex_lock(&lock);
  show_progress(what, done, total, text);
  pthread_mutex_unlock(&lock);
}

static void end_progress(void) {
  if (!progress.active) return;
  if (progress.shown != progress.done || (progress.terminal && !progress.drawn))
    show_line(wl_seconds());
  if (progress.terminal) fputc('\n', stderr);
  memset(&progress, 0, sizeof progress);
}

void wl_log_progress_end(void) {
  pthread_mutex_lock(&lock);
  end_progress();
  pthread_mutex_unlock(&lock);
}
