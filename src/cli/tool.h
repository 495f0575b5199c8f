/* tool.h - Warploom's Python tools: tools/NAME.py. */
#ifndef WL_CLI_TOOL_H
#define WL_CLI_TOOL_H

#include <stdbool.h>

#include "base/status.h"

/* The path of tools/FILE in the source tree or the installation; false when there is none. path [PATH_MAX]. */
bool wl_tool_find(const char *file, char *path);
/* The names of all tools, separated by spaces. */
const char *wl_tool_names(void);
/* Whether `warploom NAME` is a tool. */
bool wl_tool_exists(const char *name);
/* Executes `python3 tools/NAME.py ARGUMENT...` in this process, for argv = {NAME, ARGUMENT..., NULL}. The variable
 * WARPLOOM names this program. Returns only on failure: WL_ERR_USAGE among several ranks, WL_ERR_OS without Python. */
wl_status wl_tool_execute(char **argv);

#endif
