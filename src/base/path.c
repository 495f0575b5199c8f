/* path.c - compares paths and finds run directories in the file system. */
#include "base/path.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4352 };

bool wl_is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool wl_same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* ---- outputs ---- */

/* Files that a training writes into its run directory. */
static const char *const run_parts[] = {"checkpoints",   "trajectory",   "trajectory.h5",
                                        "metrics.jsonl", "lock",         "config.yaml",
                                        "optimizer.h5",  "evaluation.h5"};
enum { RUN_PARTS = sizeof run_parts / sizeof *run_parts };

/* Returns true if a name consists of the prefix, digits and ".h5". */
static bool is_numbered(const char *name, const char *prefix) {
  const size_t length = strlen(prefix);
  return strncmp(name, prefix, length) == 0 &&
         strcmp(name + length + strspn(name + length, "0123456789"), ".h5") == 0;
}

static bool is_part(const char *name) {
  for (int i = 0; i < RUN_PARTS; i++)
    if (strcmp(name, run_parts[i]) == 0) return true;
  return strcmp(name, "latest") == 0 || is_numbered(name, "step-") || is_numbered(name, "part-");
}

static const char *leaf_of(const char *path) {
  const char *const slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool is_there(const char *folder, const char *name) {
  char path[PATH_SIZE];
  struct stat info;
  const int length = snprintf(path, sizeof path, "%s/%s", folder, name);
  return length < PATH_SIZE && lstat(path, &info) == 0;
}

static bool is_run(const char *folder) {
  return is_there(folder, "lock") &&
         (is_there(folder, "config.yaml") || is_there(folder, "checkpoints"));
}

/* Finds the folder that contains `path`. Returns false at the root and if the path has no folder. */
static bool folder_of(const char *path, char folder[PATH_SIZE]) {
  const char *const slash = strrchr(path, '/');
  if (!slash) {
    snprintf(folder, PATH_SIZE, ".");
    return strcmp(path, ".") != 0;
  }
  snprintf(folder, PATH_SIZE, "%.*s", slash == path ? 1 : (int)(slash - path), path);
  return strcmp(folder, path) != 0;
}

/* Resolves symbolic links and the component "..". The last component of the path need not exist. */
static void resolve(const char *path, char out[PATH_SIZE]) {
  char folder[PATH_SIZE], real[PATH_MAX];
  snprintf(out, PATH_SIZE, "%s", path);
  if (realpath(path, real)) snprintf(out, PATH_SIZE, "%s", real);
  else if (folder_of(path, folder) && realpath(folder, real))
    snprintf(out, PATH_SIZE, "%.*s/%s", PATH_SIZE - 300, real, leaf_of(path));
}

bool wl_same_path(const char *a, const char *b) {
  char full_a[PATH_SIZE], full_b[PATH_SIZE];
  resolve(a, full_a);
  resolve(b, full_b);
  return strcmp(full_a, full_b) == 0 || wl_same_file(a, b);
}

/* Finds the run directory that `path` is or is inside of. */
static bool find_run(const char *path, char run[PATH_SIZE]) {
  char parent[PATH_SIZE];
  resolve(path, run);
  while (!is_run(run)) {
    if (!folder_of(run, parent)) return false;
    memcpy(run, parent, sizeof parent);
  }
  return true;
}

wl_status wl_check_output(const char *output, const char *input, const char *own) {
  char run[PATH_SIZE], input_run[PATH_SIZE];
  char full[PATH_SIZE];
  resolve(output, full);
  const char *const name = leaf_of(full);
  if (input && wl_same_file(output, input))
    return WL_FAIL(WL_ERR_CANNOT_CREATE,
                   "the output '%s' is the input '%s' itself: choose another name", output, input);
  if (!find_run(output, run)) return WL_OK;
  const bool mine = input && find_run(input, input_run) && wl_same_file(run, input_run);
  if (!mine)
    return WL_FAIL(
        WL_ERR_CANNOT_CREATE,
        "the output '%s' lies in the run directory '%s', which is not the input: choose a name outside it",
        output, run);
  if (!is_part(name) || (own && strcmp(name, own) == 0)) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "the output '%s' would replace a file of the run '%s': choose another name",
                 output, run);
}

wl_status wl_check_run_folder(const char *output) {
  char full[PATH_SIZE], run[PATH_SIZE];
  resolve(output, full);
  if (!is_part(leaf_of(full)) || !folder_of(full, run) || !is_run(run)) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "output: '%s' is a part of the run '%s': choose another folder", output, run);
}
