/* describe.h - describes the content of a file or a run directory, for `warploom info`. */
#ifndef WL_IO_DESCRIBE_H
#define WL_IO_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* Describes any Warploom file, or a run directory: kind, attributes, datasets with type, shape and units,
 * checkpoints. `verify` also reads every dataset back and requires that HDF5 can, for a run directory or a
 * trajectory in all its files, and requires all files that it names.
 *
 * WL_ERR_DATA when something is damaged; *out then describes the rest ("problems" names the damage). The caller owns
 * *out (json_decref). It is NULL, with WL_ERR_NO_INPUT, if the path does not exist.
 * A run with a damaged checkpoint is WL_OK without `verify`. Not collective. */
wl_status wl_describe(const char *path, bool verify, json_t **out);

/* The version of the HDF5 library in use, "1.10.8". */
const char *wl_describe_hdf5(void);

#endif
