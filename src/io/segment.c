/* segment.c - writing, reading and finding the segments of a trajectory. */
#include "io/segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

void wl_segment_name(int64_t number, char name[WL_SEGMENT_NAME]) {
  snprintf(name, WL_SEGMENT_NAME, "segment-%08lld.h5", (long long)number);
}

int64_t wl_segment_number(const char *name) {
  char again[WL_SEGMENT_NAME];
  long long number = -1;
  if (sscanf(name, "segment-%lld.h5", &number) != 1 || number < 0) return -1;
  wl_segment_name(number, again);
  return strcmp(again, name) == 0 ? number : -1;
}

bool wl_is_metric(const char *name) { return strncmp(name, "metrics/", 8) == 0; }

void wl_segment_clear(wl_segment *segment) {
  wl_free(segment->fields);
  wl_free(segment->half);
  *segment = (wl_segment){0};
}

void wl_segment_list_clear(wl_segment_list *list) {
  for (int i = 0; i < list->count; i++) wl_segment_clear(&list->at[i]);
  wl_free(list->at);
  *list = (wl_segment_list){0};
}

wl_status wl_segment_list_append(wl_segment_list *list, const wl_segment *segment) {
  if (list->count == list->capacity) {
    const int capacity = 2 * list->capacity + 32;
    wl_segment *bigger = NULL;
    WL_TRY(WL_NEW(bigger, capacity));
    if (list->count > 0) memcpy(bigger, list->at, (size_t)list->count * sizeof *bigger);
    wl_free(list->at);
    list->at = bigger;
    list->capacity = capacity;
  }
  list->at[list->count++] = *segment;
  return WL_OK;
}

/* ---- what a segment holds ---- */

static wl_status take_number(const wl_file *file, const char *name, int64_t *value) {
  char *text = NULL;
  WL_TRY(wl_file_attribute(file, name, &text));
  *value = strtoll(text, NULL, 10);
  free(text);
  return WL_OK;
}

static wl_status take_identity(const wl_file *file, wl_segment *s) {
  int64_t level = 0;
  WL_TRY(take_number(file, "number", &s->number));
  WL_TRY(take_number(file, "stands_from", &s->from));
  WL_TRY(take_number(file, "stands_to", &s->to));
  WL_TRY(take_number(file, "level", &level));
  s->level = (int)level;
  return WL_OK;
}

static void count_rows(wl_segment *s) {
  s->records = s->metrics = s->bytes = 0;
  for (int i = 0; i < s->n_fields; i++) {
    const wl_field *const f = &s->fields[i];
    s->bytes += wl_field_count(f) * (int64_t)wl_type_size(f->type);
    if (strcmp(f->name, "meta_step") == 0) s->records = f->shape[0];
    if (strcmp(f->name, "metrics/meta_step") == 0) s->metrics = f->shape[0];
  }
}

static wl_status take_last(const wl_file *file, const char *name, int64_t rows, int64_t *last) {
  *last = -1;
  return rows > 0 ? wl_file_read_range(file, name, WL_INT64, rows - 1, 1, last) : WL_OK;
}

static wl_status take_fields(const wl_file *file, char *const *names, int count, wl_segment *s) {
  WL_TRY(WL_NEW(s->fields, count));
  WL_TRY(WL_NEW(s->half, count));
  for (int i = 0; i < count; i++) {
    if (strcmp(names[i], WL_COORDINATE_INDEX) == 0) continue;
    WL_TRY(wl_file_query_stored(file, names[i], &s->fields[s->n_fields], &s->half[s->n_fields]));
    s->n_fields++;
  }
  count_rows(s);
  WL_TRY(take_last(file, "meta_step", s->records, &s->last_record));
  return take_last(file, "metrics/meta_step", s->metrics, &s->last_metric);
}

static wl_status read_content(const wl_file *file, wl_segment *s) {
  char **names = NULL;
  int count = 0;
  WL_TRY(take_identity(file, s));
  WL_TRY(wl_h5_list(file->path, file->id, &names, &count));
  const wl_status status = take_fields(file, names, count, s);
  wl_free_names(names, count);
  return status;
}

wl_status wl_segment_read(const char *folder, const char *name, wl_segment *out) {
  char path[WL_PATH_MAX];
  wl_file *file = NULL;
  *out = (wl_segment){0};
  WL_TRY(wl_join(path, folder, name));
  WL_TRY(wl_file_open(path, "trajectory segment", &file));
  const wl_status status = read_content(file, out);
  wl_file_close(&file);
  if (status != WL_OK) wl_segment_clear(out);
  return status;
}

/* ---- writing ---- */

static int64_t last_of(const wl_item *items, int n_items, const char *name) {
  for (int i = 0; i < n_items; i++)
    if (strcmp(items[i].field.name, name) == 0 && items[i].field.shape[0] > 0)
      return ((const int64_t *)items[i].field.data)[items[i].field.shape[0] - 1];
  return -1;
}

/* A description of what the items hold. */
static wl_status describe(const wl_segment *identity, const wl_item *items, int n_items,
                          wl_segment *out) {
  *out = *identity;
  out->n_fields = 0;
  out->fields = NULL;
  out->half = NULL;
  WL_TRY(WL_NEW(out->fields, n_items));
  WL_TRY(WL_NEW(out->half, n_items));
  for (int i = 0; i < n_items; i++) {
    if (strcmp(items[i].field.name, WL_COORDINATE_INDEX) == 0) continue;
    out->fields[out->n_fields] = items[i].field;
    out->fields[out->n_fields].data = NULL;
    out->half[out->n_fields++] = items[i].half;
  }
  count_rows(out);
  out->last_record = last_of(items, n_items, "meta_step");
  out->last_metric = last_of(items, n_items, "metrics/meta_step");
  return WL_OK;
}

static wl_status write_items(const char *folder, const wl_segment *identity, const wl_item *items,
                             int n_items) {
  char name[WL_SEGMENT_NAME], path[WL_PATH_MAX], text[4][24];
  const int64_t numbers[4] = {identity->number, identity->from, identity->to, identity->level};
  for (int i = 0; i < 4; i++) snprintf(text[i], sizeof text[i], "%lld", (long long)numbers[i]);
  const wl_attribute attributes[4] = {
      {"number", text[0]}, {"stands_from", text[1]}, {"stands_to", text[2]}, {"level", text[3]}};
  wl_segment_name(identity->number, name);
  WL_TRY(wl_join(path, folder, name));
  return wl_items_write(path, "trajectory segment", items, n_items, attributes, 4, NULL);
}

wl_status wl_segment_write(const char *folder, const wl_segment *identity, const wl_table *records,
                           const wl_table *metrics, const wl_field *index, int compression,
                           wl_segment *out) {
  wl_item *items = NULL;
  int n = 0;
  *out = (wl_segment){0};
  WL_TRY(WL_NEW(items, records->count + metrics->count + 1));
  n += wl_table_items(records, compression, items);
  if (metrics->rows > 0) n += wl_table_items(metrics, compression, items + n);
  if (index->shape[0] > 0) items[n++] = (wl_item){.field = *index};
  wl_status status = describe(identity, items, n, out);
  if (status == WL_OK) status = write_items(folder, identity, items, n);
  if (status != WL_OK) wl_segment_clear(out);
  wl_free(items);
  return status;
}

/* ---- loading several as one ---- */

/* Widens a table's columns, or adds one, so that a segment's dataset fits. */
static wl_status fit_column(wl_table *table, const wl_field *field, bool half) {
  wl_column *const c = wl_table_find(table, field->name);
  if (!c) return wl_table_add_column(table, field, half);
  WL_CHECK(c->field.ndim == field->ndim);
  if (field->type == WL_FLOAT64) c->field.type = WL_FLOAT64;
  c->half = c->half && half;
  c->width = 1;
  for (int d = 1; d < field->ndim; d++) {
    if (field->shape[d] > c->field.shape[d]) c->field.shape[d] = field->shape[d];
    c->width *= c->field.shape[d];
  }
  return WL_OK;
}

static wl_status fit_tables(const wl_segment *s, wl_table *records, wl_table *metrics) {
  for (int i = 0; i < s->n_fields; i++)
    WL_TRY(
        fit_column(wl_is_metric(s->fields[i].name) ? metrics : records, &s->fields[i], s->half[i]));
  return WL_OK;
}

static wl_status load_columns(const wl_file *file, const wl_table *table, int64_t row) {
  for (int i = 0; i < table->count; i++) {
    wl_field target = table->columns[i].field;
    target.shape[0] = table->rows;
    if (wl_file_has(file, target.name)) WL_TRY(wl_file_read_rows(file, &target, row));
  }
  return WL_OK;
}

static wl_status load_one(const char *folder, const wl_segment *s, const wl_table *records,
                          int64_t record, const wl_table *metrics, int64_t metric) {
  char name[WL_SEGMENT_NAME], path[WL_PATH_MAX];
  wl_file *file = NULL;
  wl_segment_name(s->number, name);
  WL_TRY(wl_join(path, folder, name));
  WL_TRY(wl_file_open(path, "trajectory segment", &file));
  wl_status status = load_columns(file, records, record);
  if (status == WL_OK && s->metrics > 0) status = load_columns(file, metrics, metric);
  wl_file_close(&file);
  return status;
}

wl_status wl_segment_load(const char *folder, const wl_segment_list *list, int first, int count,
                          wl_table *records, wl_table *metrics) {
  int64_t n_records = 0, n_metrics = 0, record = 0, metric = 0;
  for (int i = first; i < first + count; i++) {
    WL_TRY(fit_tables(&list->at[i], records, metrics));
    n_records += list->at[i].records;
    n_metrics += list->at[i].metrics;
  }
  WL_TRY(wl_table_extend(records, n_records));
  WL_TRY(wl_table_extend(metrics, n_metrics));
  for (int i = first; i < first + count; i++) {
    WL_TRY(load_one(folder, &list->at[i], records, record, metrics, metric));
    record += list->at[i].records;
    metric += list->at[i].metrics;
  }
  return WL_OK;
}

/* ---- finding ---- */

static bool is_segment(const char *name) { return wl_segment_number(name) >= 0; }

static int by_time(const void *a, const void *b) {
  const wl_segment *const x = a, *const y = b;
  return (x->from > y->from) - (x->from < y->from);
}

static bool is_superseded(const wl_segment_list *list, int i) {
  const wl_segment *const s = &list->at[i];
  for (int k = 0; k < list->count; k++) {
    const wl_segment *const t = &list->at[k];
    if (t->number > s->number && t->from <= s->from && s->to <= t->to) return true;
  }
  return false;
}

/* Takes the superseded ones out of the list. */
static wl_status keep_live(const char *folder, bool remove, wl_segment_list *list) {
  bool *gone = NULL;
  int kept = 0;
  WL_TRY(WL_NEW(gone, list->count + 1));
  for (int i = 0; i < list->count; i++) gone[i] = is_superseded(list, i);
  for (int i = 0; i < list->count; i++) {
    char name[WL_SEGMENT_NAME], path[WL_PATH_MAX];
    if (!gone[i]) {
      list->at[kept++] = list->at[i];
      continue;
    }
    wl_segment_name(list->at[i].number, name);
    if (remove && wl_join(path, folder, name) == WL_OK) unlink(path);
    wl_segment_clear(&list->at[i]);
  }
  list->count = kept;
  wl_free(gone);
  return WL_OK;
}

static wl_status read_all(const char *folder, char *const *names, int count,
                          wl_segment_list *list) {
  for (int i = 0; i < count; i++) {
    wl_segment segment;
    const wl_status status = wl_segment_read(folder, names[i], &segment);
    if (status == WL_ERR_DATA || status == WL_ERR_IO) {
      wl_log_warning("%s; the trajectory goes on without it", wl_last_error());
      continue;
    }
    WL_TRY(status);
    WL_TRY(wl_segment_list_append(list, &segment));
  }
  return WL_OK;
}

wl_status wl_segment_scan(const char *folder, bool remove, wl_segment_list *list,
                          int64_t *highest) {
  char **names = NULL;
  int count = 0;
  *list = (wl_segment_list){0};
  *highest = 0;
  WL_TRY(wl_list_folder(folder, is_segment, &names, &count));
  for (int i = 0; i < count; i++)
    if (wl_segment_number(names[i]) > *highest) *highest = wl_segment_number(names[i]);
  wl_status status = read_all(folder, names, count, list);
  wl_free_names(names, count);
  if (status == WL_OK) status = keep_live(folder, remove, list);
  if (status != WL_OK) {
    wl_segment_list_clear(list);
    return status;
  }
  if (list->count > 1) qsort(list->at, (size_t)list->count, sizeof *list->at, by_time);
  return WL_OK;
}
