/* checkpoint.c - writes, removes and opens the numbered checkpoints of a run:
 * RUN/checkpoints/step-NNNNNNNN.h5. The file `latest` in the same folder names the newest
 * checkpoint.
 *
 * A resume finds the newest checkpoint from the names in the folder, and the file `latest` is only
 * for people and scripts. An old checkpoint is removed only after enough newer checkpoints were
 * verified. */
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

/* Removes old checkpoints. The checkpoint `written` was just written and verified. The newest
 * `keep` valid checkpoints are not removed. The newest valid checkpoint whose step is below
 * `last_counted` also remains. A run whose training diverges therefore has a checkpoint from before
 * the divergence. The oldest checkpoint is not verified, because there is no older checkpoint that
 * could replace it. If a file cannot be removed, a warning is printed. */
static void remove_old(const char *folder, const wl_names *names, const char *written,
                       const wl_checkpoint *c) {
  char path[WL_PATH_MAX];
  bool counted = false; /* true: a valid checkpoint of a step below last_counted was found */
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

/* Writes the name of the newest checkpoint to the file `latest`. The file is for people and
 * scripts, and a resume does not read it. */
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

/* Opens the newest valid checkpoint. A damaged checkpoint, or another object that has the name of a
 * checkpoint, is skipped, and a warning is printed. A checkpoint that the user may not read is an
 * error. */
static wl_status open_newest_valid(const char *folder, const wl_names *names, wl_file **out,
                                     int64_t *step) {
  char full[WL_PATH_MAX];
  for (int i = names->count - 1; i >= 0; i--) {
    WL_TRY(wl_path_join(full, folder, names->at[i]));
    const wl_status status = wl_file_open(full, "checkpoint", out);
    *step = step_of(names->at[i]);
    if (status != WL_ERR_DATA && status != WL_ERR_IO && status != WL_ERR_NO_INPUT) return status;
    wl_log_warning("%s; the program tries the previous checkpoint", wl_last_error());
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
                               : WL_FAIL(WL_ERR_NO_INPUT, "the run directory '%s' contains no "
                                                          "checkpoint; give the directory of a run "
                                                          "with checkpoints", run);
  wl_names_clear(&names);
  return status;
}
