/* plugin_build.h - compiles the sources of a plug-in for float32 and float64. */
#ifndef WL_CLI_PLUGIN_BUILD_H
#define WL_CLI_PLUGIN_BUILD_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_plugin_sources {
  /* [count] names of sources and flags for the compiler; a word that begins with '-' is a flag */
  char **argument;
  int count;
  const char *output; /* path of the shared object to write */
  bool verbose;       /* true if each command is printed before it runs */
} wl_plugin_sources;

/* Compiles the sources for float32 and float64 into one shared object. Uses the compiler in the
 * environment variable CC, or the compiler that built this program. After an error, the output file
 * may exist and be incomplete. */
wl_status wl_plugin_build(const wl_plugin_sources *sources);

#endif
