/* float64_program.h - executes the float64 build of this program. */
#ifndef WL_CLI_FLOAT64_PROGRAM_H
#define WL_CLI_FLOAT64_PROGRAM_H

#include <stdbool.h>

#include "base/status.h"

/* Returns true if warploom64 exists next to this program or in the folder libexec. path [PATH_MAX] receives its
 * path. */
bool wl_float64_program_find(char *path);

/* Replaces this process by warploom64 with the same arguments. Returns only if this fails. Call this function before
 * MPI starts. */
wl_status wl_float64_program_execute(char **argv);

#endif
