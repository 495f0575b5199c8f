/* float64_program.c - finds and executes warploom64, the program that computes in float64 to verify
 * gradients. */
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

bool wl_float64_program_find(char *path) {
  static const char *const places[] = {".", WL_LIBEXEC_FROM_BIN};
  char folder[PATH_MAX];
  if (wl_executable_dir(folder, sizeof folder) != WL_OK) return false;
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i)
    if (snprintf(path, PATH_MAX, "%s/%s/warploom64", folder, places[i]) < PATH_MAX &&
        access(path, F_OK) == 0)
      return true;
  return false;
}

wl_status wl_float64_program_execute(char **argv) {
  char path[PATH_MAX], folder[PATH_MAX];
  if (wl_float64_program_find(path)) {
    execv(path, argv);
    return WL_FAIL(WL_ERR_OS, "the program %s cannot be executed: %s", path, strerror(errno));
  }
  WL_TRY(wl_executable_dir(folder, sizeof folder));
  return WL_FAIL(
      WL_ERR_OS,
      "the float64 program warploom64 is neither in %s nor in %s/%s; build it with 'cmake --build "
      "%s --target warploom64', or install Warploom again",
      folder, folder, WL_LIBEXEC_FROM_BIN, folder);
}
