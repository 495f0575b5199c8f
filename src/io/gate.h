/* gate.h - checks the structure of HDF5 files before they are read, because files are untrusted input.
 *
 * Every reader in this folder opens files and datasets only through these functions. The functions accept only groups
 * and datasets, each with one hard link. The functions refuse data in other files, data beyond the end of the file, and
 * impossible types, ranks and sizes. */
#ifndef WL_IO_GATE_H
#define WL_IO_GATE_H

#include "base/atomic_file.h"
#include "io/h5_support.h"

/* A dataset that passed the checks. */
typedef struct wl_stored {
  wl_field field; /* name, type, half, shape */
  hid_t id; /* closed by the caller */
} wl_stored;

/* Opens a regular file for reading. Errors: WL_ERR_NO_INPUT, WL_ERR_PERMISSION, WL_ERR_DATA. */
wl_status wl_gate_open_file(const char *path, hid_t *file);
/* Lists the paths of all datasets, for example "a/b/name", in sorted order. Omits scales that only name a dimension.
 * With `virtual`, all datasets are assumed to be virtual, and the function does not open them. */
wl_status wl_gate_list(const char *path, hid_t file, bool virtual, wl_names *datasets);
enum { WL_OWN_TYPES = -1 };
/* Opens a dataset. `chunked`: the dataset may have chunks. `integers`: the dataset must contain integers in this many
 * dimensions; WL_OWN_TYPES: it must have a type that Warploom writes. */
wl_status wl_gate_open_dataset(const char *path, hid_t file, const char *name, bool chunked,
                               int integers, wl_stored *out);

#endif
