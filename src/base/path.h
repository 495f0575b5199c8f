/* path.h - folders, equal paths, and whether a command may write to a path. */
#ifndef WL_BASE_PATH_H
#define WL_BASE_PATH_H

#include <stdbool.h>

#include "base/status.h"

/* Returns whether the path is an existing folder. */
bool wl_is_directory(const char *path);
/* Returns whether both paths exist and lead to the same file, even under different names. */
bool wl_same_file(const char *a, const char *b);
/* Returns whether both paths name the same file; the file need not exist. */
bool wl_same_path(const char *a, const char *b);

/* Checks that a command that reads `input` (NULL: nothing) may write `output`. Refuses the input itself, a run
 * directory other than the input's, and every file of the input's run except `own` (NULL: no exception), which is the
 * command's output file. WL_ERR_CANNOT_CREATE. Not collective. */
wl_status wl_check_output(const char *output, const char *input, const char *own);

/* Checks that a run may use the folder `output`, which must not be a part of another run, such as its checkpoints.
 * WL_ERR_CANNOT_CREATE. Not collective. */
wl_status wl_check_run_folder(const char *output);

#endif
