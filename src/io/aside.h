/* aside.h - work done by a thread of its own while the caller goes on.
 *
 * What the work reads must stay as it is until wl_aside_wait has returned. HDF5 belongs to the work
 * from start to wait, or to the caller, never to both: the library may have no locks of its own. The
 * thread takes no signals. Where no thread can be had the caller does the work itself, at the start. */
#ifndef WL_IO_ASIDE_H
#define WL_IO_ASIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/failure.h"

typedef struct wl_aside { /* zeroed: nothing is under way */
  wl_status (*work)(void *data);
  void *data;
  pthread_t thread;
  bool threaded; /* there is a thread to be joined */
  atomic_bool busy;
  wl_failure failure; /* what came of it */
  double seconds;     /* that all work so far has taken */
} wl_aside;

/* Starts work(data); the work before it must have been waited for. */
void wl_aside_start(wl_aside *aside, wl_status (*work)(void *data), void *data);
/* The same without a thread: returns when the work is done, and is followed by wl_aside_wait too. */
void wl_aside_run(wl_aside *aside, wl_status (*work)(void *data), void *data);
/* Whether work is under way; does not wait. */
bool wl_aside_is_busy(wl_aside *aside);
/* Waits for the work and returns what came of it, its message as the caller's last error; WL_OK when
 * there was none since the last call. */
wl_status wl_aside_wait(wl_aside *aside);
/* Waits and forgets what came of it; the caller's last error stays: for clean-up after another failure. */
void wl_aside_drop(wl_aside *aside);

#endif
