/* background.h - work done by one further thread while the caller continues.
 *
 * What the work reads must not change until wl_background_wait has returned. HDF5 belongs to the work from
 * start to wait, or to the caller, never to both: the library may have no locks. The thread takes no
 * signals. Where no thread can be made the caller does the work itself, at the start. */
#ifndef WL_IO_BACKGROUND_H
#define WL_IO_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/failure.h"

typedef struct wl_background { /* zeroed: nothing is under way */
  wl_status (*work)(void *data);
  void *data;
  pthread_t thread;
  bool threaded; /* there is a thread to be joined */
  atomic_bool busy;
  wl_failure failure; /* of the work */
  double seconds;     /* that all work so far has taken */
} wl_background;

/* Starts work(data); the work before it must have been waited for. */
void wl_background_start(wl_background *background, wl_status (*work)(void *data), void *data);
/* Whether work is under way; does not wait. */
bool wl_background_is_busy(wl_background *background);
/* Waits for the work and returns its status, its message as the caller's last error; WL_OK when there was
 * none since the last call. */
wl_status wl_background_wait(wl_background *background);
/* Waits and forgets the status; the caller's last error stays: for clean-up after another failure. */
void wl_background_drop(wl_background *background);

#endif
