/* part.c - writes, reads and finds the parts of a trajectory. */
#include "io/part.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

void wl_part_name(int64_t number, char name[WL_PART_NAME]) {
  snprintf(name, WL_PART_NAME, WL_PART_PREFIX "%08lld.h5", (long long)number);
}

void wl_parts_clear(wl_parts *parts) {
  wl_free(parts->at);
  wl_free(parts->index.data);
  *parts = (wl_parts){0};
}

static wl_status append(wl_parts *parts, const wl_part *part) {
  WL_TRY(WL_GROW(parts->at, parts->count, parts->room));
  parts->at[parts->count++] = *part;
  return WL_OK;
}

static wl_status part_path(const wl_parts *parts, int64_t number, char path[WL_PATH_MAX]) {
  char name[WL_PART_NAME];
  wl_part_name(number, name);
  return wl_path_join(path, parts->folder, name);
}

/* ---- contents of a part ---- */

/* Reads the names, types and shapes of a part's columns. The number of rows of a kind is the length
 * of the column of meta-steps of this kind. */
static wl_status read_content(const wl_file *file, wl_table *content) {
  for (int i = 0; i < file->datasets.count; i++) {
    if (strcmp(file->datasets.at[i], WL_COORDINATE_INDEX) == 0) continue;
    if (content->count == WL_TABLE_COLUMNS)
      return WL_FAIL(WL_ERR_DATA, "'%s' has more than %d datasets, and is therefore not a part of "
                                  "a trajectory", file->path, WL_TABLE_COLUMNS);
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

static wl_status open_part(const wl_parts *parts, int64_t number, wl_file **file) {
  char path[WL_PATH_MAX];
  WL_TRY(part_path(parts, number, path));
  return wl_file_open(path, WL_KIND_PART, file);
}

static wl_status read_part(const wl_parts *parts, int64_t number, wl_part *out) {
  wl_file *file = NULL;
  *out = (wl_part){.number = number};
  WL_TRY(open_part(parts, number, &file));
  const wl_status status = read_content(file, &out->content);
  wl_file_close(&file);
  return status;
}

/* ---- writing ---- */

wl_status wl_part_write(wl_parts *parts, int64_t number, const wl_table *rows) {
  wl_part part = {.number = number};
  wl_field fields[WL_TABLE_COLUMNS + 1];
  char path[WL_PATH_MAX], text[24];
  int n = 0;
  for (; n < rows->count; n++) {
    fields[n] = rows->columns[n];
    WL_TRY(wl_table_add_column(&part.content, &fields[n]));
  }
  for (int k = 0; k < WL_ROW_KINDS; k++) wl_table_set_rows(&part.content, k, rows->rows[k]);
  if (parts->index.shape[0] > 0) fields[n++] = parts->index;
  WL_TRY(part_path(parts, number, path));
  snprintf(text, sizeof text, "%lld", (long long)number);
  const wl_attribute attribute = {"number", text};
  WL_TRY(wl_content_write(&(wl_file_content){path, WL_KIND_PART, fields, n, &attribute, 1,
                                             parts->compression, NULL, NULL}));
  if (parts->count > 0 && parts->at[parts->count - 1].number == number) parts->count--;
  return append(parts, &part);
}

wl_status wl_part_remove_last(wl_parts *parts) {
  char path[WL_PATH_MAX];
  WL_TRY(part_path(parts, parts->at[parts->count - 1].number, path));
  if (unlink(path) != 0 && errno != ENOENT) return wl_os_fail("remove", path, errno);
  parts->count--;
  return WL_OK;
}

/* ---- reading ---- */

wl_status wl_part_load(const wl_parts *parts, int i, wl_table *rows) {
  const wl_part *const part = &parts->at[i];
  wl_file *file = NULL;
  *rows = part->content;
  for (int k = 0; k < WL_ROW_KINDS; k++) {
    rows->rows[k] = 0;
    WL_TRY(wl_table_extend(rows, k, part->content.rows[k]));
  }
  WL_TRY(open_part(parts, part->number, &file));
  wl_status status = WL_OK;
  for (int c = 0; status == WL_OK && c < rows->count; c++)
    status = wl_file_read(file, &rows->columns[c]);
  wl_file_close(&file);
  return status;
}

/* ---- finding ---- */

/* Prints a warning if the folder has parts of schema version 2 or less, whose names start with
 * "segment-". */
static wl_status warn_of_segments(const wl_parts *parts) {
  wl_names old;
  WL_TRY(wl_list_numbered(parts->folder, "segment-", &old));
  if (old.count > 0)
    wl_log_warning("'%s' has %d files of schema version 2 or less; the trajectory continues "
                   "without these files",
                   parts->folder, old.count);
  wl_names_clear(&old);
  return WL_OK;
}

static wl_status read_all(const wl_names *names, wl_parts *parts) {
  for (int i = 0; i < names->count; i++) {
    wl_part part;
    parts->highest = wl_numbered_name(names->at[i], WL_PART_PREFIX);
    const wl_status status = read_part(parts, parts->highest, &part);
    if (status == WL_OK) WL_TRY(append(parts, &part));
    else if (status != WL_ERR_DATA && status != WL_ERR_IO && status != WL_ERR_NO_INPUT)
      return status;
    else wl_log_warning("%s; the trajectory continues without this part", wl_last_error());
  }
  return WL_OK;
}

wl_status wl_parts_scan(const char *run, wl_parts *parts) {
  wl_names names = {0};
  *parts = (wl_parts){0};
  snprintf(parts->run, sizeof parts->run, "%s", run);
  WL_TRY(wl_path_join(parts->folder, run, WL_TRAJECTORY_FOLDER));
  WL_TRY(warn_of_segments(parts));
  WL_TRY(wl_list_numbered(parts->folder, WL_PART_PREFIX, &names));
  const wl_status status = read_all(&names, parts);
  wl_names_clear(&names);
  if (status != WL_OK) wl_parts_clear(parts);
  return status;
}
