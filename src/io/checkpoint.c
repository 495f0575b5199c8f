/* checkpoint.c - numbered checkpoints of a run: RUN/checkpoints/step-NNNNNNNN.h5 and `latest`.
 *
 * The folder's listing is what counts when a run resumes; `latest` is for people and scripts. Old
 * checkpoints go only when enough newer ones have been found whole. */
#include "io/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/atomic_file.h"
#include "io/checkpoint_list.h"
#include "io/h5_support.h"
#include "io/seal.h"

#define FOLDER "checkpoints"

/* The step of a file name, -1 when it is no checkpoint's. */
static int64_t step_of(const char *name) {
  char again[64];
  long long step = -1;
  if (sscanf(name, "step-%lld.h5", &step) != 1 || step < 0) return -1;
  snprintf(again, sizeof again, "step-%08lld.h5", step);
  return strcmp(again, name) == 0 ? step : -1;
}

static bool is_checkpoint(const char *name) { return step_of(name) >= 0; }

static int newest_first(const void *a, const void *b) {
  const int64_t x = step_of(*(char *const *)a), y = step_of(*(char *const *)b);
  return (x < y) - (x > y);
}

wl_status wl_checkpoint_list(const char *run, char folder[WL_PATH_MAX], char ***names, int *count) {
  WL_TRY(wl_join(folder, run, FOLDER));
  WL_TRY(wl_list_folder(folder, is_checkpoint, names, count));
  if (*count > 1) qsort(*names, (size_t)*count, sizeof **names, newest_first);
  return WL_OK;
}

/* ---- saving ---- */

static wl_status make_folder(const char *run, char folder[WL_PATH_MAX]) {
  WL_TRY(wl_join(folder, run, FOLDER));
  if (mkdir(folder, 0777) != 0 && errno != EEXIST) return wl_os_fail("create", folder, errno);
  return WL_OK;
}

/* Removes what is older than the newest `keep` whole ones, of which `written` is one: it was read back just
 * now. Failing to is no reason to stop. */
static void prune(const char *run, const char *written, int keep) {
  char folder[WL_PATH_MAX], path[WL_PATH_MAX], **names = NULL;
  int count = 0, whole = 0;
  if (wl_checkpoint_list(run, folder, &names, &count) != WL_OK) return;
  for (int i = 0; i < count; i++) {
    if (wl_join(path, folder, names[i]) != WL_OK) continue;
    if (whole >= keep) {
      if (unlink(path) != 0) wl_log_warning("cannot remove the old checkpoint '%s': %s", path, strerror(errno));
    } else if (strcmp(names[i], written) == 0 || (i + 1 < count && wl_seal_check(path) == WL_OK)) {
      whole++; /* the oldest needs no check */
    }
  }
  wl_free_names(names, count);
}

/* For people and scripts: nothing is lost with it. */
static wl_status point_to(const char *folder, const char *name) {
  char path[WL_PATH_MAX], text[64];
  WL_TRY(wl_join(path, folder, "latest"));
  const wl_piece piece = {text, (size_t)snprintf(text, sizeof text, "%s\n", name)};
  return wl_atomic_replace(path, &piece, 1);
}

wl_status wl_checkpoint_save(const char *run, int64_t step, int keep, const wl_field *fields, int n_fields,
                             const wl_attribute *attributes, int n_attributes) {
  char folder[WL_PATH_MAX], path[WL_PATH_MAX], name[64];
  WL_TRY(make_folder(run, folder));
  wl_remove_temporaries(folder);
  snprintf(name, sizeof name, "step-%08lld.h5", (long long)step);
  WL_TRY(wl_join(path, folder, name));
  wl_h5_lock();
  const wl_status status = wl_file_write(path, "checkpoint", fields, n_fields, attributes, n_attributes);
  wl_h5_unlock();
  WL_TRY(status);
  WL_TRY(point_to(folder, name));
  prune(run, name, keep > 0 ? keep : 1);
  return WL_OK;
}

/* ---- opening ---- */

static wl_status open_one(const char *folder, const char *name, wl_file **out, int64_t *step, char path[], size_t path_size) {
  char full[WL_PATH_MAX];
  WL_TRY(wl_join(full, folder, name));
  WL_TRY(wl_file_open(full, "checkpoint", out));
  *step = step_of(name);
  snprintf(path, path_size, "%s", full);
  return WL_OK;
}

static wl_status open_first_whole(const char *run, const char *folder, char *const *names, int count, wl_file **out,
                                  int64_t *step, char path[], size_t path_size) {
  if (count == 0) return WL_FAIL(WL_ERR_NO_INPUT, "'%s' holds no checkpoint", run);
  for (int i = 0; i < count; i++) {
    const wl_status status = open_one(folder, names[i], out, step, path, path_size);
    if (status != WL_ERR_DATA && status != WL_ERR_IO) return status;
    wl_log_warning("%s; trying the checkpoint before it", wl_last_error());
  }
  return WL_FAIL(WL_ERR_DATA, "all %d checkpoints in '%s' are damaged: start anew in another output folder", count, folder);
}

wl_status wl_checkpoint_open_newest(const char *run, wl_file **out, int64_t *step, char path[], size_t path_size) {
  char folder[WL_PATH_MAX], **names = NULL;
  int count = 0;
  *out = NULL;
  WL_TRY(wl_checkpoint_list(run, folder, &names, &count));
  const wl_status status = open_first_whole(run, folder, names, count, out, step, path, path_size);
  wl_free_names(names, count);
  return status;
}
