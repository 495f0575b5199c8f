/* plugin_build.h - compiles the source of a plug-in for both precisions. */
#ifndef WL_CLI_PLUGIN_BUILD_H
#define WL_CLI_PLUGIN_BUILD_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_plugin_sources {
  char **argument; /* [count] sources, and flags of the compiler, which begin with '-' */
  int count;
  const char *output; /* the file to write */
  bool verbose;       /* prints the commands */
} wl_plugin_sources;

/* Compiles for float32 and float64 into one shared object. Uses the compiler that the environment variable CC names;
 * by default, the compiler that built this program. The output file may exist even after an error. */
wl_status wl_plugin_build(const wl_plugin_sources *sources);

#endif
