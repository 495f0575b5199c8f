/* float64_program.c - executes the float64 build, which verifies gradients. */
#include "cli/float64_program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/executable_dir.h"

#ifndef WL_LIBEXEC_FROM_BIN
#define WL_LIBEXEC_FROM_BIN "../libexec/warploom"
#endif

wl_status wl_float64_program_execute(char **argv) {
  static const char *const places[] = {".", WL_LIBEXEC_FROM_BIN};
  char folder[PATH_MAX];
  WL_TRY(wl_executable_dir(folder, sizeof folder));
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s/warploom64", folder, places[i]);
    execv(path, argv);
    if (errno != ENOENT) return WL_FAIL(WL_ERR_OS, "%s: cannot be run: %s", path, strerror(errno));
  }
  return WL_FAIL(
      WL_ERR_OS,
      "the float64 program warploom64 is neither in %s nor in %s/%s: build it by 'cmake --build "
      "%s --target warploom64', or install Warploom again",
      folder, folder, WL_LIBEXEC_FROM_BIN, folder);
}
