/* tool.c - finds a Python tool by its name and executes it in this process. */
#include "cli/tool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/environment.h"
#include "cli/executable_dir.h"

enum { ARGUMENTS = 1024 };

/* CMakeLists.txt defines WL_TOOLS as the names of the tools in tools/, separated by spaces */
#ifndef WL_TOOLS
#define WL_TOOLS ""
#endif

const char *wl_tool_names(void) { return WL_TOOLS; }

bool wl_tool_find(const char *file, char *path) {
  static const char *const places[] = {"../tools", "../share/warploom/tools",
                                       "../../share/warploom/tools"};
  char self[PATH_MAX];
  if (wl_executable_dir(self, sizeof self) != WL_OK) return false;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (snprintf(path, PATH_MAX, "%s/%s/%s", self, places[i], file) < PATH_MAX &&
        access(path, R_OK) == 0)
      return true;
  return false;
}

/* Finds the file of a tool by the tool's name. Returns false for a name that has other characters
 * than lowercase letters and _, so that a path is never accepted. Also returns false for names that
 * begin with "warploom", because these files are modules that the tools import. */
static bool find_by_name(const char *name, char *path) {
  char file[64];
  if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] != '\0') return false;
  if (strncmp(name, "warploom", 8) == 0) return false;
  return snprintf(file, sizeof file, "%s.py", name) < (int)sizeof file && wl_tool_find(file, path);
}

bool wl_tool_exists(const char *name) {
  char path[PATH_MAX];
  return find_by_name(name, path);
}

wl_status wl_tool_execute(char **argv) {
  char path[PATH_MAX], program[PATH_MAX];
  char *command[ARGUMENTS] = {(char *)"python3", path};
  if (wl_environment_ranks() > 1)
    return WL_FAIL(
        WL_ERR_USAGE,
        "'warploom %s' runs as one process that starts other programs; call it without mpirun; to run its "
        "trainings on several ranks, use its option --launch \"mpirun -n RANKS\"",
        argv[0]);
  if (!find_by_name(argv[0], path)) return WL_FAIL(WL_ERR_OS, "no tool %s", argv[0]);
  for (int i = 1; argv[i]; i++) {
    if (i + 2 >= ARGUMENTS) return WL_FAIL(WL_ERR_USAGE, "the command line has more than %d arguments", ARGUMENTS - 3);
    command[i + 1] = argv[i];
  }
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length > 0) {
    program[length] = '\0';
    setenv("WARPLOOM", program, 0);
  }
  execvp(command[0], command);
  return WL_FAIL(WL_ERR_OS, "python3 cannot be executed: %s; the tool '%s' needs python3", strerror(errno), path);
}
