/* shared.h - read-only data that the tasks of a process share: one object for each key, with a reference
 * count. The last user frees it. Thread-safe. Private to src/task. */
#ifndef WL_TASK_SHARED_H
#define WL_TASK_SHARED_H

#include "base/status.h"

/* The functions that create and free one kind of object. `request` is the argument of open. `make` sets *object even
 * if it fails; the incomplete object is then freed. */
typedef struct wl_shared_kind {
  const char *name; /* distinguishes the keys of different kinds */
  wl_status (*make)(const void *request, void **object);
  void (*destroy)(void *object);
} wl_shared_kind;

/* Returns the object of that key; creates it if it is not open. The caller releases it with close. */
wl_status wl_shared_open(const wl_shared_kind *kind, const char *key, const void *request,
                         const void **out);
void wl_shared_close(const void *object);

#endif
