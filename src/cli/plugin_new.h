/* plugin_new.h - the source and the configuration that a plug-in starts from. */
#ifndef WL_CLI_PLUGIN_NEW_H
#define WL_CLI_PLUGIN_NEW_H

#include "base/status.h"

/* Writes NAME.c and NAME.yaml for `kind` "task" or "rule" in the current folder; neither may exist. */
wl_status wl_plugin_new(const char *kind, const char *name);

#endif
