/* executable_dir.h - where this program lies, to find what was installed beside it. */
#ifndef WL_CLI_EXECUTABLE_DIR_H
#define WL_CLI_EXECUTABLE_DIR_H

#include <stddef.h>

#include "base/status.h"

/* The folder of this binary. */
wl_status wl_executable_dir(char *folder, size_t size);

#endif
