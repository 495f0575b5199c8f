/* file_write.c - the datasets and attributes of a file, its seal, and its way to the disk.
 *
 *   places for all -> HDF5's part in memory, while large arrays are written -> read back behind the writing
 *   -> seal -> sync, while HDF5 opens the file -> rename
 *
 * Memory needed: compressed and half-precision arrays once more, for a moment; others stay where they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/build_info.h"
#include "io/body.h"
#include "io/dimension.h"
#include "io/file_impl.h"
#include "io/seal.h"

enum { CHUNK_BYTES = 1 << 19, COMPRESS_FROM = 4096, NAME = 256 };

/* Arrays from DIRECT_FROM bytes on stay where they are, in a file that has DIRECT_FILE bytes of them: it sets
 * metadata aside at its start, METADATA bytes and as many as METADATA_ITEM for each dataset. */
enum { DIRECT_FROM = 1 << 16, DIRECT_FILE = 1 << 20, METADATA = 1 << 16, METADATA_ITEM = 2048 };

/* A file on its way: what is to be stored, and where the bytes of the datasets came to lie. */
typedef struct writer {
  const char *path, *kind;
  const wl_item *items;
  int n_items;
  const wl_attribute *attributes;
  int n_attributes;
  bool direct; /* large arrays stay where they are */
  wl_beside *beside;
  wl_image image;
  uint64_t *checksums;   /* [n_items] */
  wl_stretch *stretches; /* the hash of a compressed one is not known before the image is closed */
  int n_stretches, room;
  wl_part *parts; /* the body */
  int n_parts;
  uint64_t body_hash;
} writer;

/* ---- datasets ---- */

/* Makes the groups of "a/b/name" that are not there yet. */
static wl_status make_groups(const writer *w, const char *name) {
  char group[NAME];
  const WL_H5_SCOPED creation = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(creation, false);
  for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
    snprintf(group, sizeof group, "%.*s", (int)(slash - name), name);
    if (H5Lexists(w->image.file, group, H5P_DEFAULT) > 0) continue;
    const WL_H5_SCOPED made = H5Gcreate2(w->image.file, group, H5P_DEFAULT, creation, H5P_DEFAULT);
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
  if (type == WL_FLOAT32 || type == WL_FLOAT64)
    H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &nan);
  else H5Pset_fill_value(creation, H5T_NATIVE_INT64, &minus_one);
}

static wl_status map_source(const writer *w, hid_t creation, hid_t space, const wl_item *item,
                            const wl_source *source) {
  hsize_t start[WL_MAX_DIMS] = {(hsize_t)source->at}, count[WL_MAX_DIMS];
  for (int d = 0; d < item->field.ndim; d++) count[d] = (hsize_t)source->shape[d];
  const WL_H5_SCOPED from = H5Screate_simple(item->field.ndim, count, NULL);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
  WL_TRY_H5(H5Pset_virtual(creation, space, source->file, item->field.name, from), WL_ERR_IO,
            w->path, "map '%s' to '%s'", item->field.name, source->file);
  return WL_OK;
}

static size_t stored_bytes(const wl_item *item, size_t element) {
  return (size_t)wl_field_count(&item->field) * element;
}

static bool is_compressed(const wl_item *item, size_t bytes) {
  return item->compression > 0 && item->field.ndim > 0 && bytes >= COMPRESS_FROM;
}

/* Whether the file could hold the item's array as it is in memory. */
static bool is_plain(const wl_item *item) {
  const size_t bytes = stored_bytes(item, wl_type_size(item->field.type));
  return item->field.data && !item->half && item->n_sources == 0 && bytes >= DIRECT_FROM &&
         !is_compressed(item, bytes);
}

static bool stays(const writer *w, const wl_item *item) { return w->direct && is_plain(item); }

static wl_status set_layout(const writer *w, hid_t creation, hid_t space, const wl_item *item,
                            size_t element) {
  H5Pset_obj_track_times(creation, false);
  if (item->n_sources > 0 || !item->field.data) set_fill(creation, item->field.type);
  for (int i = 0; i < item->n_sources; i++)
    WL_TRY(map_source(w, creation, space, item, &item->sources[i]));
  if (item->n_sources > 0) H5Sselect_all(space);
  else if (is_compressed(item, stored_bytes(item, element))) set_chunks(creation, item, element);
  if (stays(w, item)) {
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  }
  return WL_OK;
}

static wl_status describe_dataset(const writer *w, hid_t dataset, const wl_field *field) {
  WL_TRY(wl_h5_put_text(w->path, dataset, "units", field->units[0] ? field->units : "1"));
  return wl_h5_put_text(w->path, dataset, "long_name", field->long_name);
}

static wl_status put_checksum(writer *w, int i, hid_t dataset, const void *data, size_t bytes) {
  w->checksums[i] = XXH3_64bits(data, bytes);
  return wl_h5_put_uint64(w->path, dataset, "checksum", w->checksums[i]);
}

/* Writes `data`, which is in the stored type already, and its checksum; where they stay, that comes later. */
static wl_status put_data(writer *w, int i, hid_t dataset, hid_t type, const void *data) {
  const wl_field *const field = &w->items[i].field;
  const size_t bytes = (size_t)wl_field_count(field) * H5Tget_size(type);
  if (stays(w, &w->items[i]))
    return wl_image_put(w->path, &w->image, dataset, data, bytes, &w->checksums[i]);
  WL_TRY_H5(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), WL_ERR_IO, w->path,
            "write dataset '%s'", field->name);
  return put_checksum(w, i, dataset, data, bytes);
}

static wl_status sign_direct(writer *w, int i) {
  const wl_field *const field = &w->items[i].field;
  const WL_H5_SCOPED dataset = H5Dopen2(w->image.file, field->name, H5P_DEFAULT);
  WL_TRY_H5(dataset, WL_ERR_IO, w->path, "open dataset '%s'", field->name);
  return put_checksum(w, i, dataset, field->data,
                      stored_bytes(&w->items[i], wl_type_size(field->type)));
}

/* Rounds to half precision first: the checksum is that of what is stored. */
static wl_status put_half(writer *w, int i, hid_t dataset, hid_t type) {
  const wl_field *const field = &w->items[i].field;
  const size_t count = (size_t)wl_field_count(field), bytes = count * wl_type_size(field->type);
  const WL_H5_SCOPED memory = wl_h5_type(field->type, false);
  char *copy = NULL;
  WL_TRY(wl_alloc((void **)&copy, bytes + 1, 1));
  if (bytes > 0) memcpy(copy, field->data, bytes);
  wl_status status = WL_OK;
  if (H5Tconvert(memory, type, count, copy, NULL, H5P_DEFAULT) < 0)
    status = wl_h5_fail(WL_ERR_IO, w->path, "round dataset '%s' to half precision", field->name);
  if (status == WL_OK) status = put_data(w, i, dataset, type, copy);
  wl_free(copy);
  return status;
}

static wl_status put_item(writer *w, int i) {
  const wl_item *const item = &w->items[i];
  const wl_field *const field = &item->field;
  const bool half = item->half && (field->type == WL_FLOAT32 || field->type == WL_FLOAT64);
  WL_TRY(make_groups(w, field->name));
  const WL_H5_SCOPED type = wl_h5_type(field->type, half);
  const WL_H5_SCOPED space = make_space(field);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  WL_TRY(set_layout(w, creation, space, item, H5Tget_size(type)));
  const WL_H5_SCOPED dataset =
      H5Dcreate2(w->image.file, field->name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(dataset, WL_ERR_IO, w->path, "create dataset '%s'", field->name);
  WL_TRY(describe_dataset(w, dataset, field));
  if (!field->data) return WL_OK;
  return half ? put_half(w, i, dataset, type) : put_data(w, i, dataset, type, field->data);
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
  const wl_attribute own[] = {{"format", "warploom"},
                              {"kind", w->kind},
                              {"creator", "Warploom"},
                              {"version", wl_build_version()},
                              {"revision", wl_build_revision()},
                              {"compiler", wl_build_compiler()},
                              {"processor", wl_build_processor()},
                              {"blas", wl_build_blas()},
                              {"hdf5_version", library},
                              {"date", date}};
  WL_TRY(wl_h5_put_int64(w->path, w->image.file, "schema_version", WL_SCHEMA_VERSION));
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    WL_TRY(wl_h5_put_text(w->path, w->image.file, own[i].name, own[i].value));
  for (int i = 0; i < w->n_attributes; i++)
    WL_TRY(wl_h5_put_text(w->path, w->image.file, w->attributes[i].name, w->attributes[i].value));
  return WL_OK;
}

/* ---- where the data lie ---- */

static wl_status add_stretch(writer *w, wl_stretch stretch) {
  if (w->n_stretches == w->room) {
    w->room = 2 * w->room + 64;
    wl_stretch *const more = realloc(w->stretches, (size_t)w->room * sizeof *more);
    if (!more) return WL_FAIL(WL_ERR_OS, "out of memory while writing '%s'", w->path);
    w->stretches = more;
  }
  w->stretches[w->n_stretches++] = stretch;
  return WL_OK;
}

static wl_status locate_chunks(writer *w, const char *name, hid_t dataset) {
  const WL_H5_SCOPED space = H5Dget_space(dataset);
  hsize_t chunks = 0, bytes = 0, corner[WL_MAX_DIMS];
  unsigned mask = 0;
  haddr_t at = 0;
  WL_TRY_H5(H5Dget_num_chunks(dataset, space, &chunks), WL_ERR_IO, w->path,
            "count the chunks of '%s'", name);
  for (hsize_t i = 0; i < chunks; i++) {
    WL_TRY_H5(H5Dget_chunk_info(dataset, space, i, corner, &mask, &at, &bytes), WL_ERR_IO, w->path,
              "locate a chunk of '%s'", name);
    WL_TRY(add_stretch(w, (wl_stretch){.name = name, .offset = at, .bytes = bytes}));
  }
  return WL_OK;
}

/* Where a dataset's bytes lie, for the seal. */
static wl_status locate(writer *w, int i) {
  const char *const name = w->items[i].field.name;
  const WL_H5_SCOPED dataset = H5Dopen2(w->image.file, name, H5P_DEFAULT);
  const WL_H5_SCOPED creation = H5Dget_create_plist(dataset);
  const H5D_layout_t layout = H5Pget_layout(creation);
  const haddr_t offset = layout == H5D_CONTIGUOUS ? H5Dget_offset(dataset) : HADDR_UNDEF;
  if (layout == H5D_CHUNKED) return locate_chunks(w, name, dataset);
  if (offset == HADDR_UNDEF) return WL_OK; /* empty, or virtual */
  return add_stretch(
      w, (wl_stretch){name, offset, H5Dget_storage_size(dataset), w->checksums[i], true});
}

static void hash_chunks(writer *w) {
  for (int i = 0; i < w->n_stretches; i++) {
    wl_stretch *const s = &w->stretches[i];
    if (!s->whole) s->hash = XXH3_64bits(w->image.memory + s->offset, s->bytes);
  }
}

/* ---- the body ---- */

/* All but the places of the datasets: what the file says of them and of itself. */
static wl_status describe_file(writer *w) {
  for (int i = 0; i < w->n_items; i++)
    if (stays(w, &w->items[i])) WL_TRY(sign_direct(w, i));
  for (int i = 0; i < w->n_items; i++)
    WL_TRY(wl_dimensions_name(w->path, w->image.file, &w->items[i].field));
  WL_TRY(put_root(w));
  WL_TRY(wl_h5_put_uint64(w->path, w->image.file, "complete",
                          1)); /* last: all that it vouches for is there */
  /* places of chunks are known after a flush, which would claim memory for arrays that stay where they are */
  if (!w->direct)
    WL_TRY_H5(H5Fflush(w->image.file, H5F_SCOPE_GLOBAL), WL_ERR_IO, w->path, "build the image");
  for (int i = 0; i < w->n_items; i++) WL_TRY(locate(w, i));
  WL_TRY(wl_image_close(w->path, &w->image));
  hash_chunks(w);
  return wl_image_parts(w->path, &w->image, &w->parts, &w->n_parts);
}

/* Virtual datasets need the format of HDF5 1.10, whose index of chunks is small and has checksums.
 * Everything else keeps that of 1.8, which more readers know. */
static bool needs_new_format(const wl_item *item) {
  return item->n_sources > 0 || item->compression > 0;
}

/* A place for every dataset, and what does not stay where it is. */
static wl_status lay_out(writer *w) {
  bool new_format = false;
  size_t plain_bytes = 0;
  for (int i = 0; i < w->n_items; i++) {
    if (is_plain(&w->items[i]))
      plain_bytes += stored_bytes(&w->items[i], wl_type_size(w->items[i].field.type));
    new_format = new_format || needs_new_format(&w->items[i]);
  }
  w->direct = plain_bytes >= DIRECT_FILE && !new_format;
  WL_TRY(WL_NEW(w->checksums, w->n_items));
  WL_TRY(wl_image_create(w->path, new_format ? H5F_LIBVER_V110 : H5F_LIBVER_V18,
                         w->direct ? METADATA + METADATA_ITEM * (size_t)w->n_items : 0, &w->image));
  for (int i = 0; i < w->n_items; i++) WL_TRY(put_item(w, i));
  return wl_image_settle(w->path, &w->image);
}

/* ---- to the disk ---- */

static const wl_stretch *whole_stretch(const writer *w, const char *name) {
  for (int i = 0; i < w->n_stretches; i++)
    if (w->stretches[i].whole && w->stretches[i].name == name) return &w->stretches[i];
  return NULL;
}

static wl_status do_beside(void *data) {
  wl_beside *const b = data;
  b->done = b->work(b->data) == WL_OK;
  return WL_OK;
}

/* The file at its temporary name, as a reader gets it: its body has been read back already, here come the seal
 * and every dataset, by its place in the file where the seal vouches for the bytes there, else by reading it
 * through HDF5. */
static wl_status check_content(const char *temporary, const writer *w) {
  wl_file *file = NULL;
  WL_TRY(wl_seal_check_lines(temporary, w->image.bytes, w->body_hash));
  WL_TRY(wl_file_open_again(temporary, w->kind, &file));
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < w->n_items; i++) {
    const char *const name = w->items[i].field.name;
    const wl_stretch *const s = whole_stretch(w, name);
    status = s ? wl_file_check_place(file, s) : wl_file_check_dataset(file, name);
  }
  wl_file_close(&file);
  return status;
}

/* Where a thread writes the body, another does what goes beside; else that goes with the check. */
static bool is_wide(const writer *w) { return wl_body_is_wide(w->image.direct, w->image.n_direct); }

/* What goes on while the disk syncs. */
static wl_status check_written(const char *temporary, void *context) {
  const writer *const w = context;
  const wl_status status = check_content(temporary, w);
  if (status == WL_OK && w->beside && !is_wide(w)) do_beside(w->beside);
  return status;
}

static wl_status write_body(writer *w, const wl_atomic_file *file) {
  wl_body body;
  wl_aside beside = {0};
  if (w->beside && is_wide(w)) wl_aside_start(&beside, do_beside, w->beside);
  wl_body_start(&body, file, w->image.direct, w->image.n_direct);
  wl_status status = describe_file(w);
  if (status == WL_OK) status = wl_body_finish(&body, w->parts, w->n_parts, &w->body_hash);
  wl_body_end(&body);
  wl_aside_drop(&beside);
  return status;
}

static wl_status write_seal(const writer *w, const wl_atomic_file *file) {
  char *seal = NULL;
  size_t bytes = 0;
  WL_TRY(wl_seal_make(w->image.bytes, w->body_hash, w->stretches, w->n_stretches, &seal, &bytes));
  const wl_status status = wl_atomic_put(file, w->image.bytes, seal, bytes);
  free(seal);
  return status;
}

static wl_status write_file(writer *w) {
  wl_atomic_file file;
  WL_TRY(lay_out(w));
  wl_status status = wl_atomic_begin(w->path, &file);
  if (status == WL_OK) status = write_body(w, &file);
  if (status == WL_OK) status = write_seal(w, &file);
  if (status == WL_OK) status = wl_atomic_commit(&file, check_written, w);
  if (status != WL_OK) wl_atomic_abandon(&file);
  return status;
}

wl_status wl_items_write(const char *path, const char *kind, const wl_item *items, int n_items,
                         const wl_attribute *attributes, int n_attributes, wl_beside *beside) {
  writer w = {.path = path,
              .kind = kind,
              .items = items,
              .n_items = n_items,
              .attributes = attributes,
              .n_attributes = n_attributes,
              .beside = beside,
              .image = {.file = H5I_INVALID_HID}};
  wl_h5_quiet();
  const wl_status status = write_file(&w);
  wl_image_free(&w.image);
  wl_free(w.checksums);
  free(w.stretches);
  free(w.parts);
  return status;
}

wl_status wl_fields_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                          const wl_attribute *attributes, int n_attributes, wl_beside *beside) {
  wl_item *items = NULL;
  WL_TRY(WL_NEW(items, n_fields));
  for (int i = 0; i < n_fields; i++) items[i].field = fields[i];
  const wl_status status =
      wl_items_write(path, kind, items, n_fields, attributes, n_attributes, beside);
  wl_free(items);
  return status;
}

wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes) {
  return wl_fields_write(path, kind, fields, n_fields, attributes, n_attributes, NULL);
}
