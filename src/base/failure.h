/* failure.h - stores an error status and its message, so that the status and the message can be
 * returned later, after other calls or in another thread.
 *
 * Each thread stores the message of its last error only, and the next failure replaces this
 * message. If only the status were stored, the status could be reported with the message of another
 * failure. */
#ifndef WL_BASE_FAILURE_H
#define WL_BASE_FAILURE_H

#include "base/status.h"

typedef struct wl_failure { /* A zeroed structure means that no failure is stored. */
  wl_status code;
  char message[4096];
} wl_failure;

/* Stores `status` and this thread's last error message. Does nothing if `status` is WL_OK or if an
 * earlier failure is stored. */
void wl_failure_keep(wl_failure *failure, wl_status status);
/* Returns and clears the stored status. The stored message becomes the calling thread's last error. Returns WL_OK if no
 * failure is stored. */
wl_status wl_failure_raise(wl_failure *failure);

#endif
