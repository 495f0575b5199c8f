/* path.h - compares paths, and checks whether a command may write to a path. */
#ifndef WL_BASE_PATH_H
#define WL_BASE_PATH_H

#include <stdbool.h>

#include "base/atomic_file.h"
#include "base/status.h"

/* Returns true if the path is an existing folder. */
bool wl_is_directory(const char *path);
/* Returns true if the folder contains an entry with this name. A symbolic link is an entry even if
 * its target does not exist. */
bool wl_is_there(const char *folder, const char *name);
/* Returns true if both paths exist and are the same file, even if their names differ. */
bool wl_same_file(const char *a, const char *b);
/* Returns true if both paths name the same file. The file need not exist. */
bool wl_same_path(const char *a, const char *b);

/* Checks that a command may write the file `output`. The command reads the file or run `input`.
 * `input` is NULL if the command reads no input. Returns WL_ERR_CANNOT_CREATE in three cases:
 * `output` is the file or run `input` itself; `output` is in the directory of another run; or
 * `output` is a file that a training wrote into the directory of the run `input`. A command that
 * replaces one file of that run passes the name of the file as `own`; for other commands, `own` is
 * NULL. Not collective. */
wl_status wl_check_output(const char *output, const char *input, const char *own);

/* Checks that a run may use the folder `output`. Returns WL_ERR_CANNOT_CREATE if this folder is a
 * part of another run, for example the folder `checkpoints` of that run. Not collective. */
wl_status wl_check_run_folder(const char *output);

/* Checks that an HDF5 file may be written to `path`. A file that exists must be empty or an HDF5
 * file. For any other file the function returns WL_ERR_CANNOT_CREATE, because the user may have
 * given the name of a configuration by mistake. */
wl_status wl_check_replaceable(const char *path);

/* Checks, before a long computation, that a file can be written later. `renamed` is true if the file
 * is written under another name in the same folder and then renamed, or if an existing file is first
 * renamed. `option` is the option that gives the path. Returns WL_ERR_CANNOT_CREATE or
 * WL_ERR_PERMISSION. Not collective. */
wl_status wl_check_writable(const char *option, const char *path, bool renamed);

/* Renames the file NAME.END to NAME-previous-N.END, with the lowest N for which no such file exists.
 * Writes the new name to `kept`. Returns WL_ERR_CANNOT_CREATE if `path` is not a regular file or
 * cannot be renamed. */
wl_status wl_keep_previous(const char *path, char kept[WL_PATH_MAX]);

#endif
