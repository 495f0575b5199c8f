/* path.c - compares paths, and finds the run directory that contains a path. */
#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool wl_is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool wl_same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* ---- outputs ---- */

/* The names of the files and folders that a training writes into its run directory. */
static const char *const run_parts[] = {"checkpoints",   "trajectory",   "trajectory.h5",
                                        "metrics.jsonl", "lock",         "config.yaml",
                                        "optimizer.h5",  "evaluation.h5"};
enum { RUN_PARTS = sizeof run_parts / sizeof *run_parts };

static bool is_part(const char *name) {
  for (int i = 0; i < RUN_PARTS; i++)
    if (strcmp(name, run_parts[i]) == 0) return true;
  return strcmp(name, "latest") == 0 || wl_numbered_name(name, "step-") >= 0 ||
         wl_numbered_name(name, "part-") >= 0;
}

static const char *leaf_of(const char *path) {
  const char *const slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

bool wl_is_there(const char *folder, const char *name) {
  char path[WL_PATH_MAX];
  struct stat info;
  return wl_path_join(path, folder, name) == WL_OK && lstat(path, &info) == 0;
}

static bool is_run(const char *folder) {
  return wl_is_there(folder, "lock") &&
         (wl_is_there(folder, "config.yaml") || wl_is_there(folder, "checkpoints"));
}

/* Finds the folder that contains `path`. Returns false if `path` is "/" or ".". */
static bool folder_of(const char *path, char folder[WL_PATH_MAX]) {
  wl_path_folder(path, folder);
  return strcmp(folder, path) != 0;
}

/* Resolves symbolic links and the component "..". The last component of the path need not exist. */
static void resolve(const char *path, char out[WL_PATH_MAX]) {
  char folder[WL_PATH_MAX], real[PATH_MAX];
  snprintf(out, WL_PATH_MAX, "%s", path);
  if (realpath(path, real)) snprintf(out, WL_PATH_MAX, "%s", real);
  else if (folder_of(path, folder) && realpath(folder, real))
    (void)wl_path_join(out, real, leaf_of(path));
}

bool wl_same_path(const char *a, const char *b) {
  char full_a[WL_PATH_MAX], full_b[WL_PATH_MAX];
  resolve(a, full_a);
  resolve(b, full_b);
  return strcmp(full_a, full_b) == 0 || wl_same_file(a, b);
}

/* Finds the run directory that is equal to `path` or contains `path`. Returns false if there is no
 * such directory. */
static bool find_run(const char *path, char run[WL_PATH_MAX]) {
  char parent[WL_PATH_MAX];
  resolve(path, run);
  while (!is_run(run)) {
    if (!folder_of(run, parent)) return false;
    memcpy(run, parent, sizeof parent);
  }
  return true;
}

wl_status wl_check_output(const char *output, const char *input, const char *own) {
  char run[WL_PATH_MAX], input_run[WL_PATH_MAX];
  char full[WL_PATH_MAX];
  resolve(output, full);
  const char *const name = leaf_of(full);
  if (input && wl_same_file(output, input))
    return WL_FAIL(WL_ERR_CANNOT_CREATE,
                   "the output '%s' is the input '%s' itself: choose another name for the output", output, input);
  if (!find_run(output, run)) return WL_OK;
  const bool mine = input && find_run(input, input_run) && wl_same_file(run, input_run);
  if (!mine)
    return WL_FAIL(
        WL_ERR_CANNOT_CREATE,
        "the output '%s' is in the directory of the run '%s', but this run is not the input: "
        "choose another folder for the output",
        output, run);
  if (!is_part(name) || (own && strcmp(name, own) == 0)) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "the output '%s' would replace a file of the run '%s': choose another name for "
                 "the output",
                 output, run);
}

wl_status wl_check_run_folder(const char *output) {
  char full[WL_PATH_MAX], run[WL_PATH_MAX];
  resolve(output, full);
  if (!is_part(leaf_of(full)) || !folder_of(full, run) || !is_run(run)) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "output: the folder '%s' is a part of the run '%s': choose another folder", output, run);
}

wl_status wl_check_writable(const char *option, const char *path, bool renamed) {
  char folder[WL_PATH_MAX];
  const bool exists = access(path, F_OK) == 0;
  wl_path_folder(path, folder);
  const bool writable = (exists ? access(path, W_OK) == 0 : true) &&
                        (exists && !renamed ? true : access(folder, W_OK) == 0);
  int error = writable ? 0 : errno;
  if (wl_is_directory(path)) error = EISDIR;
  else if (!exists && writable && !wl_is_directory(folder)) error = ENOTDIR;
  if (error == 0) return WL_OK;
  return WL_FAIL(error == EACCES ? WL_ERR_PERMISSION : WL_ERR_CANNOT_CREATE,
                 "%s %s: the file cannot be written: %s", option, path, strerror(error));
}

wl_status wl_keep_previous(const char *path, char kept[WL_PATH_MAX]) {
  struct stat info;
  const char *const dot = strrchr(leaf_of(path), '.');
  const int stem = (int)(dot ? dot - path : (ptrdiff_t)strlen(path));
  int n = 1, used;
  if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
    return WL_FAIL(WL_ERR_CANNOT_CREATE,
                   "%s: this is not a regular file, so it is not replaced; choose another name",
                   path);
  do {
    used = snprintf(kept, WL_PATH_MAX, "%.*s-previous-%d%s", stem, path, n++, path + stem);
    if (used >= WL_PATH_MAX)
      return WL_FAIL(WL_ERR_CANNOT_CREATE, "%s: the name is too long; choose a shorter name", path);
  } while (access(kept, F_OK) == 0);
  if (rename(path, kept) == 0) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE, "%s cannot be renamed to %s: %s", path, kept,
                 strerror(errno));
}

wl_status wl_check_replaceable(const char *path) {
  static const unsigned char signature[8] = "\x89HDF\r\n\x1a\n";
  unsigned char first[sizeof signature];
  struct stat there;
  if (stat(path, &there) != 0 || !S_ISREG(there.st_mode))
    return WL_OK; /* the attempt to create the file will return a clearer error */
  FILE *const in = fopen(path, "rb");
  if (!in) return WL_OK;
  const size_t count = fread(first, 1, sizeof first, in);
  fclose(in);
  if (count == 0 || (count == sizeof first && memcmp(first, signature, sizeof first) == 0))
    return WL_OK;
  return WL_FAIL(
      WL_ERR_CANNOT_CREATE,
      "the output '%s' exists and is not an HDF5 file: choose another name, or remove this file "
      "first",
      path);
}
