/* file_read.c - opens files, checks every byte of the files, and reads their datasets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file_impl.h"
#include "base/footer.h"

/* ---- whole datasets ---- */

bool wl_file_has(const wl_file *file, const char *name) {
  return wl_names_has(&file->datasets, name);
}

const char *wl_file_dataset(const wl_file *file, int index) {
  return index < file->datasets.count ? file->datasets.at[index] : NULL;
}

static wl_status open_dataset(const wl_file *file, const char *name, wl_stored *stored) {
  stored->id = H5I_INVALID_HID;
  if (!wl_file_has(file, name))
    return WL_FAIL(WL_ERR_DATA, "'%s' has no dataset '%s'", file->path, name);
  return wl_gate_open_dataset(file->path, file->id, name, strcmp(file->kind, WL_KIND_PART) == 0,
                              WL_OWN_TYPES, stored);
}

/* Reads those elements of a dataset that the dataspace `from` selects. `to` is the dataspace of the
 * memory. */
static wl_status read_selected(const wl_file *file, const wl_stored *stored, hid_t to, hid_t from,
                               void *data) {
  const WL_H5_SCOPED memory = wl_h5_type(stored->field.type, false);
  WL_TRY_H5(H5Dread(stored->id, memory, to, from, H5P_DEFAULT, data), WL_ERR_DATA, file->path,
            "read dataset '%s'", stored->field.name);
  return WL_OK;
}

/* Reads a dataset into memory that the caller frees with wl_free(field->data). */
static wl_status read_whole(const wl_file *file, const char *name, wl_field *field) {
  wl_stored stored;
  WL_TRY(open_dataset(file, name, &stored));
  const WL_H5_SCOPED dataset = stored.id;
  *field = stored.field;
  WL_TRY(wl_alloc(&field->data, (size_t)wl_field_count(field) + 1, wl_type_size(field->type)));
  const wl_status status = read_selected(file, &stored, H5S_ALL, H5S_ALL, field->data);
  if (status != WL_OK) wl_free(field->data);
  return status;
}

/* ---- the digest of the meta-parameters ---- */

bool wl_is_phi(const char *name) { return strncmp(name, "phi/", 4) == 0; }

void wl_phi_digest_add(wl_digest *digest, const wl_field *f) {
  wl_digest one = {0};
  wl_digest_add(&one, f->name, f->data, (size_t)wl_field_count(f) * wl_type_size(f->type));
  digest->value += one.value;
}

/* ---- opening ---- */

/* Returns an error if the root attribute `name` is not a string with the value `expected`. */
static wl_status expect_text(const wl_file *file, const char *name, const char *expected) {
  char *value = NULL;
  WL_TRY(wl_h5_get_text(file->path, file->id, name, &value));
  const bool same = strcmp(value, expected) == 0;
  const wl_status status =
      same ? WL_OK
           : WL_FAIL(WL_ERR_DATA, "'%s' has the %s '%s', but '%s' is needed: give another file", file->path,
                     name, value, expected);
  free(value);
  return status;
}

/* Checks the schema version of a file. Versions 1 and 2 are also accepted. A trajectory of version
 * 1 or 2 is an error, because trajectories of these versions have another format and other names. */
static wl_status check_schema(const wl_file *file, int64_t *schema) {
  WL_TRY(wl_h5_get_integer(file->path, file->id, "schema_version", schema));
  if (*schema > WL_SCHEMA_VERSION || *schema < 1)
    return WL_FAIL(
        WL_ERR_DATA,
        "'%s' has schema version %lld, but this program reads versions up to %d: use a newer "
        "Warploom",
        file->path, (long long)*schema, WL_SCHEMA_VERSION);
  if (*schema < 3 && strncmp(file->kind, WL_KIND_INDEX, strlen(WL_KIND_INDEX)) == 0)
    return WL_FAIL(
        WL_ERR_DATA,
        "'%s' is a %s of schema version %lld, which this program does not read: read the file with "
        "h5py, or use the version of Warploom that wrote it",
        file->path, file->kind, (long long)*schema);
  return WL_OK;
}

/* Compares the digest of the meta-parameters with the stored digest. Old files have no digest and are not checked. */
static wl_status check_phi(const wl_file *file, int64_t schema) {
  wl_digest digest = {0};
  char found[17], *expected = NULL;
  bool any = false;
  if (schema < 2 && H5Aexists(file->id, "phi_digest") <= 0) return WL_OK;
  for (int i = 0; i < file->datasets.count; i++) {
    wl_field f = {0};
    if (!wl_is_phi(file->datasets.at[i])) continue;
    WL_TRY(read_whole(file, file->datasets.at[i], &f));
    wl_phi_digest_add(&digest, &f);
    wl_free(f.data);
    any = true;
  }
  if (!any) return WL_OK;
  WL_TRY(wl_h5_get_text(file->path, file->id, "phi_digest", &expected));
  wl_digest_hex(digest, found);
  const bool same = strcmp(found, expected) == 0;
  free(expected);
  if (same) return WL_OK;
  return WL_FAIL(WL_ERR_DATA,
                 "'%s': the meta-parameters do not match the digest in the file; write the file "
                 "again",
                 file->path);
}

static wl_status check_content(wl_file *file, const char *kind, bool check) {
  int64_t schema = 0, complete = 0;
  WL_TRY(expect_text(file, "format", "warploom"));
  WL_TRY(wl_h5_get_text(file->path, file->id, "kind", &file->kind));
  WL_TRY(check_schema(file, &schema));
  WL_TRY(wl_h5_get_integer(file->path, file->id, "complete", &complete));
  if (complete != 1)
    return WL_FAIL(WL_ERR_DATA, "'%s' is not complete, because its writer ended before all data "
                                "was written: use another file", file->path);
  if (kind) WL_TRY(expect_text(file, "kind", kind));
  WL_TRY(
      wl_gate_list(file->path, file->id, strcmp(file->kind, WL_KIND_INDEX) == 0, &file->datasets));
  return check ? check_phi(file, schema) : WL_OK;
}

static wl_status open_file(const char *path, const char *kind, bool check, wl_file **out) {
  wl_file *file = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(file, 1));
  file->id = H5I_INVALID_HID;
  snprintf(file->path, sizeof file->path, "%s", path);
  wl_status status = check ? wl_footer_check(path) : WL_OK;
  if (status == WL_OK) status = wl_gate_open_file(path, &file->id);
  if (status == WL_OK) status = check_content(file, kind, check);
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
  wl_names_clear(&(*file)->datasets);
  free((*file)->kind);
  wl_free(*file);
  *file = NULL;
}

const char *wl_file_path(const wl_file *file) { return file->path; }

wl_status wl_file_attribute(const wl_file *file, const char *name, char **value) {
  return wl_h5_get_text(file->path, file->id, name, value);
}

/* ---- datasets ---- */

static void copy_text(const wl_file *file, hid_t dataset, const char *name, char *out,
                      size_t size) {
  char *text = NULL;
  if (H5Aexists(dataset, name) > 0 && wl_h5_get_text(file->path, dataset, name, &text) == WL_OK)
    snprintf(out, size, "%s", text);
  free(text);
}

/* Sets the names of the field's dimensions from the attribute `dimensions`, such as "record step".
 * The attribute has "-" for a dimension without a name. */
static void copy_dimensions(const wl_file *file, hid_t dataset, wl_field *field) {
  char names[WL_MAX_DIMS * sizeof field->dims[0] + 1] = "", *rest = NULL;
  copy_text(file, dataset, "dimensions", names, sizeof names);
  char *word = strtok_r(names, " ", &rest);
  for (int d = 0; d < field->ndim && word; d++, word = strtok_r(NULL, " ", &rest))
    if (strcmp(word, "-") != 0)
      snprintf(field->dims[d], sizeof field->dims[d], "%.*s", (int)sizeof field->dims[d] - 1, word);
}

wl_status wl_file_query(const wl_file *file, const char *name, wl_field *field) {
  wl_stored stored;
  WL_TRY(open_dataset(file, name, &stored));
  *field = stored.field;
  copy_text(file, stored.id, "units", field->units, sizeof field->units);
  copy_text(file, stored.id, "long_name", field->long_name, sizeof field->long_name);
  copy_dimensions(file, stored.id, field);
  wl_h5_release(&stored.id);
  return WL_OK;
}

static void print_shape(const wl_field *field, char out[128]) {
  int length = snprintf(out, 128, "%s(", wl_type_name(field->type));
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
      "precision, or to an older version of the rule; train again with this version, or use the "
      "version of Warploom that the attribute `version` of the file names",
      wanted->name, file->path, have, want);
}

wl_status wl_file_read(const wl_file *file, wl_field *field) {
  wl_stored stored;
  WL_TRY(open_dataset(file, field->name, &stored));
  const WL_H5_SCOPED dataset = stored.id;
  WL_TRY(match(file, field, &stored.field));
  return read_selected(file, &stored, H5S_ALL, H5S_ALL, field->data);
}

wl_status wl_file_read_range(const wl_file *file, const char *name, wl_type type, int64_t first,
                             int64_t count, void *data) {
  wl_stored stored;
  WL_TRY(open_dataset(file, name, &stored));
  const WL_H5_SCOPED dataset = stored.id;
  if (stored.field.ndim != 1 || stored.field.type != type || first < 0 || count < 0 ||
      first > stored.field.shape[0] - count)
    return WL_FAIL(
        WL_ERR_DATA,
        "dataset '%s' of '%s' has no elements [%lld, %lld) of the expected type: the file belongs "
        "to another configuration or precision; give another file",
        name, file->path, (long long)first, (long long)(first + count));
  if (count == 0) return WL_OK;
  const hsize_t start = (hsize_t)first, size = (hsize_t)count;
  const WL_H5_SCOPED from = H5Dget_space(dataset);
  const WL_H5_SCOPED to = H5Screate_simple(1, &size, NULL);
  H5Sselect_hyperslab(from, H5S_SELECT_SET, &start, NULL, &size, NULL);
  return read_selected(file, &stored, to, from, data);
}

wl_status wl_file_check_datasets(const wl_file *file) {
  if (strcmp(file->kind, WL_KIND_INDEX) == 0)
    return WL_OK; /* an index contains no data, because the data is in the parts */
  for (int i = 0; i < file->datasets.count; i++) {
    wl_field f;
    WL_TRY(read_whole(file, file->datasets.at[i], &f));
    wl_free(f.data);
  }
  return WL_OK;
}
