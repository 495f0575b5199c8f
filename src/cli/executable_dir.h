/* executable_dir.h - finds the folder of this program, from which the program finds its other
 * installed files. */
#ifndef WL_CLI_EXECUTABLE_DIR_H
#define WL_CLI_EXECUTABLE_DIR_H

#include <stddef.h>

#include "base/status.h"

/* Writes the folder that contains this program to folder [size]. Returns WL_ERR_OS if the operating
 * system does not report the path. */
wl_status wl_executable_dir(char *folder, size_t size);

#endif
