/* part.c - writes, reads and finds the parts of a trajectory. */
#include "io/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void wl_part_name(int64_t number, char name[WL_PART_NAME]) {
  snprintf(name, WL_PART_NAME, "part-%08lld.h5", (long long)number);
}

int64_t wl_part_number(const char *name) { return wl_numbered_name(name, "part-"); }

void wl_part_list_clear(wl_part_list *list) {
  wl_free(list->at);
  *list = (wl_part_list){0};
}

wl_status wl_part_list_append(wl_part_list *list, const wl_part *part) {
  WL_TRY(WL_GROW(list->at, list->count, list->room));
  list->at[list->count++] = *part;
  return WL_OK;
}

/* ---- contents of a part ---- */

/* Reads the columns of a part. The column of meta-steps gives the number of rows of its kind. */
static wl_status read_content(const wl_file *file, wl_table *content) {
  for (int i = 0; i < file->datasets.count; i++) {
    if (strcmp(file->datasets.at[i], WL_COORDINATE_INDEX) == 0) continue;
    if (content->count == WL_TABLE_COLUMNS)
      return WL_FAIL(WL_ERR_DATA, "'%s' has more than %d datasets", file->path, WL_TABLE_COLUMNS);
    WL_TRY(wl_file_query(file, file->datasets.at[i], &content->columns[content->count++]));
  }
  for (int k = 0; k < WL_ROW_KINDS; k++) {
    const wl_field *const step = wl_table_find(content, wl_meta_step_columns[k]);
    if (step && (step->type != WL_INT64 || step->ndim != 1))
      return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' is not a column of integers", step->name,
                     file->path);
    content->rows[k] = step ? step->shape[0] : 0;
  }
  for (int i = 0; i < content->count; i++) {
    const wl_field *const f = &content->columns[i];
    const wl_row_kind kind = wl_row_kind_of(f->name);
    if (f->ndim < 1 || f->shape[0] != content->rows[kind])
      return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' does not have as many rows as '%s'",
                     f->name, file->path, wl_meta_step_columns[kind]);
  }
  return WL_OK;
}

wl_status wl_part_path(const char *folder, int64_t number, char path[WL_PATH_MAX]) {
  char name[WL_PART_NAME];
  wl_part_name(number, name);
  return wl_path_join(path, folder, name);
}

static wl_status open_part(const char *folder, int64_t number, wl_file **file) {
  char path[WL_PATH_MAX];
  WL_TRY(wl_part_path(folder, number, path));
  return wl_file_open(path, WL_KIND_PART, file);
}

static wl_status read_part(const char *folder, int64_t number, wl_part *out) {
  wl_file *file = NULL;
  *out = (wl_part){.number = number};
  WL_TRY(open_part(folder, number, &file));
  const wl_status status = read_content(file, &out->content);
  wl_file_close(&file);
  return status;
}

/* ---- writing ---- */

wl_status wl_part_write(const char *folder, int64_t number, const wl_table *rows,
                        const wl_field *index, int compression, wl_part *out) {
  wl_field fields[WL_TABLE_COLUMNS + 1];
  char path[WL_PATH_MAX], text[24];
  int n = rows->count;
  *out = (wl_part){.number = number, .content = *rows};
  for (int i = 0; i < n; i++) out->content.columns[i].data = NULL;
  memcpy(fields, rows->columns, (size_t)n * sizeof *fields);
  if (index->shape[0] > 0) fields[n++] = *index;
  WL_TRY(wl_part_path(folder, number, path));
  snprintf(text, sizeof text, "%lld", (long long)number);
  const wl_attribute attribute = {"number", text};
  return wl_content_write(
      &(wl_file_content){path, WL_KIND_PART, fields, n, &attribute, 1, compression, NULL});
}

/* ---- reading ---- */

wl_status wl_part_load(const char *folder, const wl_part *part, wl_table *rows) {
  wl_file *file = NULL;
  *rows = part->content;
  for (int k = 0; k < WL_ROW_KINDS; k++) {
    rows->rows[k] = 0;
    WL_TRY(wl_table_extend(rows, k, part->content.rows[k]));
  }
  WL_TRY(open_part(folder, part->number, &file));
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < rows->count; i++)
    status = wl_file_read(file, &rows->columns[i]);
  wl_file_close(&file);
  return status;
}

/* Returns true if the file name is the name of a part. Up to schema version 2, names of parts began with "segment-". */
static bool is_part(const char *name) {
  return wl_part_number(name) >= 0 || wl_numbered_name(name, "segment-") >= 0;
}

static int by_number(const void *a, const void *b) {
  const wl_part *const x = a, *const y = b;
  return (x->number > y->number) - (x->number < y->number);
}

static wl_status read_all(const char *folder, const wl_names *names, wl_part_list *list,
                          int64_t *highest) {
  for (int i = 0; i < names->count; i++) {
    const int64_t number = wl_part_number(names->at[i]);
    wl_part part;
    if (number < 0) {
      wl_log_warning("'%s/%s' is of schema version 2 or less; the trajectory continues without it",
                     folder, names->at[i]);
      continue;
    }
    if (number > *highest) *highest = number;
    const wl_status status = read_part(folder, number, &part);
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
  const wl_status status = read_all(folder, &names, list, highest);
  wl_names_clear(&names);
  if (status != WL_OK) wl_part_list_clear(list);
  if (list->count > 1) qsort(list->at, (size_t)list->count, sizeof *list->at, by_number);
  return status;
}
