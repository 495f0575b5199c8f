/* log.h - prints messages on stderr. Every rank prints errors, but only rank 0 prints other
 * messages. */
#ifndef WL_BASE_LOG_H
#define WL_BASE_LOG_H

#include <stdbool.h>

/* Sets the rank of this process. `quiet` is true if the option --quiet was given. The program calls
 * this function once at its start. */
void wl_log_setup(int rank, bool quiet);
void wl_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void wl_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints a line that starts with "warploom: error: ", on every rank that calls this function. */
void wl_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Shows progress. On a terminal, progress is one line that is overwritten. If stderr is not a
 * terminal, a separate line is printed at most every half minute. This function may be called with
 * any frequency. The line shows the step `done` of `total`, the steps per second, the remaining
 * time, and then `text`. */
void wl_log_progress(const char *what, long done, long total, const char *text);
void wl_log_progress_end(void);

#endif
