/* shared.h - read-only data that the tasks of a process share: one object for each key, counted by
 * users and freed with the last. Thread-safe. Private to src/task. */
#ifndef WL_TASK_SHARED_H
#define WL_TASK_SHARED_H

#include "base/status.h"

/* How to make and free one kind of object. `make` fills *object, also when it fails: what it has set
 * is then freed. `request` is what the caller of open passed. */
typedef struct wl_shared_kind {
  const char *name; /* tells the keys of one kind from those of another */
  wl_status (*make)(const void *request, void **object);
  void (*destroy)(void *object);
} wl_shared_kind;

/* The object of that key, made when nobody holds it. The caller gives it back with close. */
wl_status wl_shared_open(const wl_shared_kind *kind, const char *key, const void *request,
                         const void **out);
void wl_shared_close(const void *object);

#endif
