/* tool.h - Warploom's Python tools: tools/NAME.py. */
#ifndef WL_CLI_TOOL_H
#define WL_CLI_TOOL_H

#include <stdbool.h>

#include "base/status.h"

/* Finds tools/FILE in the source tree or the installation. Returns false if there is none. path [PATH_MAX] receives its
 * path. */
bool wl_tool_find(const char *file, char *path);
/* Returns the names of all tools, separated by spaces. */
const char *wl_tool_names(void);
/* Returns true if `warploom NAME` is a tool. */
bool wl_tool_exists(const char *name);
/* Executes `python3 tools/NAME.py ARGUMENT...` in this process, with argv = {NAME, ARGUMENT..., NULL}. The environment
 * variable WARPLOOM contains the path of this program. Returns only on failure: WL_ERR_USAGE if there are several
 * ranks, and WL_ERR_OS if there is no Python. */
wl_status wl_tool_execute(char **argv);

#endif
