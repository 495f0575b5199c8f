/* trajectory.c - collects records and metrics in memory, writes their rows to parts, and continues
 * a trajectory after a resume.
 *
 * - New rows are added to the table `appended`.
 * - wl_trajectory_stage moves the rows of `appended` to the table `newest`, which contains the rows of the newest part.
 * - wl_trajectory_write writes the table `newest` to the file of the newest part, and then writes the index.
 *
 * One thread may append rows while another thread writes. While wl_trajectory_stage runs, no thread
 * may append or write. */
#include "io/trajectory.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/part.h"

/* By default, a part is full when its rows have PART_BYTES bytes. */
enum { PART_BYTES = 1 << 23 };

struct wl_trajectory {
  wl_trajectory_setting setting;
  char *configuration; /* owned */
  wl_table appended, newest;
  /* true: the file of the newest part, or trajectory.h5, does not contain all rows of `newest` */
  bool unwritten;
  /* all parts that have a file; if the newest part has a file, this part is the last entry */
  wl_parts parts;
  int64_t number; /* number of the newest part */
};

static bool has_rows(const wl_table *t) { return t->rows[WL_RECORDS] + t->rows[WL_METRICS] > 0; }

static bool is_full(const wl_trajectory *t) {
  return wl_table_bytes(&t->newest) >=
         (t->setting.part_bytes > 0 ? t->setting.part_bytes : (int64_t)PART_BYTES);
}

/* ---- columns ---- */

/* The dimensions that a column of records can have after its first dimension, which is the record.
 * The settings determine the lengths of these dimensions. */
enum length { NONE, STEP, COORDINATE, STATE, SNAPSHOT, PARAMETER };
static const char *const length_names[] = {"",      "step",     "coordinate",
                                           "state", "snapshot", "parameter"};

typedef struct column_spec {
  const char *name;
  size_t member; /* offset in wl_record of the value, or of the pointer to the values */
  wl_type type;
  bool sampled; /* true: the column is stored in half precision if the settings request this */
  enum length tail[3];
  const char *long_name;
} column_spec;

#define INTEGER(name, meaning) \
  { #name, offsetof(wl_record, name), WL_INT64, false, {NONE }, meaning }
#define SERIES(name, type, length, meaning) \
  { #name, offsetof(wl_record, name), type, false, {length }, meaning }
#define SAMPLED(name, meaning, ...) \
  { #name, offsetof(wl_record, name), WL_REAL_TYPE, true, {__VA_ARGS__ }, meaning }
static const column_spec specs[] = {
    INTEGER(meta_step, "number of meta-steps done before the window"),
    INTEGER(unit, "index of the unit in the meta-step"),
    INTEGER(episode, "index of the episode to which the window belongs"),
    INTEGER(task, "index of the task in the configuration"),
    INTEGER(t0, "first inner step of the window"),
    INTEGER(steps, "number of inner steps of the window; the values of later steps are NaN"),
    SERIES(loss, WL_FLOAT64, STEP, "inner loss at theta_t"),
    SERIES(outer_loss, WL_FLOAT64, STEP, "outer loss at theta_t; NaN if it was not evaluated"),
    SERIES(gradient_norm, WL_FLOAT64, STEP, "Euclidean norm of the gradient"),
    SERIES(update_norm, WL_FLOAT64, STEP, "Euclidean norm of the update"),
    SAMPLED(gradient, "gradient of the sampled coordinates", STEP, COORDINATE),
    SAMPLED(update, "update of the sampled coordinates", STEP, COORDINATE),
    SAMPLED(hidden, "state of the rule at the sampled coordinates after the inner step", STEP,
            COORDINATE, STATE),
    SERIES(snapshot_step, WL_INT64, SNAPSHOT, "inner step of each snapshot; -1 if there is no "
                                              "snapshot"),
    SAMPLED(theta, "inner parameters at the snapshots", SNAPSHOT, PARAMETER)};
enum { N_SPECS = sizeof specs / sizeof *specs };

static int64_t length_of(const wl_trajectory_setting *s, enum length length) {
  const int64_t lengths[] = {1, s->steps, s->coordinates, s->hidden, s->snapshots, s->n};
  return lengths[length];
}

size_t wl_record_arrange(const wl_trajectory_setting *s, void *memory, wl_record *record) {
  size_t at = 0;
  for (int i = 0; i < N_SPECS; i++) {
    const column_spec *const spec = &specs[i];
    char *const array = memory ? (char *)memory + at : NULL;
    size_t bytes = wl_type_size(spec->type);
    if (spec->tail[0] == NONE) continue;
    for (int d = 0; d < 3; d++) bytes *= (size_t)length_of(s, spec->tail[d]);
    at += (bytes + 7) / 8 * 8;
    memcpy((char *)record + spec->member, &array, sizeof array);
  }
  return at;
}

static void name_field(wl_field *f, const char *name, const char *units, const char *long_name,
                       const char *row) {
  snprintf(f->name, sizeof f->name, "%s", name);
  snprintf(f->units, sizeof f->units, "%s", units);
  snprintf(f->long_name, sizeof f->long_name, "%s", long_name);
  snprintf(f->dims[0], sizeof f->dims[0], "%s", row);
}

/* Adds a column of records. Does nothing if the settings make one of its dimensions zero. */
static wl_status add_record_column(wl_trajectory *t, const column_spec *spec) {
  wl_field f = {.type = spec->type, .ndim = 1};
  name_field(&f, spec->name, "1", spec->long_name, "record");
  for (int i = 0; i < 3 && spec->tail[i] != NONE; i++) {
    snprintf(f.dims[f.ndim], sizeof f.dims[0], "%s", length_names[spec->tail[i]]);
    f.shape[f.ndim] = length_of(&t->setting, spec->tail[i]);
    if (f.shape[f.ndim++] == 0) return WL_OK;
  }
  f.half = spec->sampled && t->setting.half;
  return wl_table_add_column(&t->appended, &f);
}

static wl_status add_metric_column(wl_trajectory *t, const wl_metric *metric, wl_type type) {
  wl_field f = {.type = type, .ndim = 1};
  char path[sizeof f.name];
  snprintf(path, sizeof path, "metrics/%s", metric->name);
  name_field(&f, path, strstr(metric->name, "seconds") ? "s" : "1", metric->meaning, "meta_step");
  return wl_table_add_column(&t->appended, &f);
}

static wl_status add_columns(wl_trajectory *t) {
  static const wl_metric meta_step = {"meta_step", "number of meta-steps done, including this one"};
  for (int i = 0; i < N_SPECS; i++) WL_TRY(add_record_column(t, &specs[i]));
  WL_TRY(add_metric_column(t, &meta_step, WL_INT64));
  for (int i = 0; i < t->setting.n_metrics; i++)
    WL_TRY(add_metric_column(t, &t->setting.metrics[i], WL_FLOAT64));
  return WL_OK;
}

static wl_status set_index(const wl_trajectory_setting *s, wl_field *index) {
  const int64_t count = s->coordinates;
  *index = (wl_field){.type = WL_INT64, .ndim = 1, .shape = {count}};
  name_field(index, WL_COORDINATE_INDEX, "1",
             "index in theta of each sampled coordinate, for the first task", "coordinate");
  WL_TRY(wl_alloc(&index->data, (size_t)count + 1, sizeof *s->index));
  if (count > 0) memcpy(index->data, s->index, (size_t)count * sizeof *s->index);
  return WL_OK;
}

/* ---- resume ---- */

/* Begins a new part, which receives the next rows: empties the table `newest` and increases the
 * number of the part. */
static void begin_part(wl_trajectory *t) {
  wl_table_clear(&t->newest);
  t->number++;
}

/* Removes the rows whose meta_step is above `last`. Returns true if there were no such rows. */
static bool drop_after(wl_table *table, wl_row_kind kind, int64_t last) {
  const wl_field *const c = wl_table_find(table, wl_meta_step_columns[kind]);
  const int64_t rows = table->rows[kind];
  int64_t kept = 0;
  while (c && kept < rows && *(int64_t *)wl_table_cell(c, kept) <= last) kept++;
  wl_table_set_rows(table, kind, kept);
  return kept == rows;
}

/* Removes all rows of steps after the checkpoint, and then all parts that have no rows. The last
 * remaining part becomes the newest part. A run that was interrupted therefore writes the same
 * files as a run without an interruption. */
static wl_status trim(wl_trajectory *t, int64_t resume_step) {
  wl_table *const newest = &t->newest;
  while (t->parts.count > 0) {
    const int last = t->parts.count - 1;
    t->number = t->parts.at[last].number;
    WL_TRY(wl_part_load(&t->parts, last, newest));
    const bool records = drop_after(newest, WL_RECORDS, resume_step - 1),
               whole = drop_after(newest, WL_METRICS, resume_step) && records;
    if (has_rows(newest)) return whole ? WL_OK : wl_part_write(&t->parts, t->number, newest);
    wl_table_clear(newest);
    WL_TRY(wl_part_remove_last(&t->parts));
  }
  return WL_OK;
}

/* ---- open ---- */

/* Continues the numbering of the parts that an earlier process wrote. */
static wl_status continue_parts(wl_trajectory *t, int64_t resume_step) {
  const int64_t last = t->parts.count > 0 ? t->parts.at[t->parts.count - 1].number : 0;
  WL_TRY(trim(t, resume_step));
  if (t->parts.highest > last)
    /* parts with numbers above `last` are damaged, and their numbers are not used again */
    t->number = t->parts.highest;
  else if (!has_rows(&t->newest)) t->number = 0;
  else if (!is_full(t) && wl_table_alike(&t->appended, &t->newest)) return WL_OK;
  begin_part(t);
  return WL_OK;
}

static wl_status open_trajectory(wl_trajectory *t, const char *run, int64_t resume_step) {
  WL_TRY(wl_parts_scan(run, &t->parts));
  WL_TRY(wl_make_folder(t->parts.folder));
  wl_remove_temporaries(t->parts.folder);
  WL_TRY(set_index(&t->setting, &t->parts.index));
  t->parts.compression = t->setting.compression;
  WL_TRY(add_columns(t));
  WL_TRY(continue_parts(t, resume_step));
  return wl_index_write(&t->parts, t->configuration);
}

static void destroy(wl_trajectory *t) {
  free(t->configuration);
  wl_table_clear(&t->appended);
  wl_table_clear(&t->newest);
  wl_parts_clear(&t->parts);
  wl_free(t);
}

wl_status wl_trajectory_open(const char *run, const wl_trajectory_setting *setting,
                             int64_t resume_step, const char *configuration, wl_trajectory **out) {
  wl_trajectory *t = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(t, 1));
  t->setting = *setting;
  t->configuration = strdup(configuration);
  const wl_status status = t->configuration
                               ? open_trajectory(t, run, resume_step)
                               : WL_FAIL(WL_ERR_OS, "out of memory: cannot copy the configuration "
                                                    "of the trajectory");
  if (status == WL_OK) *out = t;
  else destroy(t);
  return status;
}

/* ---- append ---- */

/* Copies the values of one member of the record to the last row of its column. Does nothing if the
 * table has no such column. The record may have fewer steps or snapshots than a row of the column,
 * and a snapshot may have fewer parameters. */
static void put(wl_trajectory *t, const column_spec *spec, const wl_record *r) {
  const wl_field *const c = wl_table_find(&t->appended, spec->name);
  const char *values = (const char *)r + spec->member;
  if (!c) return;
  char *const cell = wl_table_cell(c, t->appended.rows[WL_RECORDS] - 1);
  const size_t element = wl_type_size(c->type);
  int64_t rows = 1, length = 1, room = 1;
  if (spec->tail[0] != NONE) {
    memcpy(&values, values, sizeof values);
    rows = !values ? 0 : spec->tail[0] == STEP ? r->steps : r->snapshots;
    room = length = wl_row_width(c) / c->shape[1];
    if (spec->tail[1] == PARAMETER) length = r->n;
  }
  for (int64_t i = 0; i < rows; i++)
    memcpy(cell + (size_t)(i * room) * element, values + (size_t)(i * length) * element,
           (size_t)length * element);
}

wl_status wl_trajectory_append(wl_trajectory *t, const wl_record *r) {
  const wl_trajectory_setting *const s = &t->setting;
  WL_CHECK(r->steps <= s->steps);
  WL_CHECK(s->n == 0 || (r->snapshots <= s->snapshots && r->n <= s->n));
  WL_TRY(wl_table_extend(&t->appended, WL_RECORDS, 1));
  for (int i = 0; i < N_SPECS; i++) put(t, &specs[i], r);
  return WL_OK;
}

wl_status wl_trajectory_metrics(wl_trajectory *t, int64_t meta_step, const double *values) {
  wl_table *const table = &t->appended;
  WL_TRY(wl_table_extend(table, WL_METRICS, 1));
  const int64_t row = table->rows[WL_METRICS] - 1;
  const wl_field *const first = &table->columns[table->count - t->setting.n_metrics - 1];
  *(int64_t *)wl_table_cell(first, row) = meta_step;
  for (int i = 0; i < t->setting.n_metrics; i++)
    *(double *)wl_table_cell(&first[1 + i], row) = values[i];
  return WL_OK;
}

/* ---- staging and writing rows ---- */

wl_status wl_trajectory_stage(wl_trajectory *t) {
  if (!has_rows(&t->appended)) return WL_OK;
  t->unwritten = true;
  return wl_table_move_rows(&t->appended, &t->newest);
}

wl_status wl_trajectory_write(wl_trajectory *t) {
  if (!t->unwritten) return WL_OK;
  WL_TRY(wl_part_write(&t->parts, t->number, &t->newest));
  WL_TRY(wl_index_write(&t->parts, t->configuration));
  t->unwritten = false;
  if (is_full(t)) begin_part(t);
  return WL_OK;
}

int64_t wl_trajectory_pending(const wl_trajectory *t) { return wl_table_bytes(&t->appended); }

wl_status wl_trajectory_flush(wl_trajectory *t) {
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
