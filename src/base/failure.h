/* failure.h - stores a failure. A function can return the failure later: after other calls, or in another thread.
 *
 * Each thread has one last error, and the next failure replaces this error. A status that is stored without its message
 * could therefore be reported with the message of another failure. */
#ifndef WL_BASE_FAILURE_H
#define WL_BASE_FAILURE_H

#include "base/status.h"

typedef struct wl_failure { /* zeroed: none */
  wl_status code;
  char message[4096];
} wl_failure;

/* Stores `status` and this thread's last error, unless `status` is WL_OK. Of several failures only the first is
 * stored. */
void wl_failure_keep(wl_failure *failure, wl_status status);
/* Returns and clears the stored status. The stored message becomes the calling thread's last error. Returns WL_OK if no
 * failure is stored. */
wl_status wl_failure_raise(wl_failure *failure);

#endif
