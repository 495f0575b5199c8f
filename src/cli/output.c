/* output.c - recognises files that must not be overwritten. */
#include "cli/output.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FOLDER/.../config.yaml is what a run directory is known by. */
static bool is_run(const char *folder) {
  char path[PATH_MAX];
  return snprintf(path, sizeof path, "%s/config.yaml", folder) < (int)sizeof path &&
         access(path, F_OK) == 0;
}

/* Whether the existing file is one that training wrote into its run directory, or below it. */
static bool belongs_to_run(const char *path) {
  static const char *const names[] = {"config.yaml", "metrics.jsonl", "log.txt", "optimizer.h5",
                                      "latest"};
  char real[PATH_MAX];
  if (!realpath(path, real)) return false;
  char *const slash = strrchr(real, '/');
  if (!slash) return false;
  *slash = '\0';
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(slash + 1, names[i]) == 0 && is_run(real)) return true;
  if (strncmp(slash + 1, "trajector", 9) == 0 && is_run(real)) return true;
  char *const above = strrchr(real, '/');
  if (!above) return false;
  const bool inside =
      strcmp(above + 1, "checkpoints") == 0 || strncmp(above + 1, "trajector", 9) == 0;
  *above = '\0';
  return inside && is_run(real);
}

wl_status wl_output_check(const char *option, const char *path, const char *input) {
  struct stat out, in;
  if (!path || strcmp(path, "-") == 0 || stat(path, &out) != 0) return WL_OK;
  if (S_ISDIR(out.st_mode))
    return WL_FAIL(WL_ERR_CANNOT_CREATE, "%s %s: is a folder; name a file", option, path);
  if (input && stat(input, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
    return WL_FAIL(WL_ERR_CANNOT_CREATE,
                   "%s %s: is the file that this command reads; name another one", option, path);
  if (belongs_to_run(path))
    return WL_FAIL(WL_ERR_CANNOT_CREATE,
                   "%s %s: is a file of a run, which nothing else may write; name another one",
                   option, path);
  return WL_OK;
}
