/* trajectory.c - records and metrics in memory, written as parts; resume.
 *
 *   appended -> (stage) -> newest: the rows of the newest part -> (write) -> its file, and the index
 *
 * One thread appends while another writes; stage must run while neither does. */
#include "io/trajectory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/part.h"

/* A part that has as many bytes of rows is full. */
enum { PART_BYTES = 1 << 23 };

/* Rows of both kinds. */
typedef struct rows {
  wl_table records, metrics;
} rows;

struct wl_trajectory {
  char run[WL_PATH_MAX], folder[WL_PATH_MAX];
  wl_trajectory_setting setting;
  wl_field index;           /* coordinate_index, data owned */
  wl_attribute *attributes; /* [n_attributes], texts owned */
  int n_attributes;
  rows appended, newest;
  bool unwritten;    /* the newest part's file lacks rows */
  bool stale;        /* trajectory.h5 does not show all parts */
  wl_part_list list; /* all that have a file; the last may be the newest one */
  int64_t number;    /* of the newest part */
};

static bool has_rows(const rows *r) { return r->records.rows + r->metrics.rows > 0; }

static int64_t bytes_of(const rows *r) {
  return wl_table_bytes(&r->records) + wl_table_bytes(&r->metrics);
}

static int64_t limit_of(const wl_trajectory *t) {
  return t->setting.part_bytes > 0 ? t->setting.part_bytes : (int64_t)PART_BYTES;
}

static void clear_rows(rows *r) {
  wl_table_clear(&r->records);
  wl_table_clear(&r->metrics);
}

/* ---- columns ---- */

/* One column of the records: its tail dimensions as indices into the lengths of a setting. */
enum length { NONE, STEP, COORDINATE, STATE, SNAPSHOT, PARAMETER };
static const char *const length_names[] = {"",      "step",     "coordinate",
                                           "state", "snapshot", "parameter"};

typedef struct column_spec {
  const char *name;
  wl_type type;
  bool sampled; /* half precision on request */
  enum length tail[3];
  const char *long_name;
} column_spec;

static const column_spec specs[] = {
    {"meta_step", WL_INT64, false, {NONE}, "meta-steps done when the window ran"},
    {"unit", WL_INT64, false, {NONE}, "unit of work within the meta-step"},
    {"episode", WL_INT64, false, {NONE}, "episode the window belongs to"},
    {"task", WL_INT64, false, {NONE}, "index of the task in the configuration"},
    {"t0", WL_INT64, false, {NONE}, "first inner step of the window"},
    {"steps", WL_INT64, false, {NONE}, "inner steps of the window; rows beyond are NaN"},
    {"loss", WL_FLOAT64, false, {STEP}, "inner loss at theta_t"},
    {"outer_loss", WL_FLOAT64, false, {STEP}, "outer loss at theta_t, NaN where not evaluated"},
    {"gradient_norm", WL_FLOAT64, false, {STEP}, "Euclidean norm of the gradient"},
    {"update_norm", WL_FLOAT64, false, {STEP}, "Euclidean norm of the update"},
    {"gradient", WL_REAL_TYPE, true, {STEP, COORDINATE}, "gradient of the sampled coordinates"},
    {"update", WL_REAL_TYPE, true, {STEP, COORDINATE}, "update of the sampled coordinates"},
    {"hidden",
     WL_REAL_TYPE,
     true,
     {STEP, COORDINATE, STATE},
     "state of the rule at them, after the step"},
    {"snapshot_step", WL_INT64, false, {SNAPSHOT}, "inner step of each snapshot, -1: none"},
    {"theta", WL_REAL_TYPE, true, {SNAPSHOT, PARAMETER}, "inner parameters at the snapshots"}};
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
  name_field(&f, spec->name, "1", spec->long_name, "record");
  for (int i = 0; i < 3 && spec->tail[i] != NONE; i++) {
    snprintf(f.dims[f.ndim], sizeof f.dims[0], "%s", length_names[spec->tail[i]]);
    f.shape[f.ndim] = length_of(&t->setting, spec->tail[i]);
    if (f.shape[f.ndim++] == 0) return WL_OK;
  }
  return wl_table_add_column(&t->appended.records, &f, spec->sampled && t->setting.half);
}

static wl_status add_metric_column(wl_trajectory *t, const char *name, wl_type type,
                                   const char *long_name) {
  wl_field f = {.type = type, .ndim = 1};
  char path[sizeof f.name];
  snprintf(path, sizeof path, "metrics/%s", name);
  name_field(&f, path, strstr(name, "seconds") ? "s" : "1", long_name, "meta_step");
  return wl_table_add_column(&t->appended.metrics, &f, false);
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

/* ---- parts ---- */

static wl_status remove_part(const wl_trajectory *t, int64_t number) {
  char name[WL_PART_NAME], path[WL_PATH_MAX];
  wl_part_name(number, name);
  WL_TRY(wl_path_join(path, t->folder, name));
  return unlink(path) == 0 || errno == ENOENT ? WL_OK : wl_os_fail("remove", path, errno);
}

/* Starts a new part for the next rows. */
static void begin_part(wl_trajectory *t) {
  clear_rows(&t->newest);
  t->number++;
}

/* Rewrites the file of the newest part. */
static wl_status write_part(wl_trajectory *t) {
  const bool renewed = t->list.count > 0 && t->list.at[t->list.count - 1].number == t->number;
  wl_part written;
  WL_TRY(wl_part_write(t->folder, t->number, &t->newest.records, &t->newest.metrics, &t->index,
                       t->setting.compression, &written));
  if (renewed) t->list.at[t->list.count - 1] = written;
  else WL_TRY(wl_part_list_append(&t->list, &written));
  t->unwritten = false;
  return WL_OK;
}

static wl_status write_index(wl_trajectory *t) {
  t->stale = true;
  WL_TRY(wl_index_write(t->run, &t->list, &t->index, t->attributes, t->n_attributes));
  t->stale = false;
  return WL_OK;
}

/* ---- resume ---- */

/* Rows at the front whose meta_step is at most `last`. */
static int64_t rows_up_to(wl_table *table, const char *name, int64_t last) {
  const wl_column *const c = wl_table_find(table, name);
  int64_t kept = 0;
  while (c && kept < table->rows && *(int64_t *)wl_table_cell(c, kept) <= last) kept++;
  return kept;
}

/* Reads the last part's rows into memory without those after the checkpoint. *whole: no row was dropped. Removes the
 * file if no row is left. */
static wl_status load_last(wl_trajectory *t, int64_t resume_step, bool *whole) {
  const wl_part *const s = &t->list.at[t->list.count - 1];
  rows *const r = &t->newest;
  *whole = s->last_record < resume_step && s->last_metric <= resume_step;
  t->number = s->number;
  WL_TRY(wl_part_load(t->folder, s, &r->records, &r->metrics));
  r->records.rows = rows_up_to(&r->records, "meta_step", resume_step - 1);
  r->metrics.rows = rows_up_to(&r->metrics, "metrics/meta_step", resume_step);
  if (has_rows(r)) return WL_OK;
  WL_TRY(remove_part(t, s->number));
  t->list.count--;
  clear_rows(r);
  return WL_OK;
}

/* Removes the rows after the checkpoint. The last remaining part becomes the newest again, so that an interrupted
 * run writes the same files as an uninterrupted one. */
static wl_status trim(wl_trajectory *t, int64_t resume_step) {
  bool whole = false;
  while (t->list.count > 0 && !has_rows(&t->newest)) WL_TRY(load_last(t, resume_step, &whole));
  if (!has_rows(&t->newest)) return WL_OK;
  t->unwritten = !whole;
  return whole ? WL_OK : write_part(t);
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
  WL_TRY(wl_path_join(t->folder, t->run, WL_TRAJECTORY_FOLDER));
  if (mkdir(t->folder, 0777) != 0 && errno != EEXIST)
    return wl_os_fail("create the folder", t->folder, errno);
  wl_remove_temporaries(t->folder);
  return WL_OK;
}

/* Numbers continue behind what an earlier process left. */
static wl_status continue_parts(wl_trajectory *t, int64_t resume_step) {
  int64_t highest = 0;
  WL_TRY(wl_part_scan(t->folder, &t->list, &highest));
  const int64_t last = t->list.count > 0 ? t->list.at[t->list.count - 1].number : 0;
  WL_TRY(trim(t, resume_step));
  if (highest > last) t->number = highest; /* damaged ones: their rows are lost */
  else if (!has_rows(&t->newest)) t->number = 0;
  else if (bytes_of(&t->newest) < limit_of(t)) return WL_OK;
  begin_part(t);
  return WL_OK;
}

static wl_status open_trajectory(wl_trajectory *t, const int64_t *index, int64_t resume_step,
                                 const wl_attribute *attributes, int n_attributes) {
  WL_TRY(make_folder(t));
  WL_TRY(set_index(t, index));
  WL_TRY(set_columns(t));
  WL_TRY(copy_attributes(t, attributes, n_attributes));
  WL_TRY(continue_parts(t, resume_step));
  return write_index(t);
}

static void destroy(wl_trajectory *t) {
  for (int i = 0; i < t->n_attributes; i++) {
    wl_free((char *)t->attributes[i].name);
    wl_free((char *)t->attributes[i].value);
  }
  wl_free(t->attributes);
  wl_free(t->index.data);
  clear_rows(&t->appended);
  clear_rows(&t->newest);
  wl_part_list_clear(&t->list);
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
  const wl_column *const c = wl_table_find(&t->appended.records, name);
  if (c && data && count > 0)
    memcpy(wl_table_cell(c, t->appended.records.rows - 1), data,
           (size_t)count * wl_type_size(c->field.type));
}

static void put_snapshots(wl_trajectory *t, const wl_record *r) {
  const wl_column *const c = wl_table_find(&t->appended.records, "theta");
  if (!c || !r->theta) return;
  put(t, "snapshot_step", r->snapshot_step, r->snapshots);
  wl_real *const cell = wl_table_cell(c, t->appended.records.rows - 1);
  for (int64_t i = 0; i < r->snapshots; i++)
    memcpy(cell + i * t->setting.n, r->theta + i * r->n, (size_t)r->n * sizeof(wl_real));
}

static void put_numbers(wl_trajectory *t, const wl_record *r) {
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"meta_step", r->meta_step}, {"unit", r->unit}, {"episode", r->episode},
                 {"task", r->task},           {"t0", r->t0},     {"steps", r->steps}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    put(t, numbers[i].name, &numbers[i].value, 1);
}

wl_status wl_trajectory_append(wl_trajectory *t, const wl_record *r) {
  const wl_trajectory_setting *const s = &t->setting;
  WL_CHECK(r->steps <= s->steps);
  WL_CHECK(s->n == 0 || (r->snapshots <= s->snapshots && r->n <= s->n));
  WL_TRY(wl_table_extend(&t->appended.records, 1));
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
  if (t->appended.metrics.count == 0) WL_TRY(register_metrics(t, metrics, count));
  WL_CHECK(t->appended.metrics.count == count + 1);
  for (int i = 0; i < count; i++)
    WL_CHECK(strcmp(t->appended.metrics.columns[i + 1].field.name + strlen("metrics/"),
                    metrics[i].name) == 0);
  WL_TRY(wl_table_extend(&t->appended.metrics, 1));
  const int64_t row = t->appended.metrics.rows - 1;
  *(int64_t *)wl_table_cell(&t->appended.metrics.columns[0], row) = meta_step;
  for (int i = 0; i < count; i++)
    *(double *)wl_table_cell(&t->appended.metrics.columns[i + 1], row) = values[i];
  return WL_OK;
}

/* ---- stage and write ---- */

/* Rows with other columns than the newest part go to a new part. */
static bool fits_newest(const wl_trajectory *t) {
  const rows *const a = &t->appended, *const n = &t->newest;
  const bool records =
      n->records.rows == 0 || a->records.rows == 0 || wl_table_alike(&a->records, &n->records);
  return records &&
         (n->metrics.rows == 0 || a->metrics.rows == 0 || wl_table_alike(&a->metrics, &n->metrics));
}

static wl_status move_rows(wl_table *from, wl_table *to) {
  if (from->rows == 0) return WL_OK;
  if (to->rows == 0) wl_table_clear(to);
  return wl_table_move_rows(from, to);
}

wl_status wl_trajectory_stage(wl_trajectory *t) {
  if (!has_rows(&t->appended)) return WL_OK;
  if (!fits_newest(t)) {
    if (t->unwritten) return WL_OK; /* its own rows first */
    begin_part(t);
  }
  t->unwritten = true;
  WL_TRY(move_rows(&t->appended.records, &t->newest.records));
  return move_rows(&t->appended.metrics, &t->newest.metrics);
}

wl_status wl_trajectory_write(wl_trajectory *t) {
  if (!t->unwritten && !t->stale) return WL_OK;
  t->stale = true;
  if (t->unwritten) {
    WL_TRY(write_part(t));
    if (bytes_of(&t->newest) >= limit_of(t)) begin_part(t);
  }
  return write_index(t);
}

int64_t wl_trajectory_pending(const wl_trajectory *t) { return bytes_of(&t->appended); }

wl_status wl_trajectory_flush(wl_trajectory *t) {
  WL_TRY(wl_trajectory_write(t));
  WL_TRY(wl_trajectory_stage(t));
  return wl_trajectory_write(t);
}

wl_status wl_trajectory_close(wl_trajectory **trajectory) {
  wl_trajectory *const t = *trajectory;
  if (!t) return WL_OK;
  const wl_status status = wl_trajectory_flush(t);
  destroy(t);
  *trajectory = NULL;
  return status;
}
