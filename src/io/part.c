/* part.c - writing, reading and finding the parts of a trajectory. */
#include "io/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void wl_part_name(int64_t number, char name[WL_PART_NAME]) {
  snprintf(name, WL_PART_NAME, "part-%08lld.h5", (long long)number);
}

int64_t wl_part_number(const char *name) { return wl_numbered_name(name, "part-"); }

bool wl_is_metric(const char *name) { return strncmp(name, "metrics/", 8) == 0; }

void wl_part_list_clear(wl_part_list *list) {
  wl_free(list->at);
  *list = (wl_part_list){0};
}

wl_status wl_part_list_append(wl_part_list *list, const wl_part *part) {
  if (list->count == list->room) {
    wl_part *bigger = NULL;
    WL_TRY(WL_NEW(bigger, 2 * list->room + 8));
    if (list->count > 0) memcpy(bigger, list->at, (size_t)list->count * sizeof *bigger);
    wl_free(list->at);
    list->at = bigger;
    list->room = 2 * list->room + 8;
  }
  list->at[list->count++] = *part;
  return WL_OK;
}

/* ---- contents of a part ---- */

/* The meta-step of the last row, -1 without rows. */
static wl_status read_last(const wl_file *file, const char *name, int64_t *rows, int64_t *last) {
  wl_field f = {0};
  *rows = 0;
  *last = -1;
  if (!wl_file_has(file, name)) return WL_OK;
  WL_TRY(wl_file_query(file, name, &f));
  *rows = f.ndim == 1 ? f.shape[0] : 0;
  return *rows > 0 ? wl_file_read_range(file, name, WL_INT64, *rows - 1, 1, last) : WL_OK;
}

static wl_status read_content(const wl_file *file, wl_part *s) {
  WL_TRY(read_last(file, "meta_step", &s->records, &s->last_record));
  WL_TRY(read_last(file, "metrics/meta_step", &s->metrics, &s->last_metric));
  for (int i = 0; i < file->datasets.count; i++) {
    const char *const name = file->datasets.at[i];
    wl_field *const f = &s->fields[s->n_fields];
    if (strcmp(name, WL_COORDINATE_INDEX) == 0) continue;
    if (s->n_fields == WL_TABLE_COLUMNS)
      return WL_FAIL(WL_ERR_DATA, "'%s' has more than %d datasets", file->path, WL_TABLE_COLUMNS);
    WL_TRY(wl_file_query_stored(file, name, f, &s->half[s->n_fields++]));
    if (f->ndim < 1 || f->shape[0] != (wl_is_metric(name) ? s->metrics : s->records))
      return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' has not as many rows as the others", name,
                     file->path);
  }
  return WL_OK;
}

static wl_status open_part(const char *folder, int64_t number, wl_file **file) {
  char name[WL_PART_NAME], path[WL_PATH_MAX];
  wl_part_name(number, name);
  WL_TRY(wl_path_join(path, folder, name));
  return wl_file_open(path, WL_KIND_PART, file);
}

static wl_status read_part(const char *folder, int64_t number, wl_part *out) {
  wl_file *file = NULL;
  *out = (wl_part){.number = number};
  WL_TRY(open_part(folder, number, &file));
  const wl_status status = read_content(file, out);
  wl_file_close(&file);
  return status;
}

/* ---- writing ---- */

static int64_t last_of(const wl_table *table) {
  return table->rows > 0 ? *(int64_t *)wl_table_cell(&table->columns[0], table->rows - 1) : -1;
}

wl_status wl_part_write(const char *folder, int64_t number, const wl_table *records,
                        const wl_table *metrics, const wl_field *index, int compression,
                        wl_part *out) {
  wl_item items[2 * WL_TABLE_COLUMNS + 1];
  char name[WL_PART_NAME], path[WL_PATH_MAX], text[24];
  WL_CHECK(records->count + metrics->count <= WL_TABLE_COLUMNS);
  int n = wl_table_items(records, compression, items);
  if (metrics->rows > 0) n += wl_table_items(metrics, compression, items + n);
  *out = (wl_part){.number = number,
                   .records = records->rows,
                   .metrics = metrics->rows,
                   .last_record = last_of(records),
                   .last_metric = last_of(metrics),
                   .n_fields = n};
  for (int i = 0; i < n; i++) {
    out->fields[i] = items[i].field;
    out->fields[i].data = NULL;
    out->half[i] = items[i].half;
  }
  if (index->shape[0] > 0) items[n++] = (wl_item){.field = *index};
  wl_part_name(number, name);
  WL_TRY(wl_path_join(path, folder, name));
  snprintf(text, sizeof text, "%lld", (long long)number);
  const wl_attribute attribute = {"number", text};
  const wl_file_content content = {path, WL_KIND_PART, items, n, &attribute, 1, NULL, NULL};
  return wl_items_write(&content);
}

/* ---- reading ---- */

static wl_status load_columns(const wl_file *file, const wl_table *table) {
  for (int i = 0; i < table->count; i++) {
    wl_field target = table->columns[i].field;
    target.shape[0] = table->rows;
    WL_TRY(wl_file_read_rows(file, &target, 0));
  }
  return WL_OK;
}

/* The column of meta-steps comes first. */
static wl_status add_columns(const wl_part *s, bool metrics, wl_table *table) {
  for (int first = 1; first >= 0; first--)
    for (int i = 0; i < s->n_fields; i++) {
      const char *const name = s->fields[i].name;
      const bool is_first = strcmp(name, metrics ? "metrics/meta_step" : "meta_step") == 0;
      if (wl_is_metric(name) == metrics && is_first == (first == 1))
        WL_TRY(wl_table_add_column(table, &s->fields[i], s->half[i]));
    }
  return wl_table_extend(table, metrics ? s->metrics : s->records);
}

wl_status wl_part_load(const char *folder, const wl_part *part, wl_table *records,
                       wl_table *metrics) {
  wl_file *file = NULL;
  WL_TRY(add_columns(part, false, records));
  WL_TRY(add_columns(part, true, metrics));
  WL_TRY(open_part(folder, part->number, &file));
  wl_status status = load_columns(file, records);
  if (status == WL_OK) status = load_columns(file, metrics);
  wl_file_close(&file);
  return status;
}

/* Until schema version 2 the name began with "segment-". */
static bool is_part(const char *name) {
  return wl_part_number(name) >= 0 || wl_numbered_name(name, "segment-") >= 0;
}

static int by_number(const void *a, const void *b) {
  const wl_part *const x = a, *const y = b;
  return (x->number > y->number) - (x->number < y->number);
}

static wl_status read_all(const char *folder, const wl_names *names, wl_part_list *list) {
  for (int i = 0; i < names->count; i++) {
    wl_part part;
    if (wl_part_number(names->at[i]) < 0) {
      wl_log_warning("'%s/%s' is of schema version 2 or less; the trajectory continues without it",
                     folder, names->at[i]);
      continue;
    }
    const wl_status status = read_part(folder, wl_part_number(names->at[i]), &part);
    if (status == WL_OK) WL_TRY(wl_part_list_append(list, &part));
    else if (status != WL_ERR_DATA && status != WL_ERR_IO && status != WL_ERR_NO_INPUT)
      return status;
    else wl_log_warning("%s; the trajectory continues without it", wl_last_error());
  }
  return WL_OK;
}

wl_status wl_part_scan(const char *folder, wl_part_list *list, int64_t *highest) {
  wl_names names;
  *list = (wl_part_list){0};
  *highest = 0;
  WL_TRY(wl_list_folder(folder, is_part, &names));
  for (int i = 0; i < names.count; i++)
    if (wl_part_number(names.at[i]) > *highest) *highest = wl_part_number(names.at[i]);
  const wl_status status = read_all(folder, &names, list);
  wl_names_clear(&names);
  if (status != WL_OK) wl_part_list_clear(list);
  if (list->count > 1) qsort(list->at, (size_t)list->count, sizeof *list->at, by_number);
  return status;
}
