/* float64_program.h - finds and executes warploom64, which is this program compiled for float64. */
#ifndef WL_CLI_FLOAT64_PROGRAM_H
#define WL_CLI_FLOAT64_PROGRAM_H

#include <stdbool.h>

#include "base/status.h"

/* Returns true if warploom64 exists in the folder of this program or in the folder libexec of the
 * installation. Writes the path of warploom64 to path [PATH_MAX]. */
bool wl_float64_program_find(char *path);

/* Replaces this process by warploom64 with the same arguments. Returns only if warploom64 cannot be
 * executed. The caller must not have started MPI. */
wl_status wl_float64_program_execute(char **argv);

#endif
