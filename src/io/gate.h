/* gate.h - checks the structure of HDF5 files before they are read, because files are untrusted input.
 *
 * Every reader in this folder opens files and datasets only through the functions of this header.
 * The functions accept only groups and datasets, and each of these objects must have exactly one
 * hard link. The functions return an error if data is in another file or beyond the end of the
 * file. The functions also return an error for an impossible type, number of dimensions or size. */
#ifndef WL_IO_GATE_H
#define WL_IO_GATE_H

#include "base/atomic_file.h"
#include "io/h5_support.h"

/* Describes an open dataset that passed the checks. */
typedef struct wl_stored {
  wl_field field; /* the name, the type, the precision and the shape of the dataset */
  hid_t id; /* HDF5 identifier, which the caller closes */
} wl_stored;

/* Opens the HDF5 content of a regular file for reading. Errors: WL_ERR_NO_INPUT, WL_ERR_PERMISSION,
 * WL_ERR_DATA. */
wl_status wl_gate_open_file(const char *path, hid_t *file);
/* Lists the paths of all datasets, for example "a/b/name", in sorted order. Dimension scales
 * without coordinates are not listed. If `virtual` is true, the function assumes that all datasets
 * are virtual, and does not open them. */
wl_status wl_gate_list(const char *path, hid_t file, bool virtual, wl_names *datasets);
enum { WL_OWN_TYPES = -1 };
/* Checks and opens a dataset. If `chunked` is true, the dataset may have chunks. If `integers` is
 * WL_OWN_TYPES, the dataset must have a type that Warploom writes. Any other value of `integers` is
 * a number of dimensions: the dataset must contain integers and must have this number of
 * dimensions. */
wl_status wl_gate_open_dataset(const char *path, hid_t file, const char *name, bool chunked,
                               int integers, wl_stored *out);

#endif
