/* background.h - work done by one further thread while the caller continues.
 *
 * The data that the work reads must not change until wl_background_wait has returned. The caller must not use HDF5
 * between start and wait, because the library may have no locks. The thread blocks all signals. If no thread can be
 * created, start runs the work in the calling thread. */
#ifndef WL_IO_BACKGROUND_H
#define WL_IO_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/failure.h"

typedef struct wl_background { /* zeroed: no work */
  wl_status (*work)(void *data);
  void *data;
  pthread_t thread;
  bool threaded; /* a thread must be joined */
  atomic_bool busy;
  wl_failure failure; /* of the work */
  double seconds;     /* taken by all work so far */
} wl_background;

/* Starts work(data); the work before it must have been waited for. */
void wl_background_start(wl_background *background, wl_status (*work)(void *data), void *data);
/* Whether work is running; does not wait. */
bool wl_background_is_busy(wl_background *background);
/* Waits for the work and returns its status, its message as the caller's last error; WL_OK when there was
 * none since the last call. */
wl_status wl_background_wait(wl_background *background);
/* Waits and forgets the status; the caller's last error stays: for clean-up after another failure. */
void wl_background_drop(wl_background *background);

#endif
