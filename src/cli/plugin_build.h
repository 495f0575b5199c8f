/* plugin_build.h - compiles the source of a plug-in for both precisions. */
#ifndef WL_CLI_PLUGIN_BUILD_H
#define WL_CLI_PLUGIN_BUILD_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_plugin_sources {
  char **argument; /* [count] sources, and compiler flags, which begin with '-' */
  int count;
  const char *output; /* the file to write */
  bool verbose;       /* print the commands */
} wl_plugin_sources;

/* Compiles the sources for float32 and float64 into one shared object. Uses the compiler in the environment variable
 * CC, or the compiler that built this program. After an error, the output file may exist. */
wl_status wl_plugin_build(const wl_plugin_sources *sources);

#endif
