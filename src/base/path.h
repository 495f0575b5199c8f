/* path.h - what a path leads to, and whether a command may write there. */
#ifndef WL_BASE_PATH_H
#define WL_BASE_PATH_H

#include <stdbool.h>

#include "base/status.h"

/* A folder that is there. */
bool wl_is_directory(const char *path);
/* Both are there, and the same, by whatever names. */
bool wl_same_file(const char *a, const char *b);

/* Whether a command that reads `input` (NULL: nothing) may write `output`: not onto the input, not into a
 * run directory that is not the input's, and there not onto what belongs to the run but `own` (NULL:
 * none), the file that the command itself makes. WL_ERR_CANNOT_CREATE. Not collective. */
wl_status wl_check_output(const char *output, const char *input, const char *own);

#endif
