/* gate.h - checks the structure of HDF5 files before they are read: files are untrusted input.
 *
 * Every reader in this folder opens files and datasets through these functions alone. These functions refuse links
 * other than hard links, objects with several links, objects other than groups and datasets, data in other files,
 * impossible types, ranks and sizes, and data beyond the end of the file. */
#ifndef WL_IO_GATE_H
#define WL_IO_GATE_H

#include "io/atomic_file.h"
#include "io/h5_support.h"

/* A dataset that passed the checks. */
typedef struct wl_stored {
  wl_field field; /* name, type, half, shape */
  hid_t id; /* closed by the caller */
} wl_stored;

/* Opens a regular file for reading. WL_ERR_NO_INPUT, WL_ERR_PERMISSION, WL_ERR_DATA. */
wl_status wl_gate_open_file(const char *path, hid_t *file);
/* Checks that an HDF5 file may be written to `path`, where there must be no file, an empty file or another HDF5 file.
 * Other files are refused, because the name may be a mistake, such as the name of a configuration.
 * WL_ERR_CANNOT_CREATE. */
wl_status wl_gate_may_replace(const char *path);
/* Lists the paths of all datasets, "a/b/name", sorted. Scales that only name a dimension are left out. `virtual`: all
 * datasets are assumed to be virtual, and are listed without being opened. */
wl_status wl_gate_list(const char *path, hid_t file, bool virtual, wl_names *datasets);
/* Opens a dataset that Warploom wrote. `chunked`: the dataset may have chunks. */
wl_status wl_gate_open_dataset(const char *path, hid_t file, const char *name, bool chunked,
                               wl_stored *out);
/* Opens a dataset of integers that another program wrote, of field->ndim dimensions. */
wl_status wl_gate_open_integers(const char *path, hid_t file, const char *name, int ndim,
                                wl_stored *out);

#endif
