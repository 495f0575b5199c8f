/* checkpoint.c - numbered checkpoints of a run: RUN/checkpoints/step-NNNNNNNN.h5 and `latest`.
 *
 * A resume lists the folder; the file `latest` is for people and scripts. Old checkpoints are removed only after
 * enough newer ones were verified. */
#include "io/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file_impl.h"
#include "base/footer.h"

static int64_t step_of(const char *name) { return wl_numbered_name(name, "step-"); }

static bool is_checkpoint(const char *name) { return step_of(name) >= 0; }

static int newest_first(const void *a, const void *b) {
  const int64_t x = step_of(*(char *const *)a), y = step_of(*(char *const *)b);
  return (x < y) - (x > y);
}

wl_status wl_checkpoint_list(const char *run, char folder[WL_PATH_MAX], wl_names *names) {
  WL_TRY(wl_path_join(folder, run, "checkpoints"));
  WL_TRY(wl_list_folder(folder, is_checkpoint, names));
  if (names->count > 1) qsort(names->at, (size_t)names->count, sizeof *names->at, newest_first);
  return WL_OK;
}

/* ---- saving ---- */

/* Removes old checkpoints after `written` was verified. Keeps the newest `keep` valid checkpoints, and the newest valid
 * checkpoint of a step below `last_counted`. If the training diverges, this last checkpoint is from before the
 * divergence. The oldest checkpoint is not read, because nothing older could be removed. A failure only causes a
 * warning. */
static void remove_old(const char *folder, const wl_names *names, const char *written,
                       const wl_checkpoint *c) {
  char path[WL_PATH_MAX];
  bool counted = false; /* a valid checkpoint below last_counted is kept */
  for (int i = 0, valid = 1; i < names->count; i++) {
    const char *const name = names->at[i];
    if (strcmp(name, written) == 0 || wl_path_join(path, folder, name) != WL_OK) continue;
    const bool wanted = valid < c->keep, below = step_of(name) < c->last_counted;
    if (wanted || (below && !counted)) {
      const bool good = i + 1 == names->count || wl_footer_check(path) == WL_OK;
      valid += good;
      counted = counted || (good && below);
      if (wanted || good) continue;
    }
    if (unlink(path) != 0)
      wl_log_warning("cannot remove the old checkpoint '%s': %s", path, strerror(errno));
  }
}

/* Writes the name of the newest checkpoint into `latest`, for people and scripts. A resume does not need that file. */
static wl_status point_to(const char *folder, const char *name) {
  char path[WL_PATH_MAX], text[64];
  wl_atomic_file file;
  WL_TRY(wl_path_join(path, folder, "latest"));
  wl_status status = wl_atomic_begin(path, &file);
  file.unsynced = true;
  if (status == WL_OK)
    status = wl_atomic_append(&file, text, (size_t)snprintf(text, sizeof text, "%s\n", name));
  return wl_atomic_end(&file, status, NULL);
}

wl_status wl_checkpoint_save(const char *run, const wl_checkpoint *c) {
  char folder[WL_PATH_MAX], path[WL_PATH_MAX], name[64];
  wl_names names = {0};
  WL_TRY(wl_path_join(folder, run, "checkpoints"));
  if (mkdir(folder, 0777) != 0 && errno != EEXIST) return wl_os_fail("create", folder, errno);
  wl_remove_temporaries(folder);
  snprintf(name, sizeof name, "step-%08lld.h5", (long long)c->step);
  WL_TRY(wl_path_join(path, folder, name));
  WL_TRY(wl_file_write(path, "checkpoint", c->fields, c->n_fields, c->attributes, c->n_attributes));
  WL_TRY(point_to(folder, name));
  WL_TRY(wl_checkpoint_list(run, folder, &names));
  remove_old(folder, &names, name, c);
  wl_names_clear(&names);
  return WL_OK;
}

/* ---- opening ---- */

/* Opens the first valid checkpoint. Skips damaged checkpoints and other objects with the name of a checkpoint. A
 * checkpoint without read permission is an error. */
static wl_status open_first_complete(const char *folder, const wl_names *names, wl_file **out,
                                     int64_t *step) {
  char full[WL_PATH_MAX];
  for (int i = 0; i < names->count; i++) {
    WL_TRY(wl_path_join(full, folder, names->at[i]));
    const wl_status status = wl_file_open(full, "checkpoint", out);
    *step = step_of(names->at[i]);
    if (status != WL_ERR_DATA && status != WL_ERR_IO && status != WL_ERR_NO_INPUT) return status;
    wl_log_warning("%s; the previous checkpoint is tried", wl_last_error());
  }
  return WL_FAIL(WL_ERR_DATA,
                 "all %d checkpoints in '%s' are damaged: start a new run in another output folder",
                 names->count, folder);
}

wl_status wl_checkpoint_open_newest(const char *run, wl_file **out, int64_t *step) {
  char folder[WL_PATH_MAX];
  wl_names names = {0};
  *out = NULL;
  WL_TRY(wl_checkpoint_list(run, folder, &names));
  const wl_status status = names.count > 0
                               ? open_first_complete(folder, &names, out, step)
                               : WL_FAIL(WL_ERR_NO_INPUT, "'%s' contains no checkpoint", run);
  wl_names_clear(&names);
  return status;
}
