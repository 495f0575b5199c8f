/* tool.h - finds and executes Warploom's Python tools, the files tools/NAME.py. */
#ifndef WL_CLI_TOOL_H
#define WL_CLI_TOOL_H

#include <stdbool.h>

#include "base/status.h"

/* Finds tools/`file` in the source tree or the installation, and writes its path to path
 * [PATH_MAX]. Returns false if the file does not exist. */
bool wl_tool_find(const char *file, char *path);
/* Returns the names of all tools, separated by spaces. */
const char *wl_tool_names(void);
/* Returns true if a Python tool has this name. */
bool wl_tool_exists(const char *name);
/* Replaces this process by `python3 tools/NAME.py ARGUMENT...`, where argv is {NAME, ARGUMENT...,
 * NULL}. The tool finds the path of this program in the environment variable WARPLOOM. Returns only
 * on failure: WL_ERR_USAGE if there are several ranks or too many arguments, and WL_ERR_OS if
 * Python cannot be executed. */
wl_status wl_tool_execute(char **argv);

#endif
