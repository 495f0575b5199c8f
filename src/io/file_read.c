/* file_read.c - opening a file means checking every byte of it; what is read afterwards is what was
 * written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file_impl.h"
#include "io/seal.h"

/* ---- opening ---- */

/* The text attribute must have this value. */
static wl_status expect_text(const wl_file *file, const char *name, const char *expected) {
  char *value = NULL;
  WL_TRY(wl_h5_get_text(file->path, file->id, name, &value));
  const bool same = strcmp(value, expected) == 0;
  const wl_status status =
      same ? WL_OK
           : WL_FAIL(WL_ERR_DATA, "'%s' is of %s '%s', not '%s': give another file", file->path,
                     name, value, expected);
  free(value);
  return status;
}

static wl_status check_marks(const wl_file *file, const char *kind) {
  uint64_t complete = 0, schema = 0;
  WL_TRY(expect_text(file, "format", "warploom"));
  WL_TRY(wl_h5_get_uint64(file->path, file->id, "schema_version", &schema));
  if (schema > WL_SCHEMA_VERSION)
    return WL_FAIL(
        WL_ERR_DATA,
        "'%s' has schema version %llu, this program reads up to %d: use a newer Warploom",
        file->path, (unsigned long long)schema, WL_SCHEMA_VERSION);
  WL_TRY(wl_h5_get_uint64(file->path, file->id, "complete", &complete));
  if (complete != 1)
    return WL_FAIL(WL_ERR_DATA, "'%s' is not complete: its writing was not finished", file->path);
  return kind ? expect_text(file, "kind", kind) : WL_OK;
}

static wl_status open_marked(wl_file *file, const char *kind) {
  const WL_H5_SCOPED access = wl_h5_access();
  file->id = H5Fopen(file->path, H5F_ACC_RDONLY, access);
  WL_TRY_H5(file->id, WL_ERR_DATA, file->path, "open the content");
  return check_marks(file, kind);
}

static wl_status open_file(const char *path, const char *kind, bool check, wl_file **out) {
  wl_file *file = NULL;
  *out = NULL;
  wl_h5_quiet();
  WL_TRY(WL_NEW(file, 1));
  file->id = H5I_INVALID_HID;
  snprintf(file->path, sizeof file->path, "%s", path);
  wl_status status = check ? wl_seal_check(path) : WL_OK;
  if (status == WL_OK) status = open_marked(file, kind);
  if (status != WL_OK) wl_file_close(&file);
  *out = file;
  return status;
}

wl_status wl_file_open(const char *path, const char *kind, wl_file **out) {
  return open_file(path, kind, true, out);
}

wl_status wl_file_open_again(const char *path, const char *kind, wl_file **out) {
  return open_file(path, kind, false, out);
}

void wl_file_close(wl_file **file) {
  if (!*file) return;
  if ((*file)->id >= 0) H5Fclose((*file)->id);
  wl_free(*file);
  *file = NULL;
}

/* ---- datasets ---- */

/* Whether each part of "a/b/name" exists. */
static bool path_exists(hid_t file, const char *name) {
  char part[256];
  for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
    if (H5Lexists(file, part, H5P_DEFAULT) <= 0) return false;
  }
  return H5Lexists(file, name, H5P_DEFAULT) > 0;
}

bool wl_file_has(const wl_file *file, const char *name) { return path_exists(file->id, name); }

static wl_status open_dataset(const wl_file *file, const char *name, hid_t *dataset) {
  *dataset = H5I_INVALID_HID;
  if (!path_exists(file->id, name))
    return WL_FAIL(WL_ERR_DATA, "'%s' has no dataset '%s'", file->path, name);
  *dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
  WL_TRY_H5(*dataset, WL_ERR_DATA, file->path, "open dataset '%s'", name);
  return WL_OK;
}

static wl_status query_dataset(const wl_file *file, const char *name, hid_t dataset,
                               wl_field *field, bool *half) {
  const WL_H5_SCOPED type = H5Dget_type(dataset);
  const WL_H5_SCOPED space = H5Dget_space(dataset);
  hsize_t size[H5S_MAX_RANK] = {0};
  if (!wl_h5_known_type(type, &field->type, half))
    return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' has a type that Warploom does not write",
                   name, file->path);
  field->ndim = H5Sget_simple_extent_dims(space, size, NULL);
  if (field->ndim < 0 || field->ndim > WL_MAX_DIMS)
    return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' has %d dimensions, at most %d are expected",
                   name, file->path, field->ndim, WL_MAX_DIMS);
  for (int d = 0; d < field->ndim; d++) field->shape[d] = (int64_t)size[d];
  return WL_OK;
}

wl_status wl_file_query(const wl_file *file, const char *name, wl_field *field) {
  hid_t opened = H5I_INVALID_HID;
  bool half = false;
  const wl_status status = open_dataset(file, name, &opened);
  const WL_H5_SCOPED dataset = opened;
  WL_TRY(status);
  return query_dataset(file, name, dataset, field, &half);
}

static void copy_text(const wl_file *file, hid_t dataset, const char *name, char *out,
                      size_t size) {
  char *text = NULL;
  if (wl_h5_get_text(file->path, dataset, name, &text) == WL_OK) snprintf(out, size, "%s", text);
  free(text);
}

/* H5DSiterate_scales: the last part of the scale's path is the dimension's name. */
static herr_t take_scale_name(hid_t dataset, unsigned dimension, hid_t scale, void *out) {
  char path[256] = "";
  (void)dataset;
  (void)dimension;
  if (H5Iget_name(scale, path, sizeof path) <= 0) return -1;
  const char *const slash = strrchr(path, '/');
  snprintf(out, 32, "%.31s", slash ? slash + 1 : path);
  return 1;
}

static void name_dimensions(hid_t dataset, wl_field *field) {
  for (int d = 0; d < field->ndim; d++) {
    field->dims[d][0] = '\0';
    if (H5DSis_scale(dataset) > 0) take_scale_name(dataset, 0, dataset, field->dims[d]);
    else H5DSiterate_scales(dataset, (unsigned)d, NULL, take_scale_name, field->dims[d]);
  }
}

wl_status wl_file_query_stored(const wl_file *file, const char *name, wl_field *field, bool *half) {
  hid_t opened = H5I_INVALID_HID;
  const wl_status status = open_dataset(file, name, &opened);
  const WL_H5_SCOPED dataset = opened;
  WL_TRY(status);
  WL_TRY(query_dataset(file, name, dataset, field, half));
  snprintf(field->name, sizeof field->name, "%s", name);
  copy_text(file, dataset, "units", field->units, sizeof field->units);
  copy_text(file, dataset, "long_name", field->long_name, sizeof field->long_name);
  name_dimensions(dataset, field);
  return WL_OK;
}

static void print_shape(const wl_field *field, char out[128]) {
  static const char *const types[] = {"float32", "float64", "int64", "uint64", "uint8"};
  int length = snprintf(out, 128, "%s(", types[field->type]);
  for (int d = 0; d < field->ndim; d++)
    length += snprintf(out + length, 128 - (size_t)length, d ? ", %lld" : "%lld",
                       (long long)field->shape[d]);
  snprintf(out + length, 128 - (size_t)length, ")");
}

static wl_status match(const wl_file *file, const wl_field *wanted, const wl_field *stored) {
  char have[128], want[128];
  bool same = wanted->type == stored->type && wanted->ndim == stored->ndim;
  for (int d = 0; same && d < wanted->ndim; d++) same = wanted->shape[d] == stored->shape[d];
  if (same) return WL_OK;
  print_shape(stored, have);
  print_shape(wanted, want);
  return WL_FAIL(
      WL_ERR_DATA,
      "dataset '%s' of '%s' is %s, expected %s: the file belongs to another configuration or "
      "precision",
      wanted->name, file->path, have, want);
}

wl_status wl_file_read(const wl_file *file, wl_field *field) {
  hid_t opened = H5I_INVALID_HID;
  const wl_status status = open_dataset(file, field->name, &opened);
  const WL_H5_SCOPED dataset = opened;
  WL_TRY(status);
  wl_field stored = {0};
  bool half = false;
  WL_TRY(query_dataset(file, field->name, dataset, &stored, &half));
  WL_TRY(match(file, field, &stored));
  const WL_H5_SCOPED memory = wl_h5_type(field->type, false);
  WL_TRY_H5(H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, field->data), WL_ERR_DATA,
            file->path, "read dataset '%s'", field->name);
  return WL_OK;
}

static wl_status read_stretch(const wl_file *file, const char *name, hid_t dataset, wl_type type,
                              int64_t first, int64_t count, void *data) {
  const hsize_t start = (hsize_t)first, size = (hsize_t)count;
  const WL_H5_SCOPED from = H5Dget_space(dataset);
  const WL_H5_SCOPED to = H5Screate_simple(1, &size, NULL);
  const WL_H5_SCOPED memory = wl_h5_type(type, false);
  WL_TRY_H5(H5Sselect_hyperslab(from, H5S_SELECT_SET, &start, NULL, &size, NULL), WL_ERR_DATA,
            file->path, "select a part of '%s'", name);
  WL_TRY_H5(H5Dread(dataset, memory, to, from, H5P_DEFAULT, data), WL_ERR_DATA, file->path,
            "read dataset '%s'", name);
  return WL_OK;
}

wl_status wl_file_read_range(const wl_file *file, const char *name, wl_type type, int64_t first,
                             int64_t count, void *data) {
  hid_t opened = H5I_INVALID_HID;
  const wl_status status = open_dataset(file, name, &opened);
  const WL_H5_SCOPED dataset = opened;
  WL_TRY(status);
  wl_field stored = {0};
  bool half = false;
  WL_TRY(query_dataset(file, name, dataset, &stored, &half));
  if (stored.ndim != 1 || stored.type != type || first < 0 || count < 0 ||
      first > stored.shape[0] - count)
    return WL_FAIL(
        WL_ERR_DATA,
        "dataset '%s' of '%s' has no elements [%lld, %lld) of the expected type: the file belongs to "
        "another configuration or precision",
        name, file->path, (long long)first, (long long)(first + count));
  return count > 0 ? read_stretch(file, name, dataset, type, first, count, data) : WL_OK;
}

wl_status wl_file_read_rows(const wl_file *file, const wl_field *field, int64_t row) {
  wl_field stored = {0};
  hsize_t whole[WL_MAX_DIMS], start[WL_MAX_DIMS] = {(hsize_t)row}, count[WL_MAX_DIMS];
  WL_TRY(wl_file_query(file, field->name, &stored));
  WL_CHECK(stored.ndim == field->ndim && field->ndim > 0 &&
           row + stored.shape[0] <= field->shape[0]);
  if (wl_field_count(&stored) == 0) return WL_OK;
  for (int d = 0; d < field->ndim; d++) {
    whole[d] = (hsize_t)field->shape[d];
    count[d] = (hsize_t)stored.shape[d];
    WL_CHECK(count[d] <= whole[d]);
  }
  const WL_H5_SCOPED dataset = H5Dopen2(file->id, field->name, H5P_DEFAULT);
  const WL_H5_SCOPED memory = wl_h5_type(field->type, false);
  const WL_H5_SCOPED to = H5Screate_simple(field->ndim, whole, NULL);
  WL_TRY_H5(H5Sselect_hyperslab(to, H5S_SELECT_SET, start, NULL, count, NULL), WL_ERR_DATA,
            file->path, "select rows for '%s'", field->name);
  WL_TRY_H5(H5Dread(dataset, memory, to, H5S_ALL, H5P_DEFAULT, field->data), WL_ERR_DATA,
            file->path, "read dataset '%s'", field->name);
  return WL_OK;
}

wl_status wl_file_attribute(const wl_file *file, const char *name, char **value) {
  return wl_h5_get_text(file->path, file->id, name, value);
}

/* ---- checksums ---- */

wl_status wl_file_check_dataset(const wl_file *file, const char *name) {
  const WL_H5_SCOPED dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
  uint64_t expected = 0, found = 0;
  WL_TRY_H5(dataset, WL_ERR_DATA, file->path, "open dataset '%s'", name);
  if (H5Aexists(dataset, "checksum") <= 0) return WL_OK; /* virtual: its bytes are in other files */
  WL_TRY(wl_h5_get_uint64(file->path, dataset, "checksum", &expected));
  WL_TRY(wl_h5_checksum(file->path, name, dataset, &found));
  if (found == expected) return WL_OK;
  return WL_FAIL(WL_ERR_DATA,
                 "'%s' is damaged: dataset '%s' does not match its checksum; use an older file",
                 file->path, name);
}

wl_status wl_file_check_place(const wl_file *file, const wl_stretch *stretch) {
  const WL_H5_SCOPED dataset = H5Dopen2(file->id, stretch->name, H5P_DEFAULT);
  uint64_t checksum = 0;
  WL_TRY_H5(dataset, WL_ERR_DATA, file->path, "open dataset '%s'", stretch->name);
  WL_TRY(wl_h5_get_uint64(file->path, dataset, "checksum", &checksum));
  if (H5Dget_offset(dataset) == stretch->offset && H5Dget_storage_size(dataset) == stretch->bytes &&
      checksum == stretch->hash)
    return WL_OK;
  return WL_FAIL(WL_ERR_DATA,
                 "'%s' is damaged: dataset '%s' is not where it was put; write the file again",
                 file->path, stretch->name);
}

wl_status wl_file_check_datasets(const wl_file *file) {
  char **names = NULL;
  int count = 0;
  wl_status status = wl_h5_list(file->path, file->id, &names, &count);
  for (int i = 0; status == WL_OK && i < count; i++) status = wl_file_check_dataset(file, names[i]);
  wl_free_names(names, count);
  return status;
}
