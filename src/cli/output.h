/* output.h - files that a command writes: never onto what it reads, nor onto a file of a run. */
#ifndef WL_CLI_OUTPUT_H
#define WL_CLI_OUTPUT_H

#include "base/status.h"

/* Refuses `path` (NULL or "-": nothing to refuse), the value of `option`, where it is `input` itself, a folder, or a file that
 * a run directory holds, other than its evaluations, pictures and reports. WL_ERR_CANNOT_CREATE. */
wl_status wl_output_check(const char *option, const char *path, const char *input);

#endif
