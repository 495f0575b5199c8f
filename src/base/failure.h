/* failure.h - keeps a failure so that a function can return it later: after other calls, or in another thread.
 *
 * Each thread has one last error, which the next failure replaces. A status that is kept without its message would be
 * reported with the message of another failure. */
#ifndef WL_BASE_FAILURE_H
#define WL_BASE_FAILURE_H

#include "base/status.h"

typedef struct wl_failure { /* zeroed: none */
  wl_status code;
  char message[4096];
} wl_failure;

/* Keeps `status` and this thread's last error, unless `status` is WL_OK. Only the first of several failures is kept. */
void wl_failure_keep(wl_failure *failure, wl_status status);
/* Returns and clears the kept status, and makes the kept message the calling thread's last error. Returns WL_OK if no
 * failure is kept. */
wl_status wl_failure_raise(wl_failure *failure);

#endif
