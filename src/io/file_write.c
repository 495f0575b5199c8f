/* file_write.c - an HDF5 file is built in memory, sealed, and written in one piece.
 *
 * HDF5 never writes to the disk itself: a full disk or a killed process meets plain write calls, whose
 * outcome is known, and not the library's caches. Memory needed: the data once more, for a moment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/build_info.h"
#include "io/dimension.h"
#include "io/file_impl.h"
#include "io/seal.h"

enum { IMAGE_STEP = 1 << 20, CHUNK_BYTES = 1 << 19, COMPRESS_FROM = 4096, NAME = 256 };

/* A file on its way: what is to be stored, and where the bytes of the datasets came to lie. */
typedef struct writer {
  const char *path, *kind;
  const wl_item *items;
  int n_items;
  const wl_attribute *attributes;
  int n_attributes;
  hid_t file;
  wl_stretch *stretches;
  int n_stretches, room;
} writer;

/* ---- datasets ---- */

/* Makes the groups of "a/b/name" that are not there yet. */
static wl_status make_groups(const writer *w, const char *name) {
  char group[NAME];
  const WL_H5_SCOPED creation = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(creation, false);
  for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
    snprintf(group, sizeof group, "%.*s", (int)(slash - name), name);
    if (H5Lexists(w->file, group, H5P_DEFAULT) > 0) continue;
    const WL_H5_SCOPED made = H5Gcreate2(w->file, group, H5P_DEFAULT, creation, H5P_DEFAULT);
    WL_TRY_H5(made, WL_ERR_IO, w->path, "create group '%s'", group);
  }
  return WL_OK;
}

static hid_t make_space(const wl_field *field) {
  hsize_t size[WL_MAX_DIMS];
  for (int d = 0; d < field->ndim; d++) size[d] = (hsize_t)field->shape[d];
  return field->ndim == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(field->ndim, size, NULL);
}

/* Chunks of at most CHUNK_BYTES: whole rows where they fit, else cut from the first dimension on. */
static void choose_chunk(const wl_field *field, size_t element, hsize_t chunk[WL_MAX_DIMS]) {
  size_t bytes = element;
  for (int d = field->ndim - 1; d >= 0; d--) {
    const size_t fit = CHUNK_BYTES / bytes > 0 ? CHUNK_BYTES / bytes : 1;
    chunk[d] = (size_t)field->shape[d] < fit ? (hsize_t)field->shape[d] : fit;
    bytes *= chunk[d];
  }
}

static void set_chunks(hid_t creation, const wl_item *item, size_t element) {
  hsize_t chunk[WL_MAX_DIMS];
  choose_chunk(&item->field, element, chunk);
  H5Pset_chunk(creation, item->field.ndim, chunk);
  H5Pset_shuffle(creation);
  H5Pset_deflate(creation, (unsigned)item->compression);
}

/* What a row whose source is missing reads as: never a number that could be taken for data. */
static void set_fill(hid_t creation, wl_type type) {
  const double nan = __builtin_nan("");
  const int64_t minus_one = -1;
  if (type == WL_FLOAT32 || type == WL_FLOAT64) H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &nan);
  else H5Pset_fill_value(creation, H5T_NATIVE_INT64, &minus_one);
}

static wl_status map_source(const writer *w, hid_t creation, hid_t space, const wl_item *item, const wl_source *source) {
  hsize_t start[WL_MAX_DIMS] = {(hsize_t)source->at}, count[WL_MAX_DIMS];
  for (int d = 0; d < item->field.ndim; d++) count[d] = (hsize_t)source->shape[d];
  const WL_H5_SCOPED from = H5Screate_simple(item->field.ndim, count, NULL);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
  WL_TRY_H5(H5Pset_virtual(creation, space, source->file, item->field.name, from), WL_ERR_IO, w->path,
            "map '%s' to '%s'", item->field.name, source->file);
  return WL_OK;
}

static wl_status set_layout(const writer *w, hid_t creation, hid_t space, const wl_item *item, size_t element) {
  H5Pset_obj_track_times(creation, false);
  if (item->n_sources > 0 || !item->field.data) set_fill(creation, item->field.type);
  for (int i = 0; i < item->n_sources; i++) WL_TRY(map_source(w, creation, space, item, &item->sources[i]));
  const size_t bytes = (size_t)wl_field_count(&item->field) * element;
  if (item->n_sources > 0) H5Sselect_all(space);
  else if (item->compression > 0 && item->field.ndim > 0 && bytes >= COMPRESS_FROM) set_chunks(creation, item, element);
  return WL_OK;
}

static wl_status describe_dataset(const writer *w, hid_t dataset, const wl_field *field) {
  WL_TRY(wl_h5_put_text(w->path, dataset, "units", field->units[0] ? field->units : "1"));
  return wl_h5_put_text(w->path, dataset, "long_name", field->long_name);
}

/* Writes `data`, which is in the stored type already, and its checksum. */
static wl_status put_data(const writer *w, hid_t dataset, hid_t type, const wl_field *field, const void *data) {
  const size_t bytes = (size_t)wl_field_count(field) * H5Tget_size(type);
  WL_TRY_H5(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), WL_ERR_IO, w->path, "write dataset '%s'", field->name);
  return wl_h5_put_uint64(w->path, dataset, "checksum", XXH3_64bits(data, bytes));
}

/* Rounds to half precision first: the checksum is that of what is stored. */
static wl_status put_half(const writer *w, hid_t dataset, hid_t type, const wl_field *field) {
  const size_t count = (size_t)wl_field_count(field), bytes = count * wl_type_size(field->type);
  const WL_H5_SCOPED memory = wl_h5_type(field->type, false);
  char *copy = NULL;
  WL_TRY(wl_alloc((void **)&copy, bytes + 1, 1));
  if (bytes > 0) memcpy(copy, field->data, bytes);
  wl_status status = WL_OK;
  if (H5Tconvert(memory, type, count, copy, NULL, H5P_DEFAULT) < 0)
    status = wl_h5_fail(WL_ERR_IO, w->path, "round dataset '%s' to half precision", field->name);
  if (status == WL_OK) status = put_data(w, dataset, type, field, copy);
  wl_free(copy);
  return status;
}

static wl_status put_item(const writer *w, const wl_item *item) {
  const wl_field *const field = &item->field;
  const bool half = item->half && (field->type == WL_FLOAT32 || field->type == WL_FLOAT64);
  WL_TRY(make_groups(w, field->name));
  const WL_H5_SCOPED type = wl_h5_type(field->type, half);
  const WL_H5_SCOPED space = make_space(field);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  WL_TRY(set_layout(w, creation, space, item, H5Tget_size(type)));
  const WL_H5_SCOPED dataset = H5Dcreate2(w->file, field->name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(dataset, WL_ERR_IO, w->path, "create dataset '%s'", field->name);
  WL_TRY(describe_dataset(w, dataset, field));
  if (!field->data) return WL_OK;
  return half ? put_half(w, dataset, type, field) : put_data(w, dataset, type, field, field->data);
}

/* ---- root attributes ---- */

/* Local time with its offset: 2026-01-31T12:00:00+01:00. */
static void print_date(char *out, size_t size) {
  const time_t now = time(NULL);
  struct tm local;
  char zone[8] = "+0000", day[32] = "";
  if (localtime_r(&now, &local)) {
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &local);
    strftime(zone, sizeof zone, "%z", &local);
  }
  snprintf(out, size, "%s%.3s:%s", day, zone, zone + 3);
}

static wl_status put_root(const writer *w) {
  char date[48], library[48];
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  snprintf(library, sizeof library, "%u.%u.%u", major, minor, release);
  print_date(date, sizeof date);
  const wl_attribute own[] = {{"format", "warploom"}, {"kind", w->kind}, {"creator", "Warploom"},
                              {"version", wl_build_version()}, {"revision", wl_build_revision()},
                              {"compiler", wl_build_compiler()}, {"hdf5_version", library}, {"date", date}};
  WL_TRY(wl_h5_put_int64(w->path, w->file, "schema_version", WL_SCHEMA_VERSION));
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    WL_TRY(wl_h5_put_text(w->path, w->file, own[i].name, own[i].value));
  for (int i = 0; i < w->n_attributes; i++)
    WL_TRY(wl_h5_put_text(w->path, w->file, w->attributes[i].name, w->attributes[i].value));
  return WL_OK;
}

/* ---- the image ---- */

static wl_status add_stretch(writer *w, const char *name, haddr_t offset, hsize_t bytes) {
  if (w->n_stretches == w->room) {
    w->room = 2 * w->room + 64;
    wl_stretch *const more = realloc(w->stretches, (size_t)w->room * sizeof *more);
    if (!more) return WL_FAIL(WL_ERR_OS, "out of memory while writing '%s'", w->path);
    w->stretches = more;
  }
  w->stretches[w->n_stretches++] = (wl_stretch){name, offset, bytes};
  return WL_OK;
}

/* Where a dataset's bytes lie, for the seal: known once the file is flushed. */
static wl_status locate(writer *w, const char *name) {
  const WL_H5_SCOPED dataset = H5Dopen2(w->file, name, H5P_DEFAULT);
  const WL_H5_SCOPED creation = H5Dget_create_plist(dataset);
  const WL_H5_SCOPED space = H5Dget_space(dataset);
  const H5D_layout_t layout = H5Pget_layout(creation);
  const haddr_t offset = layout == H5D_CONTIGUOUS ? H5Dget_offset(dataset) : HADDR_UNDEF;
  if (offset != HADDR_UNDEF) return add_stretch(w, name, offset, H5Dget_storage_size(dataset));
  hsize_t chunks = 0, bytes = 0, corner[WL_MAX_DIMS];
  unsigned mask = 0;
  haddr_t at = 0;
  if (layout == H5D_CHUNKED)
    WL_TRY_H5(H5Dget_num_chunks(dataset, space, &chunks), WL_ERR_IO, w->path, "count the chunks of '%s'", name);
  for (hsize_t i = 0; i < chunks; i++) {
    WL_TRY_H5(H5Dget_chunk_info(dataset, space, i, corner, &mask, &at, &bytes), WL_ERR_IO, w->path, "locate a chunk of '%s'", name);
    WL_TRY(add_stretch(w, name, at, bytes));
  }
  return WL_OK;
}

static wl_status fill_file(writer *w) {
  for (int i = 0; i < w->n_items; i++) WL_TRY(put_item(w, &w->items[i]));
  for (int i = 0; i < w->n_items; i++) WL_TRY(wl_dimensions_name(w->path, w->file, &w->items[i].field));
  WL_TRY(put_root(w));
  WL_TRY(wl_h5_put_uint64(w->path, w->file, "complete", 1)); /* last: all that it vouches for is there */
  WL_TRY_H5(H5Fflush(w->file, H5F_SCOPE_GLOBAL), WL_ERR_IO, w->path, "build the image");
  for (int i = 0; i < w->n_items; i++) WL_TRY(locate(w, w->items[i].field.name));
  return WL_OK;
}

/* Virtual datasets need the format of HDF5 1.10, whose index of chunks is small and has checksums.
 * Everything else keeps that of 1.8, which more readers know. */
static H5F_libver_t oldest_format(const writer *w) {
  for (int i = 0; i < w->n_items; i++)
    if (w->items[i].n_sources > 0 || w->items[i].compression > 0) return H5F_LIBVER_V110;
  return H5F_LIBVER_V18;
}

/* HDF5 hands out the image of an open file, but with a superblock that says so: only a closed file is
 * in order. The memory is therefore ours, and kept when the file is closed. */
static void *image_resize(void *memory, size_t bytes, H5FD_file_image_op_t operation, void *kept) {
  (void)operation;
  (void)kept;
  return realloc(memory, bytes);
}
static void *image_create(size_t bytes, H5FD_file_image_op_t operation, void *kept) {
  return image_resize(NULL, bytes, operation, kept);
}
static void *image_copy(void *to, const void *from, size_t bytes, H5FD_file_image_op_t operation, void *kept) {
  (void)operation;
  (void)kept;
  return memcpy(to, from, bytes);
}
static herr_t image_keep(void *memory, H5FD_file_image_op_t operation, void *kept) {
  if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) *(void **)kept = memory;
  else free(memory);
  return 0;
}
static void *same_place(void *kept) { return kept; }
static herr_t nothing_to_free(void *kept) {
  (void)kept;
  return 0;
}

static wl_status create_file(writer *w, void **image) {
  H5FD_file_image_callbacks_t memory = {image_create, image_copy, image_resize, image_keep, same_place, nothing_to_free, image};
  const WL_H5_SCOPED access = wl_h5_access();
  const WL_H5_SCOPED creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fapl_core(access, IMAGE_STEP, false);
  H5Pset_file_image_callbacks(access, &memory);
  H5Pset_libver_bounds(access, oldest_format(w), oldest_format(w));
  H5Pset_obj_track_times(creation, false);
  w->file = H5Fcreate("warploom-image", H5F_ACC_TRUNC, creation, access);
  WL_TRY_H5(w->file, WL_ERR_IO, w->path, "build the image");
  return WL_OK;
}

static wl_status build_image(writer *w, void **image, size_t *bytes) {
  WL_TRY(create_file(w, image));
  wl_status status = fill_file(w);
  const ssize_t size = H5Fget_file_image(w->file, NULL, 0);
  if (size < 0 && status == WL_OK) status = wl_h5_fail(WL_ERR_IO, w->path, "measure the image");
  *bytes = size > 0 ? (size_t)size : 0;
  if (H5Fclose(w->file) < 0 && status == WL_OK) status = wl_h5_fail(WL_ERR_IO, w->path, "close the image");
  if (status == WL_OK && !*image) status = WL_FAIL(WL_ERR_SOFTWARE, "HDF5 kept the image of '%s' to itself", w->path);
  return status;
}

/* The file at its temporary name: every byte, and every dataset as a reader gets it. */
static wl_status check_written(const char *temporary) {
  wl_file *file = NULL;
  WL_TRY(wl_file_open(temporary, NULL, &file));
  const wl_status status = wl_file_check_datasets(file);
  wl_file_close(&file);
  return status;
}

wl_status wl_items_write(const char *path, const char *kind, const wl_item *items, int n_items,
                         const wl_attribute *attributes, int n_attributes) {
  writer w = {.path = path, .kind = kind, .items = items, .n_items = n_items, .attributes = attributes,
              .n_attributes = n_attributes};
  void *image = NULL;
  char *seal = NULL;
  size_t bytes = 0, seal_bytes = 0;
  wl_h5_quiet();
  wl_status status = build_image(&w, &image, &bytes);
  if (status == WL_OK) status = wl_seal_make(image, bytes, w.stretches, w.n_stretches, &seal, &seal_bytes);
  const wl_piece pieces[] = {{image, bytes}, {seal, seal_bytes}};
  if (status == WL_OK) status = wl_atomic_write(path, pieces, 2, check_written);
  free(seal);
  free(image);
  free(w.stretches);
  return status;
}

wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes) {
  wl_item *items = NULL;
  WL_TRY(WL_NEW(items, n_fields));
  for (int i = 0; i < n_fields; i++) items[i].field = fields[i];
  const wl_status status = wl_items_write(path, kind, items, n_fields, attributes, n_attributes);
  wl_free(items);
  return status;
}
