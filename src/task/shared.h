/* shared.h - read-only data that the tasks of a process share. Each key has one object with a reference count. The last
 * user frees the object. Thread-safe. Private to src/task. */
#ifndef WL_TASK_SHARED_H
#define WL_TASK_SHARED_H

#include "base/status.h"

/* The functions that create and free one kind of object. `request` is the argument of wl_shared_open. `make` sets
 * *object even if it fails; the incomplete object is then freed. */
typedef struct wl_shared_kind {
  const char *name; /* distinguishes the keys of different kinds */
  wl_status (*make)(const void *request, void **object);
  void (*destroy)(void *object);
} wl_shared_kind;

/* Returns the object of that key. Creates the object if it is not open. The caller releases the object with
 * wl_shared_close. */
wl_status wl_shared_open(const wl_shared_kind *kind, const char *key, const void *request,
                         const void **out);
void wl_shared_close(const void *object);

#endif
