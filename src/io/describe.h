/* describe.h - what is in a file or a run directory, for `warploom info`. */
#ifndef WL_IO_DESCRIBE_H
#define WL_IO_DESCRIBE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* Describes any Warploom file, or a run directory: kind, attributes, datasets with type, shape and units,
 * checkpoints. `verify` also reads every dataset back and compares it with its checksum, in a run
 * directory and for a trajectory those of all files that belong to it, and asks for those that are named.
 *
 * WL_ERR_DATA when something is damaged; *out then still describes the rest ("problems" names the
 * damage). *out is owned by the caller (json_decref), NULL when nothing is there: WL_ERR_NO_INPUT.
 * A run with a damaged checkpoint is WL_OK without `verify`. Not collective. */
wl_status wl_describe(const char *path, bool verify, json_t **out);

#endif
