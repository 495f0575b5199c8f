/* describe.h - describes the content of a file or a run directory, for `warploom info`. */
#ifndef WL_IO_DESCRIBE_H
#define WL_IO_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* Describes any Warploom file or run directory. The description has the kind, the attributes, the checkpoints, and the
 * datasets with type, shape and units. With `verify`, the function also reads every dataset through HDF5. For a run
 * directory or a trajectory, `verify` reads all files of the run and requires that all named files exist.
 *
 * Returns WL_ERR_DATA if a part is damaged. *out then describes the other parts, and "problems" names the damage. The
 * caller owns *out (json_decref). If the path does not exist, *out is NULL and WL_ERR_NO_INPUT is returned. Without
 * `verify`, the status of a run with a damaged checkpoint is WL_OK. Not collective. */
wl_status wl_describe(const char *path, bool verify, json_t **out);

#endif
