/* log.h - messages for people, on stderr; rank 0 speaks, errors excepted. */
#ifndef WL_BASE_LOG_H
#define WL_BASE_LOG_H

#include <stdbool.h>

/* Set once by the command line: the rank of this process (rank != 0 is silent except for
 * wl_log_error) and whether to be quiet. */
void wl_log_setup(int rank, bool quiet);
void wl_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void wl_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "warploom: error: ...", on any rank. */
void wl_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Progress: on a terminal one line that redraws, elsewhere a plain line now and then
 * (at most one in half a minute). Call as often as you like. `text` is shown after
 * "done/total  rate  time left". */
void wl_log_progress(const char *what, long done, long total, const char *text);
void wl_log_progress_end(void);

#endif
