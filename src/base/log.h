/* log.h - prints messages on stderr. Every rank prints errors; only rank 0 prints other messages. */
#ifndef WL_BASE_LOG_H
#define WL_BASE_LOG_H

#include <stdbool.h>

/* Sets the rank of this process. `quiet` is true if the option --quiet was given. This function is called once. */
void wl_log_setup(int rank, bool quiet);
void wl_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void wl_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints "warploom: error: ..." on any rank. */
void wl_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Shows progress. On a terminal, progress is one line that is overwritten. Elsewhere, a plain line is printed at most
 * every half minute. The caller may call this function at any rate. `text` is shown after "done/total rate time
 * left". */
void wl_log_progress(const char *what, long done, long total, const char *text);
void wl_log_progress_end(void);

#endif
