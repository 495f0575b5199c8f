/* layout.h - named tensors, one after the other in one flat vector.
 *
 * The inner parameters theta of a task and the meta-parameters phi use this form. */
#ifndef WL_BASE_LAYOUT_H
#define WL_BASE_LAYOUT_H

#include "base/status.h"

enum { WL_MAX_DIMS = 4, WL_NAME_SIZE = 64 };

typedef struct wl_tensor_entry {
  char name[WL_NAME_SIZE];  /* e.g. "lstm1.weight", unique in its layout */
  char group[WL_NAME_SIZE]; /* "rule", "precondition", "warp", "initialisation"; "" for theta */
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  int64_t offset; /* first element in the flat vector */
  int64_t size;   /* number of elements */
} wl_tensor_entry;

typedef struct wl_layout {
  int count, capacity;
  wl_tensor_entry *tensors; /* [count], by ascending offset */
  int64_t size;     /* number of elements of all tensors, without padding */
} wl_layout;

/* Appends a tensor. *offset receives the position of the tensor's first element; `offset` may be NULL. Returns
 * WL_ERR_SOFTWARE if the name exists or the shape is impossible. A zeroed wl_layout is empty. */
wl_status wl_layout_add(wl_layout *layout, const char *group, const char *name, int ndim,
                        const int64_t *shape, int64_t *offset);
/* Returns the tensor of that name, or NULL if there is no such tensor. The pointer is valid until the next tensor is
 * added. */
const wl_tensor_entry *wl_layout_find(const wl_layout *layout, const char *name);
/* Appends copies of all tensors of `from` with shifted offsets. *offset receives the position of the first copy. */
wl_status wl_layout_append(wl_layout *layout, const wl_layout *from, int64_t *offset);
void wl_layout_clear(wl_layout *layout);

#endif
