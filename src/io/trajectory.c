/* trajectory.c - records and metrics in memory, flushed as segments; resume, and merging of segments. */
#include "io/trajectory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/segment.h"

/* More than MERGE segments of one level become one of the next, unless it would be larger than
 * MERGE_BYTES: then there are few of them anyway. */
enum { MERGE = 64, MERGE_BYTES = 1 << 28 };

struct wl_trajectory {
  char run[WL_PATH_MAX], folder[WL_PATH_MAX];
  wl_trajectory_setting setting;
  wl_field index;           /* coordinate_index, data owned */
  wl_attribute *attributes; /* [n_attributes], texts owned */
  int n_attributes;
  wl_table records, metrics;               /* appended since the last stage */
  wl_table staged_records, staged_metrics; /* on their way to the next segment */
  wl_segment_list live;
  int64_t highest; /* number of the newest segment */
  bool stale;      /* trajectory.h5 does not show all live segments */
  int64_t *doomed; /* [n_doomed] numbers of files replaced by the last merge */
  int n_doomed;
};

/* ---- columns ---- */

/* One column of the records: its tail dimensions as indices into the lengths of a setting. */
enum length { NONE, STEP, COORDINATE, STATE, SNAPSHOT, PARAMETER };
static const char *const length_names[] = {"",      "step",     "coordinate",
                                           "state", "snapshot", "parameter"};

typedef struct column_spec {
  const char *name, *units, *long_name;
  wl_type type;
  enum length tail[3];
  bool sampled; /* half precision on request */
} column_spec;

static const column_spec specs[] = {
    {"meta_step", "1", "meta-steps done when the window ran", WL_INT64, {NONE}, false},
    {"unit", "1", "unit of work within the meta-step", WL_INT64, {NONE}, false},
    {"episode", "1", "episode the window belongs to", WL_INT64, {NONE}, false},
    {"family", "1", "index of the task in the configuration", WL_INT64, {NONE}, false},
    {"t0", "1", "first inner step of the window", WL_INT64, {NONE}, false},
    {"steps", "1", "inner steps of the window; rows beyond are NaN", WL_INT64, {NONE}, false},
    {"loss", "1", "inner loss at theta_t", WL_FLOAT64, {STEP}, false},
    {"outer_loss",
     "1",
     "outer loss at theta_t, NaN where not evaluated",
     WL_FLOAT64,
     {STEP},
     false},
    {"gradient_norm", "1", "Euclidean norm of the gradient", WL_FLOAT64, {STEP}, false},
    {"update_norm", "1", "Euclidean norm of the update", WL_FLOAT64, {STEP}, false},
    {"gradient",
     "1",
     "gradient of the sampled coordinates",
     WL_REAL_TYPE,
     {STEP, COORDINATE},
     true},
    {"update", "1", "update of the sampled coordinates", WL_REAL_TYPE, {STEP, COORDINATE}, true},
    {"hidden",
     "1",
     "state of the rule at the sampled coordinates, after the step",
     WL_REAL_TYPE,
     {STEP, COORDINATE, STATE},
     true},
    {"snapshot_step", "1", "inner step of each snapshot, -1: none", WL_INT64, {SNAPSHOT}, false},
    {"theta", "1", "inner parameters at the snapshots", WL_REAL_TYPE, {SNAPSHOT, PARAMETER}, true}};
enum { N_SPECS = sizeof specs / sizeof *specs };

static int64_t length_of(const wl_trajectory_setting *s, enum length length) {
  const int64_t lengths[] = {1, s->steps, s->coordinates, s->hidden, s->snapshots, s->n};
  return lengths[length];
}

static void name_field(wl_field *f, const char *name, const char *units, const char *long_name,
                       const char *row) {
  snprintf(f->name, sizeof f->name, "%s", name);
  snprintf(f->units, sizeof f->units, "%s", units);
  snprintf(f->long_name, sizeof f->long_name, "%s", long_name);
  snprintf(f->dims[0], sizeof f->dims[0], "%s", row);
}

/* Adds the column unless the setting gives it no length. */
static wl_status add_record_column(wl_trajectory *t, const column_spec *spec) {
  wl_field f = {.type = spec->type, .ndim = 1};
  name_field(&f, spec->name, spec->units, spec->long_name, "record");
  for (int i = 0; i < 3 && spec->tail[i] != NONE; i++) {
    snprintf(f.dims[f.ndim], sizeof f.dims[0], "%s", length_names[spec->tail[i]]);
    f.shape[f.ndim] = length_of(&t->setting, spec->tail[i]);
    if (f.shape[f.ndim++] == 0) return WL_OK;
  }
  return wl_table_add_column(&t->records, &f, spec->sampled && t->setting.half);
}

static wl_status add_metric_column(wl_trajectory *t, const char *name, wl_type type,
                                   const char *long_name) {
  wl_field f = {.type = type, .ndim = 1};
  char path[sizeof f.name];
  snprintf(path, sizeof path, "metrics/%s", name);
  name_field(&f, path, strstr(name, "seconds") ? "s" : "1", long_name, "meta_step");
  return wl_table_add_column(&t->metrics, &f, false);
}

static wl_status set_columns(wl_trajectory *t) {
  for (int i = 0; i < N_SPECS; i++) WL_TRY(add_record_column(t, &specs[i]));
  return WL_OK;
}

static wl_status set_index(wl_trajectory *t, const int64_t *index) {
  const int64_t count = t->setting.coordinates;
  t->index = (wl_field){.type = WL_INT64, .ndim = 1, .shape = {count}};
  name_field(&t->index, WL_COORDINATE_INDEX, "1",
             "index in theta of each sampled coordinate (first task)", "coordinate");
  WL_TRY(wl_alloc(&t->index.data, (size_t)count + 1, sizeof *index));
  if (count > 0) memcpy(t->index.data, index, (size_t)count * sizeof *index);
  return WL_OK;
}

/* ---- resume ---- */

/* Rows at the front whose meta_step is at most `last`. */
static int64_t rows_up_to(wl_table *table, const char *name, int64_t last) {
  const wl_column *const c = wl_table_find(table, name);
  int64_t kept = 0;
  while (c && kept < table->rows && ((const int64_t *)c->field.data)[kept] <= last) kept++;
  return kept;
}

static void remove_segment(const wl_trajectory *t, int64_t number) {
  char name[WL_SEGMENT_NAME], path[WL_PATH_MAX];
  wl_segment_name(number, name);
  if (wl_join(path, t->folder, name) == WL_OK && unlink(path) != 0 && errno != ENOENT)
    wl_log_warning("cannot remove '%s': %s", path, strerror(errno));
}

static wl_status write_shorter(wl_trajectory *t, const wl_segment *old, const wl_table *records,
                               const wl_table *metrics, wl_segment_list *kept) {
  const wl_segment identity = {
      .number = ++t->highest, .from = old->from, .to = old->to, .level = old->level};
  wl_segment shorter;
  WL_TRY(wl_segment_write(t->folder, &identity, records, metrics, &t->index, t->setting.compression,
                          &shorter));
  return wl_segment_list_append(kept, &shorter);
}

/* Replaces segment i by what it holds before the checkpoint, if anything. */
static wl_status shorten(wl_trajectory *t, int i, int64_t resume_step, wl_segment_list *kept) {
  wl_table records = {0}, metrics = {0};
  wl_status status = wl_segment_load(t->folder, &t->live, i, 1, &records, &metrics);
  records.rows = rows_up_to(&records, "meta_step", resume_step - 1);
  metrics.rows = rows_up_to(&metrics, "metrics/meta_step", resume_step);
  if (status == WL_OK && records.rows + metrics.rows > 0)
    status = write_shorter(t, &t->live.at[i], &records, &metrics, kept);
  if (status == WL_OK) remove_segment(t, t->live.at[i].number);
  wl_table_clear(&records);
  wl_table_clear(&metrics);
  return status;
}

static wl_status trim_segment(wl_trajectory *t, int i, int64_t resume_step, wl_segment_list *kept) {
  wl_segment *const s = &t->live.at[i];
  if (s->last_record >= resume_step || s->last_metric > resume_step)
    return shorten(t, i, resume_step, kept);
  WL_TRY(wl_segment_list_append(kept, s));
  *s = (wl_segment){0}; /* now in `kept` */
  return WL_OK;
}

static wl_status trim(wl_trajectory *t, int64_t resume_step) {
  wl_segment_list kept = {0};
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < t->live.count; i++)
    status = trim_segment(t, i, resume_step, &kept);
  wl_segment_list_clear(&t->live);
  t->live = kept;
  return status;
}

/* ---- open ---- */

static wl_status copy_text(const char *text, char **copy) {
  const size_t bytes = strlen(text) + 1;
  WL_TRY(wl_alloc((void **)copy, bytes, 1));
  memcpy(*copy, text, bytes);
  return WL_OK;
}

static wl_status copy_attributes(wl_trajectory *t, const wl_attribute *attributes,
                                 int n_attributes) {
  WL_TRY(WL_NEW(t->attributes, n_attributes));
  for (; t->n_attributes < n_attributes; t->n_attributes++) {
    wl_attribute *const a = &t->attributes[t->n_attributes];
    *a = (wl_attribute){NULL, NULL};
    WL_TRY(copy_text(attributes[t->n_attributes].name, (char **)&a->name));
    const wl_status status = copy_text(attributes[t->n_attributes].value, (char **)&a->value);
    if (status != WL_OK) wl_free((char *)a->name);
    WL_TRY(status);
  }
  return WL_OK;
}

static wl_status make_folder(wl_trajectory *t) {
  WL_TRY(wl_join(t->folder, t->run, WL_TRAJECTORY_FOLDER));
  if (mkdir(t->folder, 0777) != 0 && errno != EEXIST)
    return wl_os_fail("create the folder", t->folder, errno);
  wl_remove_temporaries(t->folder);
  return WL_OK;
}

static wl_status renew_master(wl_trajectory *t) {
  t->stale = true;
  WL_TRY(wl_master_write(t->run, &t->live, &t->index, t->attributes, t->n_attributes));
  t->stale = false;
  return WL_OK;
}

static wl_status open_trajectory(wl_trajectory *t, const int64_t *index, int64_t resume_step,
                                 const wl_attribute *attributes, int n_attributes) {
  WL_TRY(make_folder(t));
  WL_TRY(set_index(t, index));
  WL_TRY(set_columns(t));
  WL_TRY(copy_attributes(t, attributes, n_attributes));
  WL_TRY(wl_segment_scan(t->folder, true, &t->live, &t->highest));
  WL_TRY(trim(t, resume_step));
  return renew_master(t);
}

static void destroy(wl_trajectory *t) {
  for (int i = 0; i < t->n_attributes; i++) {
    wl_free((char *)t->attributes[i].name);
    wl_free((char *)t->attributes[i].value);
  }
  wl_free(t->attributes);
  wl_free(t->index.data);
  wl_free(t->doomed);
  wl_table_clear(&t->records);
  wl_table_clear(&t->metrics);
  wl_table_clear(&t->staged_records);
  wl_table_clear(&t->staged_metrics);
  wl_segment_list_clear(&t->live);
  wl_free(t);
}

wl_status wl_trajectory_open(const char *run, const wl_trajectory_setting *setting,
                             const int64_t *coordinate_index, int64_t resume_step,
                             const wl_attribute *attributes, int n_attributes,
                             wl_trajectory **out) {
  wl_trajectory *t = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(t, 1));
  snprintf(t->run, sizeof t->run, "%s", run);
  t->setting = *setting;
  const wl_status status =
      open_trajectory(t, coordinate_index, resume_step, attributes, n_attributes);
  if (status == WL_OK) *out = t;
  else destroy(t);
  return status;
}

/* ---- append ---- */

/* Copies `count` elements to the start of the last row of a column, if there is such a column. */
static void put(wl_trajectory *t, const char *name, const void *data, int64_t count) {
  const wl_column *const c = wl_table_find(&t->records, name);
  if (c && data && count > 0)
    memcpy(wl_table_cell(c, t->records.rows - 1), data,
           (size_t)count * wl_type_size(c->field.type));
}

static void put_snapshots(wl_trajectory *t, const wl_record *r) {
  const wl_column *const c = wl_table_find(&t->records, "theta");
  if (!c || !r->theta) return;
  put(t, "snapshot_step", r->snapshot_step, r->snapshots);
  wl_real *const cell = wl_table_cell(c, t->records.rows - 1);
  for (int64_t i = 0; i < r->snapshots; i++)
    memcpy(cell + i * t->setting.n, r->theta + i * r->n, (size_t)r->n * sizeof(wl_real));
}

static void put_numbers(wl_trajectory *t, const wl_record *r) {
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"meta_step", r->meta_step}, {"unit", r->unit}, {"episode", r->episode},
                 {"family", r->family},       {"t0", r->t0},     {"steps", r->steps}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    put(t, numbers[i].name, &numbers[i].value, 1);
}

wl_status wl_trajectory_append(wl_trajectory *t, const wl_record *r) {
  const wl_trajectory_setting *const s = &t->setting;
  WL_CHECK(r->steps <= s->steps);
  WL_CHECK(s->n == 0 || (r->snapshots <= s->snapshots && r->n <= s->n));
  WL_TRY(wl_table_extend(&t->records, 1));
  put_numbers(t, r);
  put(t, "loss", r->loss, r->steps);
  put(t, "outer_loss", r->outer_loss, r->steps);
  put(t, "gradient_norm", r->gradient_norm, r->steps);
  put(t, "update_norm", r->update_norm, r->steps);
  put(t, "gradient", r->gradient, r->steps * s->coordinates);
  put(t, "update", r->update, r->steps * s->coordinates);
  put(t, "hidden", r->hidden, r->steps * s->coordinates * s->hidden);
  put_snapshots(t, r);
  return WL_OK;
}

static wl_status register_metrics(wl_trajectory *t, const wl_metric *metrics, int count) {
  WL_TRY(add_metric_column(t, "meta_step", WL_INT64, "meta-steps done, this one included"));
  for (int i = 0; i < count; i++)
    WL_TRY(add_metric_column(t, metrics[i].name, WL_FLOAT64, metrics[i].meaning));
  return WL_OK;
}

wl_status wl_trajectory_metrics(wl_trajectory *t, int64_t meta_step, const wl_metric *metrics,
                                const double *values, int count) {
  if (t->metrics.count == 0) WL_TRY(register_metrics(t, metrics, count));
  WL_CHECK(t->metrics.count == count + 1);
  for (int i = 0; i < count; i++)
    WL_CHECK(strcmp(t->metrics.columns[i + 1].field.name + strlen("metrics/"), metrics[i].name) ==
             0);
  WL_TRY(wl_table_extend(&t->metrics, 1));
  const int64_t row = t->metrics.rows - 1;
  *(int64_t *)wl_table_cell(&t->metrics.columns[0], row) = meta_step;
  for (int i = 0; i < count; i++)
    *(double *)wl_table_cell(&t->metrics.columns[i + 1], row) = values[i];
  return WL_OK;
}

/* ---- flush and merge ---- */

static wl_status write_segment(wl_trajectory *t) {
  const int64_t number = t->highest + 1;
  const wl_segment identity = {.number = number, .from = number, .to = number};
  wl_segment written;
  WL_TRY(wl_segment_write(t->folder, &identity, &t->staged_records, &t->staged_metrics, &t->index,
                          t->setting.compression, &written));
  t->highest = number;
  const wl_status status = wl_segment_list_append(&t->live, &written);
  if (status != WL_OK) { /* as if it had not been written: the rows are still in memory */
    wl_segment_clear(&written);
    remove_segment(t, number);
    return status;
  }
  wl_table_clear(&t->staged_records);
  wl_table_clear(&t->staged_metrics);
  return WL_OK;
}

/* The oldest run of more than MERGE segments of one level; *first is where it begins, 0: none. */
static int find_mergeable(const wl_segment_list *list, int *first) {
  for (int i = 0, count; i < list->count; i += count) {
    count = 1;
    while (i + count < list->count && list->at[i + count].level == list->at[i].level) count++;
    *first = i;
    if (count > MERGE) return MERGE;
  }
  return 0;
}

static int64_t bytes_of(const wl_segment_list *list, int first, int count) {
  int64_t bytes = 0;
  for (int i = first; i < first + count; i++) bytes += list->at[i].bytes;
  return bytes;
}

static void remove_doomed(wl_trajectory *t) {
  for (int i = 0; i < t->n_doomed; i++) remove_segment(t, t->doomed[i]);
  t->n_doomed = 0;
}

/* Puts `merged` in the place of segments [first, first + count); their files go at the next merge. */
static void replace(wl_trajectory *t, int first, int count, const wl_segment *merged) {
  remove_doomed(t);
  for (int i = first; i < first + count; i++) {
    t->doomed[t->n_doomed++] = t->live.at[i].number;
    wl_segment_clear(&t->live.at[i]);
  }
  t->live.at[first] = *merged;
  memmove(t->live.at + first + 1, t->live.at + first + count,
          (size_t)(t->live.count - first - count) * sizeof *t->live.at);
  t->live.count -= count - 1;
}

static wl_status merge(wl_trajectory *t, int first, int count) {
  const wl_segment *const s = t->live.at;
  const wl_segment identity = {.number = t->highest + 1,
                               .from = s[first].from,
                               .to = s[first + count - 1].to,
                               .level = s[first].level + 1};
  wl_table records = {0}, metrics = {0};
  wl_segment merged = {0};
  wl_status status = t->doomed ? WL_OK : WL_NEW(t->doomed, MERGE);
  if (status == WL_OK)
    status = wl_segment_load(t->folder, &t->live, first, count, &records, &metrics);
  if (status == WL_OK)
    status = wl_segment_write(t->folder, &identity, &records, &metrics, &t->index,
                              t->setting.compression, &merged);
  wl_table_clear(&records);
  wl_table_clear(&metrics);
  WL_TRY(status);
  t->highest = identity.number;
  replace(t, first, count, &merged);
  return WL_OK;
}

/* Merging saves files and is no reason to stop: what cannot be merged stays as it is. */
static void merge_if_due(wl_trajectory *t) {
  int first = 0;
  const int count = find_mergeable(&t->live, &first);
  if (count == 0 || bytes_of(&t->live, first, count) > MERGE_BYTES) return;
  if (merge(t, first, count) != WL_OK)
    wl_log_warning("trajectory segments are not merged: %s", wl_last_error());
}

/* Hands the rows of a table over to an empty one. */
static wl_status hand_over(wl_table *from, wl_table *to) {
  wl_table fresh = {0};
  const wl_status status = wl_table_like(&fresh, from);
  if (status != WL_OK) wl_table_clear(&fresh);
  WL_TRY(status);
  wl_table_clear(to);
  *to = *from;
  *from = fresh;
  return WL_OK;
}

wl_status wl_trajectory_stage(wl_trajectory *t) {
  /* what could not be written yet goes first */
  if (t->staged_records.rows + t->staged_metrics.rows > 0) return WL_OK;
  WL_TRY(hand_over(&t->records, &t->staged_records));
  return hand_over(&t->metrics, &t->staged_metrics);
}

wl_status wl_trajectory_write(wl_trajectory *t) {
  const bool anything = t->staged_records.rows + t->staged_metrics.rows > 0;
  if (!anything && !t->stale) return WL_OK;
  if (anything) WL_TRY(write_segment(t));
  merge_if_due(t);
  return renew_master(t);
}

int64_t wl_trajectory_pending(const wl_trajectory *t) {
  return wl_table_bytes(&t->records) + wl_table_bytes(&t->metrics);
}

wl_status wl_trajectory_flush(wl_trajectory *t) {
  WL_TRY(wl_trajectory_write(t));
  WL_TRY(wl_trajectory_stage(t));
  return wl_trajectory_write(t);
}

wl_status wl_trajectory_close(wl_trajectory **trajectory) {
  wl_trajectory *const t = *trajectory;
  if (!t) return WL_OK;
  const wl_status status = wl_trajectory_flush(t);
  if (status == WL_OK) remove_doomed(t);
  destroy(t);
  *trajectory = NULL;
  return status;
}
