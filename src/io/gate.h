/* gate.h - what an HDF5 file must be before anything of it is read: files are input, and may be hostile.
 *
 * Every reader in this folder opens files and datasets through these functions alone. They refuse links
 * other than hard ones, objects with more than one link, what is neither group nor dataset, storage in other
 * files, other types, ranks and sizes than can be, and data that the file does not hold. */
#ifndef WL_IO_GATE_H
#define WL_IO_GATE_H

#include "io/atomic_file.h"
#include "io/h5_support.h"

/* A dataset that has passed. */
typedef struct wl_stored {
  wl_field field; /* name, type, shape */
  bool half;
  hid_t id; /* closed by the caller */
} wl_stored;

/* Opens a regular file for reading. WL_ERR_NO_INPUT, WL_ERR_PERMISSION, WL_ERR_DATA. */
wl_status wl_gate_open_file(const char *path, hid_t *file);
/* Sorted paths of all datasets, "a/b/name"; scales that only name a dimension are left out. `virtual`: all
 * of them are taken for virtual datasets, which are listed and never opened. */
wl_status wl_gate_list(const char *path, hid_t file, bool virtual, wl_names *datasets);
/* Opens a dataset of Warploom's own; `chunked`: chunks are allowed. */
wl_status wl_gate_open_dataset(const char *path, hid_t file, const char *name, bool chunked,
                               wl_stored *out);
/* Opens a dataset of integers that another program wrote, of field->ndim dimensions. */
wl_status wl_gate_open_integers(const char *path, hid_t file, const char *name, int ndim,
                                wl_stored *out);

#endif
