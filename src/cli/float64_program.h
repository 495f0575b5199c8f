/* float64_program.h - executes the float64 build of this program. */
#ifndef WL_CLI_FLOAT64_PROGRAM_H
#define WL_CLI_FLOAT64_PROGRAM_H

#include "base/status.h"

/* Replaces this process by warploom64, found next to this binary or in libexec, with the same arguments. Returns only
 * if that fails. Call it before MPI starts. */
wl_status wl_float64_program_execute(char **argv);

#endif
