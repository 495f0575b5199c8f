/* shared.h - manages data that the tasks of a process share and do not change. There is one object for each key, and
 * the object is freed when its last user closes it. Thread-safe. Only files of src/task include this header. */
#ifndef WL_TASK_SHARED_H
#define WL_TASK_SHARED_H

#include "base/status.h"

/* The functions that create and free one kind of object. `request` is the argument of
 * wl_shared_open. `make` may set *object and then fail, and the incomplete object is freed by
 * `destroy`. */
typedef struct wl_shared_kind {
  const char *name; /* name that distinguishes objects of different kinds with the same key */
  wl_status (*make)(const void *request, void **object);
  void (*destroy)(void *object);
} wl_shared_kind;

/* Sets *out to the object of this key. Creates the object if it is not open. The caller releases
 * the object with wl_shared_close. */
wl_status wl_shared_open(const wl_shared_kind *kind, const char *key, const void *request,
                         const void **out);
void wl_shared_close(const void *object);

#endif
