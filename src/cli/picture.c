/* picture.c - finds and runs a Python tool that draws a picture. If the tool fails, the subcommand
 * still succeeds. */
#include "cli/picture.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/tool.h"

extern char **environ;

/* Runs the command argv, whose first word is python3, and waits until the command ends. Returns the
 * exit status that waitpid reports, or -1 if the command did not start. If the first python3 in
 * PATH lacks modules, the tool starts itself again with the system's Python
 * (tools/warploom_needs.py). Standard output of the tool is discarded, because the subcommand may
 * write JSON to standard output. */
static int run_silently(char *const argv[]) {
  posix_spawn_file_actions_t actions;
  pid_t child;
  int status = -1;
  if (posix_spawn_file_actions_init(&actions) != 0) return -1;
  if (posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
      posix_spawnp(&child, argv[0], &actions, NULL, argv, environ) == 0)
    waitpid(child, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  return status;
}

void wl_picture_draw(const char *tool, const char *file) {
  char path[PATH_MAX], picture[PATH_MAX];
  const char *dot = strrchr(file, '.');
  const int stem = dot && !strchr(dot, '/') ? (int)(dot - file) : (int)strlen(file);
  snprintf(picture, sizeof picture, "%.*s.png", stem, file);
  char *const argv[] = {(char *)"python3", path, (char *)file, (char *)"--output", picture, NULL};
  if (wl_tool_find(tool, path) && run_silently(argv) == 0) wl_log_info("the picture is in %s", picture);
  else
    wl_log_info("the picture was not drawn; to draw it, install h5py and matplotlib for Python, and run "
                "'tools/%s %s'", tool, file);
}
