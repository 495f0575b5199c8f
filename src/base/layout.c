/* layout.c - adds named tensors to a layout, and finds the tensors of a layout by their names. */
#include "base/layout.h"

#include <string.h>

/* Returns the product of the shape, or -1 if a size is not positive or the product overflows. */
static int64_t shape_size(int ndim, const int64_t *shape) {
  int64_t size = 1;
  for (int d = 0; d < ndim; ++d)
    if (shape[d] <= 0 || __builtin_mul_overflow(size, shape[d], &size)) return -1;
  return size;
}

wl_status wl_layout_add(wl_layout *layout, const char *group, const char *name, int ndim,
                        const int64_t *shape, int64_t *offset) {
  if (strlen(name) >= WL_NAME_SIZE || strlen(group) >= WL_NAME_SIZE || name[0] == '\0')
    return WL_FAIL(WL_ERR_SOFTWARE,
                   "tensor '%s' of group '%s': the name of the tensor and the name of the group "
                   "must have at most %d characters, and the tensor must have a name", name, group,
                   WL_NAME_SIZE - 1);
  if (wl_layout_find(layout, name))
    return WL_FAIL(WL_ERR_SOFTWARE, "tensor '%s' is already in the layout; give each tensor a "
                                    "different name", name);
  if (ndim < 0 || ndim > WL_MAX_DIMS)
    return WL_FAIL(WL_ERR_SOFTWARE, "tensor '%s' has %d dimensions, but at most %d are possible",
                   name, ndim, WL_MAX_DIMS);
  const int64_t size = shape_size(ndim, shape);
  int64_t end = 0;
  if (size < 0 || __builtin_add_overflow(layout->size, size, &end))
    return WL_FAIL(WL_ERR_SOFTWARE, "the shape of tensor '%s' has a size below 1, or the tensor is "
                                    "too large",
                   name);

  WL_TRY(WL_GROW(layout->tensors, layout->count, layout->capacity));
  wl_tensor_entry *const block = &layout->tensors[layout->count++];
  *block = (wl_tensor_entry){.ndim = ndim, .offset = layout->size, .size = size};
  memcpy(block->name, name, strlen(name) + 1);
  memcpy(block->group, group, strlen(group) + 1);
  for (int d = 0; d < ndim; ++d) block->shape[d] = shape[d];
  if (offset) *offset = layout->size;
  layout->size = end;
  return WL_OK;
}

const wl_tensor_entry *wl_layout_find(const wl_layout *layout, const char *name) {
  for (int i = 0; i < layout->count; ++i)
    if (strcmp(layout->tensors[i].name, name) == 0) return &layout->tensors[i];
  return NULL;
}

wl_status wl_layout_append(wl_layout *layout, const wl_layout *from, int64_t *offset) {
  const int count = layout->count;
  const int64_t size = layout->size;
  for (int i = 0; i < from->count; ++i) {
    const wl_tensor_entry *const block = &from->tensors[i];
    const wl_status status =
        wl_layout_add(layout, block->group, block->name, block->ndim, block->shape, NULL);
    /* if a tensor cannot be added, all tensors that this call has added are removed again */
    if (status != WL_OK) {
      layout->count = count;
      layout->size = size;
      return status;
    }
  }
  if (offset) *offset = size;
  return WL_OK;
}

void wl_layout_clear(wl_layout *layout) {
  wl_free(layout->tensors);
  *layout = (wl_layout){0};
}
