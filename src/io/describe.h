/* describe.h - describes the content of a file or a run directory, for `warploom info`. */
#ifndef WL_IO_DESCRIBE_H
#define WL_IO_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* Describes any Warploom file or run directory. The description of a file has the kind, the
 * attributes, and the datasets with their types, shapes and units. The description of a run has the
 * checkpoints and the trajectory. If `verify` is true, the function also reads every dataset
 * through HDF5. If `verify` is true for a run directory or a trajectory, the function reads all
 * files of the run, and a missing file that the index names is an error.
 *
 * Returns WL_ERR_DATA if data is damaged. After this error, *out describes the undamaged data, and
 * the list "problems" of *out names the damage. The caller frees *out with json_decref. If the path
 * does not exist, *out is NULL and the function returns WL_ERR_NO_INPUT. If `verify` is false, a
 * run with a damaged checkpoint is not an error. Not collective. */
wl_status wl_describe(const char *path, bool verify, json_t **out);

#endif
