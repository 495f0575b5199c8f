/* part_index.c - writes RUN/trajectory.h5, which joins the datasets of all parts as virtual datasets without copying
 * data.
 *
 * A virtual dataset consists of the rows of the datasets with the same name in all parts. After a
 * resume with other settings, the rows of a later part may be longer or shorter. The rows of a
 * virtual dataset have the length of the longest row of all parts, and missing elements are read as
 * NaN or -1. The rows of a missing part are also read as NaN or -1. The attribute `parts` lists the
 * numbers of the parts. */
#include <stdio.h>
#include <string.h>

#include "base/real.h"
#include "io/part.h"

/* Adds a column of a part to the fields. If the fields already have a field of this name, enlarges
 * this field so that the column fits. */
static wl_status fit_column(wl_field *fields, int *count, const wl_field *column) {
  int i = 0;
  while (i < *count && strcmp(fields[i].name, column->name) != 0) i++;
  wl_field *const field = &fields[i];
  if (i == *count) {
    *field = *column;
    ++*count;
    return WL_OK;
  }
  if (column->ndim != field->ndim)
    return WL_FAIL(WL_ERR_DATA, "dataset '%s' has different numbers of dimensions in two parts: "
                                "move one of these parts to another folder",
                   column->name);
  for (int d = 1; d < column->ndim; d++)
    if (column->shape[d] > field->shape[d]) field->shape[d] = column->shape[d];
  if (column->type == WL_FLOAT64) field->type = WL_FLOAT64;
  field->half = field->half && column->half;
  return WL_OK;
}

wl_status wl_index_fields(const wl_parts *parts, wl_field **fields, int *count) {
  int64_t rows[WL_ROW_KINDS] = {0};
  int most = 1;
  for (int p = 0; p < parts->count; p++) {
    most += parts->at[p].content.count;
    for (int k = 0; k < WL_ROW_KINDS; k++) rows[k] += parts->at[p].content.rows[k];
  }
  *count = 0;
  WL_TRY(WL_NEW(*fields, most));
  for (int p = 0; p < parts->count; p++)
    for (int i = 0; i < parts->at[p].content.count; i++)
      WL_TRY(fit_column(*fields, count, &parts->at[p].content.columns[i]));
  for (int i = 0; i < *count; i++) (*fields)[i].shape[0] = rows[wl_row_kind_of((*fields)[i].name)];
  return WL_OK;
}

/* Maps the rows of all parts to a virtual dataset of the index. */
static wl_status map_rows(const void *files, const wl_field *field, const char *path,
                          hid_t creation, hid_t space) {
  const wl_parts *const parts = files;
  const wl_row_kind kind = wl_row_kind_of(field->name);
  hsize_t first[WL_MAX_DIMS] = {0}, origin[WL_MAX_DIMS] = {0}, count[WL_MAX_DIMS];
  for (int p = 0; p < parts->count; p++) {
    const wl_table *const content = &parts->at[p].content;
    const wl_field *const column = wl_table_find(content, field->name);
    char name[WL_PART_NAME], file[WL_PART_NAME + sizeof WL_TRAJECTORY_FOLDER];
    if (column && content->rows[kind] > 0 && wl_row_width(column) > 0) {
      for (int d = 0; d < field->ndim; d++) count[d] = (hsize_t)column->shape[d];
      const WL_H5_SCOPED from = H5Screate_simple(field->ndim, count, NULL);
      H5Sselect_hyperslab(from, H5S_SELECT_SET, origin, NULL, count,
                          /* map only the rows that the part has now, because rows may be added to
                           * the part later */
                          NULL);
      H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL);
      wl_part_name(parts->at[p].number, name);
      snprintf(file, sizeof file, WL_TRAJECTORY_FOLDER "/%s", name);
      WL_TRY_H5(H5Pset_virtual(creation, space, file, field->name, from), WL_ERR_IO, path,
                "map '%s' to '%s'", field->name, file);
    }
    first[0] += (hsize_t)content->rows[kind];
  }
  H5Sselect_all(space);
  return WL_OK;
}

/* Makes a string with the numbers of the parts, such as "1 2 5". The caller frees *text with
 * wl_free. */
static wl_status print_numbers(const wl_parts *parts, char **text) {
  const size_t room = (size_t)parts->count * 21 + 1;
  size_t at = 0;
  WL_TRY(wl_alloc((void **)text, room, 1));
  for (int i = 0; i < parts->count; i++)
    at += (size_t)snprintf(*text + at, room - at, "%s%lld", i > 0 ? " " : "",
                           (long long)parts->at[i].number);
  return WL_OK;
}

wl_status wl_index_write(const wl_parts *parts, const char *configuration) {
  char path[WL_PATH_MAX], *numbers = NULL;
  wl_field *fields = NULL;
  int count = 0;
  WL_TRY(wl_path_join(path, parts->run, WL_TRAJECTORY_INDEX));
  wl_status status = wl_index_fields(parts, &fields, &count);
  if (status == WL_OK) status = print_numbers(parts, &numbers);
  if (status == WL_OK && parts->index.shape[0] > 0) fields[count++] = parts->index;
  const wl_attribute attributes[] = {
      {"configuration", configuration}, {"precision", WL_REAL_NAME}, {"parts", numbers}};
  if (status == WL_OK)
    status = wl_content_write(
        &(wl_file_content){path, WL_KIND_INDEX, fields, count, attributes, 3, 0, map_rows, parts});
  wl_free(fields);
  wl_free(numbers);
  return status;
}
