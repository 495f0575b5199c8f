/* plugin_new.h - writes an example source and configuration for a new plug-in. */
#ifndef WL_CLI_PLUGIN_NEW_H
#define WL_CLI_PLUGIN_NEW_H

#include "base/status.h"

/* Writes NAME.c and NAME.yaml in the current folder. `kind` is "task" or "rule". Returns an error if one of the files
 * exists. */
wl_status wl_plugin_new(const char *kind, const char *name);

#endif
