/* path.h - compares paths, and checks whether a command may write to a path. */
#ifndef WL_BASE_PATH_H
#define WL_BASE_PATH_H

#include <stdbool.h>

#include "base/status.h"

/* Returns true if the path is an existing folder. */
bool wl_is_directory(const char *path);
/* Returns true if the folder has an entry of that name, even a link without a target. */
bool wl_is_there(const char *folder, const char *name);
/* Returns true if both paths exist and are the same file, even if their names differ. */
bool wl_same_file(const char *a, const char *b);
/* Returns true if both paths name the same file. The file need not exist. */
bool wl_same_path(const char *a, const char *b);

/* Checks that a command that reads `input` (NULL: nothing) may write `output`. Returns WL_ERR_CANNOT_CREATE if the
 * output is the input, is in the directory of another run, or is a file of the input's run. The file `own` of the
 * input's run is allowed, because it is the command's output file (NULL: no such file). Not collective. */
wl_status wl_check_output(const char *output, const char *input, const char *own);

/* Checks that a run may use the folder `output`. Returns WL_ERR_CANNOT_CREATE if the folder is a part of another run,
 * for example its folder of checkpoints. Not collective. */
wl_status wl_check_run_folder(const char *output);

/* Checks that an HDF5 file may be written to `path`. The path must have no file, an empty file or an HDF5 file. Any
 * other file is refused with WL_ERR_CANNOT_CREATE, because the name may be a mistake, for example the name of a
 * configuration. */
wl_status wl_check_replaceable(const char *path);

#endif
