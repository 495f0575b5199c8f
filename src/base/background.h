/* background.h - runs a function in a background thread while the caller continues.
 *
 * The data that the function reads must not change until wl_background_wait has returned. The caller must not use HDF5
 * between wl_background_start and wl_background_wait, because the HDF5 library may not be thread-safe. The thread
 * blocks all signals. If no thread can be created, wl_background_start calls the function in the calling thread. */
#ifndef WL_BASE_BACKGROUND_H
#define WL_BASE_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/failure.h"

typedef struct wl_background { /* A zeroed structure means that no work was started. */
  wl_status (*work)(void *data);
  void *data;
  pthread_t thread;
  bool threaded; /* true: a thread was created and has not been joined */
  atomic_bool busy;
  wl_failure failure; /* first failure that wl_background_wait has not returned yet */
  double seconds;     /* wall time of all work so far, in seconds */
} wl_background;

/* Starts work(data) in a background thread. The caller must first wait for the end of any earlier
 * work. */
void wl_background_start(wl_background *background, wl_status (*work)(void *data), void *data);
/* Returns true if the function `work` is still running. The function does not wait. */
bool wl_background_is_busy(wl_background *background);
/* Waits for the work and returns the status of the work. If the work failed, the message of the
 * failure becomes the caller's last error. Returns WL_OK if no work was started since the last
 * call. */
wl_status wl_background_wait(wl_background *background);
/* Waits for the work and ignores the status of the work. The caller's last error is unchanged. This
 * function is for clean-up after another failure. */
void wl_background_drop(wl_background *background);

#endif
