/* failure.h - a failure that is raised later than it arose: after other calls, or in another thread.
 *
 * The last error is each thread's own and any further failure replaces it, so that a status kept alone would
 * come up with somebody else's message. */
#ifndef WL_BASE_FAILURE_H
#define WL_BASE_FAILURE_H

#include "base/status.h"

typedef struct wl_failure { /* zeroed: none */
  wl_status code;
  char message[4096];
} wl_failure;

/* Keeps `status`, unless it is WL_OK, with this thread's last error. The first of several failures stays. */
void wl_failure_keep(wl_failure *failure, wl_status status);
/* Returns what was kept, its message as the caller's last error, and keeps it no longer; WL_OK for none. */
wl_status wl_failure_raise(wl_failure *failure);

#endif
