/* layout.h - describes how named tensors are stored one after the other in a flat vector.
 *
 * The inner parameters theta of a task and the meta-parameters phi are such vectors. */
#ifndef WL_BASE_LAYOUT_H
#define WL_BASE_LAYOUT_H

#include "base/status.h"

enum { WL_MAX_DIMS = 4, WL_NAME_SIZE = 64 };

typedef struct wl_tensor_entry {
  char name[WL_NAME_SIZE];  /* name such as "lstm1.weight"; a layout contains each name once */
  /* group of the tensor: "rule", "precondition", "warp" or "initialisation" for a tensor of phi,
   * and "" for a tensor of theta */
  char group[WL_NAME_SIZE];
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  int64_t offset; /* index of the tensor's first element in the flat vector */
  int64_t size;   /* number of elements of the tensor */
} wl_tensor_entry;

typedef struct wl_layout {
  int count, capacity;
  wl_tensor_entry *tensors; /* array of `count` tensors, in the order of their offsets */
  int64_t size;     /* number of elements of all tensors, which are stored without padding */
} wl_layout;

/* Appends a tensor. If `offset` is not NULL, *offset receives the index of the tensor's first
 * element. Returns WL_ERR_SOFTWARE if the layout already has a tensor of that name, or if the name
 * or the shape is not valid. A zeroed wl_layout is empty. */
wl_status wl_layout_add(wl_layout *layout, const char *group, const char *name, int ndim,
                        const int64_t *shape, int64_t *offset);
/* Returns the tensor with this name, or NULL if there is no such tensor. The pointer is valid until
 * the next tensor is added. */
const wl_tensor_entry *wl_layout_find(const wl_layout *layout, const char *name);
/* Appends a copy of each tensor of `from`. If `offset` is not NULL, *offset receives the index of
 * the first copy's first element. */
wl_status wl_layout_append(wl_layout *layout, const wl_layout *from, int64_t *offset);
void wl_layout_clear(wl_layout *layout);

#endif
