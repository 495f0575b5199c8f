/* executable_dir.h - the folder of this program, to find files installed with it. */
#ifndef WL_CLI_EXECUTABLE_DIR_H
#define WL_CLI_EXECUTABLE_DIR_H

#include <stddef.h>

#include "base/status.h"

/* Finds the folder of this program, folder [size]. Returns WL_ERR_OS if the system does not report it. */
wl_status wl_executable_dir(char *folder, size_t size);

#endif
