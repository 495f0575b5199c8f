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
#include "io/footer.h"

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

/* The checkpoints in the folder before the next checkpoint is written. */
typedef struct survey {
  const char *coming; /* name of the next checkpoint */
  char folder[WL_PATH_MAX];
  wl_names names; /* newest first */
  int obsolete;   /* checkpoints from this index on can be removed once the next checkpoint is complete */
  int spared;     /* index of a checkpoint that must not be removed; -1: no exception */
} survey;

static bool is_complete(const survey *s, int i) {
  char path[WL_PATH_MAX];
  return wl_path_join(path, s->folder, s->names.at[i]) == WL_OK && wl_footer_check(path) == WL_OK;
}

static bool is_coming(const survey *s, int i) { return strcmp(s->names.at[i], s->coming) == 0; }

/* Finds the newest valid checkpoint of a step below `last_counted`. If the training diverges, this checkpoint is from
 * before the divergence. */
static int find_spared(const survey *s, int64_t last_counted) {
  for (int i = 0; i < s->names.count; i++) {
    if (step_of(s->names.at[i]) >= last_counted || is_coming(s, i)) continue;
    if (i < s->obsolete || i + 1 == s->names.count || is_complete(s, i)) return i;
  }
  return -1;
}

/* Verifies the newest checkpoints until `keep` checkpoints are valid, including the next checkpoint. Does not verify
 * the oldest checkpoint, because nothing older could be removed. */
static void find_obsolete(survey *s, int keep, int64_t last_counted) {
  for (int complete = 1; s->obsolete < s->names.count && complete < keep; s->obsolete++)
    if (!is_coming(s, s->obsolete) && s->obsolete + 1 < s->names.count)
      complete += is_complete(s, s->obsolete);
  s->spared = find_spared(s, last_counted);
}

/* Removes the obsolete checkpoints. A failure only causes a warning. */
static void remove_obsolete(const survey *s) {
  char path[WL_PATH_MAX];
  for (int i = s->obsolete; i < s->names.count; i++)
    if (i != s->spared && !is_coming(s, i) &&
        wl_path_join(path, s->folder, s->names.at[i]) == WL_OK && unlink(path) != 0)
      wl_log_warning("cannot remove the old checkpoint '%s': %s", path, strerror(errno));
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
  char path[WL_PATH_MAX], name[64];
  survey s = {.coming = name};
  WL_TRY(wl_path_join(s.folder, run, "checkpoints"));
  if (mkdir(s.folder, 0777) != 0 && errno != EEXIST) return wl_os_fail("create", s.folder, errno);
  wl_remove_temporaries(s.folder);
  snprintf(name, sizeof name, "step-%08lld.h5", (long long)c->step);
  WL_TRY(wl_path_join(path, s.folder, name));
  WL_TRY(wl_checkpoint_list(run, s.folder, &s.names));
  find_obsolete(&s, c->keep, c->last_counted);
  wl_status status =
      wl_file_write(path, "checkpoint", c->fields, c->n_fields, c->attributes, c->n_attributes);
  if (status == WL_OK) status = point_to(s.folder, name);
  if (status == WL_OK) remove_obsolete(&s);
  wl_names_clear(&s.names);
  return status;
}

/* ---- opening ---- */

/* Opens the first valid checkpoint. A damaged checkpoint, or anything else with such a name, is skipped. A checkpoint
 * without read permission is an error. */
static wl_status open_first_complete(const char *folder, const wl_names *names, wl_file **out,
                                     int64_t *step) {
  char full[WL_PATH_MAX];
  for (int i = 0; i < names->count; i++) {
    WL_TRY(wl_path_join(full, folder, names->at[i]));
    const wl_status status = wl_file_open(full, "checkpoint", out);
    *step = step_of(names->at[i]);
    if (status != WL_ERR_DATA && status != WL_ERR_IO && status != WL_ERR_NO_INPUT) return status;
    wl_log_warning("%s; trying the checkpoint before it", wl_last_error());
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
                               : WL_FAIL(WL_ERR_NO_INPUT, "'%s' holds no checkpoint", run);
  wl_names_clear(&names);
  return status;
}
