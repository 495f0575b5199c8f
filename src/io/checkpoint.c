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
#include "io/file_impl.h"
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

/* What can go once another checkpoint is there: looked up while that one is being written. */
typedef struct survey {
  const char *run, *coming; /* the coming one's name */
  int keep;
  int64_t sound;                     /* the newest whole one of a step below this stays */
  char folder[WL_PATH_MAX], **names; /* newest first */
  int count, obsolete;               /* from here on they can go, */
  int spared;                        /* except this one; -1: none */
} survey;

static bool is_whole(const survey *s, int i) {
  char path[WL_PATH_MAX];
  return wl_join(path, s->folder, s->names[i]) == WL_OK && wl_seal_check(path) == WL_OK;
}

/* The newest sound one, where it is not among those that stay anyway. */
static int find_spared(const survey *s) {
  for (int i = 0; i < s->count; i++) {
    if (step_of(s->names[i]) >= s->sound || strcmp(s->names[i], s->coming) == 0) continue;
    if (i < s->obsolete || i + 1 == s->count) return i;
    if (is_whole(s, i)) return i;
  }
  return -1;
}

/* Reads the newest ones until enough are found whole beside the coming one. */
static wl_status find_obsolete(void *data) {
  survey *const s = data;
  char path[WL_PATH_MAX];
  int whole = 1;
  s->obsolete = s->count = 0;
  WL_TRY(wl_checkpoint_list(s->run, s->folder, &s->names, &s->count));
  for (; s->obsolete < s->count && whole < s->keep; s->obsolete++) {
    const char *const name = s->names[s->obsolete];
    if (strcmp(name, s->coming) == 0 || wl_join(path, s->folder, name) != WL_OK) continue;
    if (s->obsolete + 1 < s->count && wl_seal_check(path) == WL_OK)
      whole++; /* the oldest needs no check */
  }
  s->spared = find_spared(s);
  return WL_OK;
}

/* Failing to is no reason to stop. */
static void remove_obsolete(const survey *s) {
  char path[WL_PATH_MAX];
  for (int i = s->obsolete; i < s->count; i++) {
    if (i == s->spared || strcmp(s->names[i], s->coming) == 0 ||
        wl_join(path, s->folder, s->names[i]) != WL_OK)
      continue;
    if (unlink(path) != 0)
      wl_log_warning("cannot remove the old checkpoint '%s': %s", path, strerror(errno));
  }
}

/* For people and scripts: nothing is lost with it. */
static wl_status point_to(const char *folder, const char *name) {
  char path[WL_PATH_MAX], text[64];
  WL_TRY(wl_join(path, folder, "latest"));
  return wl_atomic_replace(path, text, (size_t)snprintf(text, sizeof text, "%s\n", name));
}

static wl_status write_one(const char *folder, const char *name, const wl_field *fields,
                           int n_fields, const wl_attribute *attributes, int n_attributes,
                           wl_beside *beside) {
  char path[WL_PATH_MAX];
  WL_TRY(wl_join(path, folder, name));
  const wl_status status =
      wl_fields_write(path, "checkpoint", fields, n_fields, attributes, n_attributes, beside);
  return status == WL_OK ? point_to(folder, name) : status;
}

wl_status wl_checkpoint_save(const char *run, int64_t step, int keep, int64_t sound,
                             const wl_field *fields, int n_fields, const wl_attribute *attributes,
                             int n_attributes) {
  char folder[WL_PATH_MAX], name[64];
  WL_TRY(make_folder(run, folder));
  wl_remove_temporaries(folder);
  snprintf(name, sizeof name, "step-%08lld.h5", (long long)step);
  survey old = {.run = run, .coming = name, .keep = keep > 0 ? keep : 1, .sound = sound};
  wl_beside looking = {.work = find_obsolete, .data = &old};
  const wl_status status =
      write_one(folder, name, fields, n_fields, attributes, n_attributes, &looking);
  if (status == WL_OK && looking.done) remove_obsolete(&old);
  wl_free_names(old.names, old.count);
  return status;
}

/* ---- opening ---- */

static wl_status open_one(const char *folder, const char *name, wl_file **out, int64_t *step,
                          char path[], size_t path_size) {
  char full[WL_PATH_MAX];
  WL_TRY(wl_join(full, folder, name));
  WL_TRY(wl_file_open(full, "checkpoint", out));
  *step = step_of(name);
  snprintf(path, path_size, "%s", full);
  return WL_OK;
}

static wl_status open_first_whole(const char *run, const char *folder, char *const *names,
                                  int count, wl_file **out, int64_t *step, char path[],
                                  size_t path_size) {
  if (count == 0) return WL_FAIL(WL_ERR_NO_INPUT, "'%s' holds no checkpoint", run);
  for (int i = 0; i < count; i++) {
    const wl_status status = open_one(folder, names[i], out, step, path, path_size);
    if (status != WL_ERR_DATA && status != WL_ERR_IO) return status;
    wl_log_warning("%s; trying the checkpoint before it", wl_last_error());
  }
  return WL_FAIL(WL_ERR_DATA,
                 "all %d checkpoints in '%s' are damaged: start anew in another output folder",
                 count, folder);
}

wl_status wl_checkpoint_open_newest(const char *run, wl_file **out, int64_t *step, char path[],
                                    size_t path_size) {
  char folder[WL_PATH_MAX], **names = NULL;
  int count = 0;
  *out = NULL;
  WL_TRY(wl_checkpoint_list(run, folder, &names, &count));
  const wl_status status = open_first_whole(run, folder, names, count, out, step, path, path_size);
  wl_free_names(names, count);
  return status;
}
