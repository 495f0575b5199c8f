/* checkpoint.c - numbered checkpoints of a run: RUN/checkpoints/step-NNNNNNNN.h5 and `latest`.
 *
 * A resume lists the folder; the file `latest` is for people and scripts. Old checkpoints are removed only after
 * enough newer ones were verified. */
#include "io/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file_impl.h"
#include "base/footer.h"

static int64_t step_of(const char *name) { return wl_numbered_name(name, "step-"); }

wl_status wl_checkpoint_list(const char *run, char folder[WL_PATH_MAX], wl_names *names) {
  WL_TRY(wl_path_join(folder, run, "checkpoints"));
  return wl_list_numbered(folder, "step-", names);
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
  for (int i = names->count - 1, valid = 1; i >= 0; i--) {
    const char *const name = names->at[i];
    if (strcmp(name, written) == 0 || wl_path_join(path, folder, name) != WL_OK) continue;
    const bool wanted = valid < c->keep, below = step_of(name) < c->last_counted;
    if (wanted || (below && !counted)) {
      const bool good = i == 0 || wl_footer_check(path) == WL_OK;
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
  WL_TRY(wl_path_join(path, folder, "latest"));
  return wl_atomic_write(path, text, (size_t)snprintf(text, sizeof text, "%s\n", name));
}

wl_status wl_checkpoint_save(const char *run, const wl_checkpoint *c) {
  char folder[WL_PATH_MAX], path[WL_PATH_MAX], name[64];
  wl_names names = {0};
  WL_TRY(wl_path_join(folder, run, "checkpoints"));
  WL_TRY(wl_make_folder(folder));
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

/* Opens the newest valid checkpoint. Skips damaged checkpoints and other objects with the name of a checkpoint. A
 * checkpoint without read permission is an error. */
static wl_status open_newest_valid(const char *folder, const wl_names *names, wl_file **out,
                                     int64_t *step) {
  char full[WL_PATH_MAX];
  for (int i = names->count - 1; i >= 0; i--) {
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
                               ? open_newest_valid(folder, &names, out, step)
                               : WL_FAIL(WL_ERR_NO_INPUT, "'%s' contains no checkpoint", run);
  wl_names_clear(&names);
  return status;
}
