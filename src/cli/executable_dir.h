/* executable_dir.h - finds the folder of this program, so that the program finds the files
 * installed next to it. */
#ifndef WL_CLI_EXECUTABLE_DIR_H
#define WL_CLI_EXECUTABLE_DIR_H

#include <stddef.h>

#include "base/status.h"

/* Writes the folder that contains this program to folder [size]. Returns WL_ERR_OS if the operating
 * system does not report the path. */
wl_status wl_executable_dir(char *folder, size_t size);

#endif
