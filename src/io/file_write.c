/* file_write.c - writes the datasets and attributes of a file.
 *
 *   HDF5 makes an image in memory -> written with a footer -> read back -> synced -> renamed
 *
 * HDF5 never writes to the disk: only plain write calls do, whose errors are all reported. Large arrays have an offset
 * in the image but are written directly from the caller's memory, so that a checkpoint needs little extra memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/build_info.h"
#include "base/digest.h"
#include "io/file_impl.h"
#include "io/footer.h"

enum { CHUNK_BYTES = 1 << 19, COMPRESS_FROM = 4096, NAME = 256 };
/* From DIRECT_FROM bytes on an array is not copied into the image. METADATA bytes and METADATA_ITEM for each
 * dataset are reserved at the start of a file, so that little of the image follows these arrays. */
enum { DIRECT_FROM = 1 << 20, METADATA = 1 << 16, METADATA_ITEM = 2048 };
enum { IMAGE_STEP = 1 << 16, IMAGE_ROOM = 1 << 18 };

/* Bytes of the file that are not stored in the image's memory. */
typedef struct part {
  uint64_t offset, bytes;
  const char *data;
} part;

typedef struct writer {
  const wl_file_content *content;
  const char *path;
  hid_t file;  /* open while the image is built */
  char *image; /* written by HDF5; undefined in the range of a part */
  size_t room; /* its bytes, may be fewer than the body's */
  size_t capacity;
  part *parts; /* in order of offset */
  int n_parts;
  uint64_t body_bytes;
} writer;

/* ---- memory of the image ---- */

/* HDF5 extends the image in many small steps: grow by half each time, to avoid a copy at each step. */
static void *image_resize(void *memory, size_t bytes, H5FD_file_image_op_t operation,
                          void *context) {
  writer *const w = context;
  (void)operation;
  if (!memory) w->capacity = 0;
  if (bytes > w->capacity) {
    const size_t wanted = bytes < IMAGE_ROOM ? IMAGE_ROOM : bytes + bytes / 2;
    void *const moved = realloc(memory, wanted);
    if (!moved) return NULL;
    memory = moved;
    w->capacity = wanted;
  }
  w->room = bytes;
  return memory;
}
static void *image_create(size_t bytes, H5FD_file_image_op_t operation, void *context) {
  return image_resize(NULL, bytes, operation, context);
}
static void *image_copy(void *to, const void *from, size_t bytes, H5FD_file_image_op_t operation,
                        void *context) {
  (void)operation;
  (void)context;
  return memcpy(to, from, bytes);
}
/* The image of an open file is marked as open; only the image of a closed file is valid. */
static herr_t image_keep(void *memory, H5FD_file_image_op_t operation, void *context) {
  writer *const w = context;
  if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) w->image = memory;
  else free(memory);
  return 0;
}
static void *same_place(void *context) { return context; }
static herr_t nothing_to_free(void *context) {
  (void)context;
  return 0;
}

/* Virtual datasets need the format of HDF5 1.10, whose index of chunks is small and has checksums.
 * Everything else keeps that of 1.8, which more readers know. */
static wl_status create_image(writer *w) {
  H5FD_file_image_callbacks_t memory = {
      image_create, image_copy, image_resize, image_keep, same_place, nothing_to_free, w};
  H5F_libver_t format = H5F_LIBVER_V18;
  for (int i = 0; i < w->content->n_items; i++)
    if (w->content->items[i].n_sources > 0 || w->content->items[i].compression > 0)
      format = H5F_LIBVER_V110;
  const WL_H5_SCOPED access = wl_h5_access();
  const WL_H5_SCOPED creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fapl_core(access, IMAGE_STEP, false);
  H5Pset_file_image_callbacks(access, &memory);
  H5Pset_libver_bounds(access, format, format);
  H5Pset_obj_track_times(creation, false);
  if (w->n_parts > 0) {
    H5Pset_meta_block_size(access, METADATA + METADATA_ITEM * (hsize_t)w->content->n_items);
    H5Pset_small_data_block_size(access, METADATA);
  }
  w->n_parts = 0;
  w->file = H5Fcreate("warploom-image", H5F_ACC_TRUNC, creation, access);
  WL_TRY_H5(w->file, WL_ERR_IO, w->path, "build the image");
  return WL_OK;
}

/* Superblocks of versions 2 and 3 contain the file's length. */
static wl_status close_image(writer *w) {
  enum { VERSION_AT = 8, END_AT = 28 };
  const herr_t closed = H5Fclose(w->file);
  w->file = H5I_INVALID_HID;
  WL_TRY_H5(closed, WL_ERR_IO, w->path, "close the image");
  if (!w->image || w->room < END_AT + sizeof w->body_bytes || w->image[VERSION_AT] < 2 ||
      w->image[VERSION_AT] > 3)
    return WL_FAIL(WL_ERR_SOFTWARE, "HDF5 did not return the image of '%s'", w->path);
  memcpy(&w->body_bytes, w->image + END_AT, sizeof w->body_bytes);
  return WL_OK;
}

/* ---- layout of a dataset ---- */

/* Creates the missing groups of "a/b/name". */
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
static void set_chunks(hid_t creation, const wl_item *item, size_t element) {
  hsize_t chunk[WL_MAX_DIMS];
  size_t bytes = element;
  for (int d = item->field.ndim - 1; d >= 0; d--) {
    const size_t fit = CHUNK_BYTES / bytes > 0 ? CHUNK_BYTES / bytes : 1;
    chunk[d] = (size_t)item->field.shape[d] < fit ? (hsize_t)item->field.shape[d] : fit;
    bytes *= chunk[d];
  }
  H5Pset_chunk(creation, item->field.ndim, chunk);
  H5Pset_shuffle(creation);
  H5Pset_deflate(creation, (unsigned)item->compression);
}

/* The fill value of rows whose source is missing; it cannot be mistaken for data. */
static void set_fill(hid_t creation, wl_type type) {
  const double nan = __builtin_nan("");
  const int64_t minus_one = -1;
  if (type == WL_FLOAT32 || type == WL_FLOAT64)
    H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &nan);
  else H5Pset_fill_value(creation, H5T_NATIVE_INT64, &minus_one);
}

/* Maps the current rows of a source. The source may grow later; its first rows do not change. */
static wl_status map_source(const writer *w, hid_t creation, hid_t space, const wl_item *item,
                            const wl_source *source) {
  hsize_t start[WL_MAX_DIMS] = {(hsize_t)source->at}, count[WL_MAX_DIMS], origin[WL_MAX_DIMS] = {0};
  for (int d = 0; d < item->field.ndim; d++) count[d] = (hsize_t)source->shape[d];
  const WL_H5_SCOPED from = H5Screate_simple(item->field.ndim, count, NULL);
  H5Sselect_hyperslab(from, H5S_SELECT_SET, origin, NULL, count, NULL);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
  WL_TRY_H5(H5Pset_virtual(creation, space, source->file, item->field.name, from), WL_ERR_IO,
            w->path, "map '%s' to '%s'", item->field.name, source->file);
  return WL_OK;
}

static size_t item_bytes(const wl_item *item, size_t element) {
  return (size_t)wl_field_count(&item->field) * element;
}

static bool is_compressed(const wl_item *item, size_t element) {
  return item->compression > 0 && item->field.ndim > 0 &&
         item_bytes(item, element) >= COMPRESS_FROM;
}

/* Whether the item's array is large and is stored in its memory format. */
static bool is_direct(const wl_item *item) {
  return item->field.data && !item->half && item->n_sources == 0 && item->compression == 0 &&
         item_bytes(item, wl_type_size(item->field.type)) >= DIRECT_FROM;
}

static wl_status set_layout(const writer *w, hid_t creation, hid_t space, const wl_item *item,
                            size_t element) {
  H5Pset_obj_track_times(creation, false);
  if (item->n_sources > 0 || !item->field.data) set_fill(creation, item->field.type);
  for (int i = 0; i < item->n_sources; i++)
    WL_TRY(map_source(w, creation, space, item, &item->sources[i]));
  if (item->n_sources > 0) H5Sselect_all(space);
  else if (is_compressed(item, element)) set_chunks(creation, item, element);
  if (is_direct(item)) {
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  }
  return WL_OK;
}

/* ---- datasets ---- */

static wl_status describe_dataset(const writer *w, hid_t dataset, const wl_field *field) {
  char names[WL_MAX_DIMS * sizeof field->dims[0] + 1] = "";
  bool named = false;
  WL_TRY(wl_h5_put_text(w->path, dataset, "units", field->units[0] ? field->units : "1"));
  for (int d = 0; d < field->ndim; d++) {
    strcat(names, d > 0 ? " " : "");
    strcat(names, field->dims[d][0] ? field->dims[d] : "-");
    named = named || field->dims[d][0];
  }
  if (named) WL_TRY(wl_h5_put_text(w->path, dataset, "dimensions", names));
  return wl_h5_put_text(w->path, dataset, "long_name", field->long_name);
}

/* Stores `data`, which already has the stored type, and its checksum. */
static wl_status put_data(writer *w, const wl_item *item, hid_t dataset, hid_t type,
                          const void *data) {
  const size_t bytes = item_bytes(item, H5Tget_size(type));
  const uint64_t checksum = XXH3_64bits(data, bytes);
  WL_TRY(wl_h5_put_integer(w->path, dataset, "checksum", WL_UINT64, &checksum));
  if (!is_direct(item)) {
    WL_TRY_H5(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), WL_ERR_IO, w->path,
              "write dataset '%s'", item->field.name);
    return WL_OK;
  }
  const haddr_t offset = H5Dget_offset(dataset);
  if (offset == HADDR_UNDEF)
    return wl_h5_fail(WL_ERR_IO, w->path, "place dataset '%s'", item->field.name);
  w->parts[w->n_parts++] = (part){offset, bytes, data};
  return WL_OK;
}

/* Rounds to half precision first: the checksum covers the stored values. */
static wl_status put_half(writer *w, const wl_item *item, hid_t dataset, hid_t type) {
  const size_t count = (size_t)wl_field_count(&item->field),
               bytes = item_bytes(item, wl_type_size(item->field.type));
  const WL_H5_SCOPED memory = wl_h5_type(item->field.type, false);
  char *copy = NULL;
  WL_TRY(wl_alloc((void **)&copy, bytes + 1, 1));
  if (bytes > 0) memcpy(copy, item->field.data, bytes);
  wl_status status = WL_OK;
  if (H5Tconvert(memory, type, count, copy, NULL, H5P_DEFAULT) < 0)
    status =
        wl_h5_fail(WL_ERR_IO, w->path, "round dataset '%s' to half precision", item->field.name);
  if (status == WL_OK) status = put_data(w, item, dataset, type, copy);
  wl_free(copy);
  return status;
}

static wl_status put_item(writer *w, const wl_item *item) {
  const wl_field *const field = &item->field;
  const bool half = item->half && (field->type == WL_FLOAT32 || field->type == WL_FLOAT64);
  WL_TRY(make_groups(w, field->name));
  const WL_H5_SCOPED type = wl_h5_type(field->type, half);
  const WL_H5_SCOPED space = make_space(field);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  WL_TRY(set_layout(w, creation, space, item, H5Tget_size(type)));
  const WL_H5_SCOPED dataset =
      H5Dcreate2(w->file, field->name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(dataset, WL_ERR_IO, w->path, "create dataset '%s'", field->name);
  WL_TRY(describe_dataset(w, dataset, field));
  if (!field->data) return WL_OK;
  return half ? put_half(w, item, dataset, type) : put_data(w, item, dataset, type, field->data);
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

/* Stores the digest of the meta-parameters, which is compared when the file is opened. */
static wl_status put_phi_digest(const writer *w) {
  wl_digest digest = {0};
  char hex[17];
  bool any = false;
  for (int i = 0; i < w->content->n_items; i++) {
    const wl_field *const f = &w->content->items[i].field;
    if (strncmp(f->name, "phi/", 4) != 0) continue;
    any = true;
    wl_digest one = {0};
    wl_digest_add(&one, f->name, f->data, item_bytes(&w->content->items[i], wl_type_size(f->type)));
    digest.value += one.value; /* in any order */
  }
  wl_digest_hex(digest, hex);
  return any ? wl_h5_put_text(w->path, w->file, "phi_digest", hex) : WL_OK;
}

static wl_status put_root(const writer *w) {
  char date[48];
  const int64_t schema = WL_SCHEMA_VERSION;
  const uint64_t complete = 1;
  print_date(date, sizeof date);
  const wl_attribute own[] = {{"format", "warploom"},
                              {"kind", w->content->kind},
                              {"creator", "Warploom"},
                              {"version", wl_build_version()},
                              {"revision", wl_build_revision()},
                              {"compiler", wl_build_compiler()},
                              {"processor", wl_build_processor()},
                              {"blas", wl_build_blas()},
                              {"hdf5_version", wl_h5_version()},
                              {"date", date}};
  WL_TRY(wl_h5_put_integer(w->path, w->file, "schema_version", WL_INT64, &schema));
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    WL_TRY(wl_h5_put_text(w->path, w->file, own[i].name, own[i].value));
  for (int i = 0; i < w->content->n_attributes; i++)
    WL_TRY(wl_h5_put_text(w->path, w->file, w->content->attributes[i].name,
                          w->content->attributes[i].value));
  WL_TRY(put_phi_digest(w));
  return wl_h5_put_integer(w->path, w->file, "complete", WL_UINT64, &complete);
}

/* ---- the body ---- */

static int by_offset(const void *a, const void *b) {
  const part *const x = a, *const y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Small items first, so that they and HDF5's heaps precede the large arrays. */
static wl_status put_items(writer *w) {
  for (int direct = 0; direct <= 1; direct++)
    for (int i = 0; i < w->content->n_items; i++)
      if (is_direct(&w->content->items[i]) == (direct == 1))
        WL_TRY(put_item(w, &w->content->items[i]));
  if (w->n_parts > 1) qsort(w->parts, (size_t)w->n_parts, sizeof *w->parts, by_offset);
  return WL_OK;
}

static wl_status build(writer *w) {
  WL_TRY(WL_NEW(w->parts, w->content->n_items + 1));
  for (int i = 0; i < w->content->n_items; i++) w->n_parts += is_direct(&w->content->items[i]);
  WL_TRY(create_image(w));
  WL_TRY(put_items(w));
  for (int i = 0; i < w->content->n_items; i++)
    WL_TRY(wl_dimensions_name(w->path, w->file, &w->content->items[i].field));
  WL_TRY(put_root(w));
  return close_image(w);
}

static wl_status append(wl_atomic_file *file, XXH3_state_t *hash, const char *data,
                        uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += WL_ATOMIC_SLICE) {
    const size_t slice = bytes - at < WL_ATOMIC_SLICE ? (size_t)(bytes - at) : WL_ATOMIC_SLICE;
    WL_TRY(wl_atomic_append(file, data + at, slice));
    XXH3_64bits_update(hash, data + at, slice);
  }
  return WL_OK;
}

/* Bytes [at, end) of the image; bytes that HDF5 has not written are zero. */
static wl_status append_image(const writer *w, wl_atomic_file *file, XXH3_state_t *hash,
                              uint64_t at, uint64_t end) {
  static const char zeros[4096];
  const uint64_t own = end < w->room ? end : w->room;
  if (at < own) WL_TRY(append(file, hash, w->image + at, own - at));
  for (uint64_t z = at > own ? at : own; z < end; z += sizeof zeros)
    WL_TRY(append(file, hash, zeros, end - z < sizeof zeros ? end - z : sizeof zeros));
  return WL_OK;
}

static wl_status append_body(const writer *w, wl_atomic_file *file, XXH3_state_t *hash) {
  char footer[WL_FOOTER_BYTES + 1];
  uint64_t at = 0;
  XXH3_64bits_reset(hash);
  for (int i = 0; i < w->n_parts; i++) {
    WL_TRY(append_image(w, file, hash, at, w->parts[i].offset));
    WL_TRY(append(file, hash, w->parts[i].data, w->parts[i].bytes));
    at = w->parts[i].offset + w->parts[i].bytes;
  }
  WL_TRY(append_image(w, file, hash, at, w->body_bytes));
  wl_footer_make(w->body_bytes, XXH3_64bits_digest(hash), footer);
  return wl_atomic_append(file, footer, WL_FOOTER_BYTES);
}

/* Reads the written bytes back while the disk writes them. */
static wl_status check_written(const char *temporary, void *context) {
  const wl_file_content *const content = context;
  if (content->during_write) content->during_write(content->context);
  return wl_footer_check(temporary);
}

static wl_status write_file(writer *w) {
  wl_atomic_file file;
  WL_TRY(build(w));
  XXH3_state_t *const hash = XXH3_createState();
  if (!hash) return WL_FAIL(WL_ERR_OS, "out of memory while writing '%s'", w->path);
  wl_status status = wl_atomic_begin(w->path, &file);
  if (status == WL_OK) status = append_body(w, &file, hash);
  XXH3_freeState(hash);
  return wl_atomic_end(&file, status, check_written, (void *)w->content);
}

wl_status wl_items_write(const wl_file_content *content) {
  writer w = {.content = content, .path = content->path, .file = H5I_INVALID_HID};
  wl_h5_quiet();
  const wl_status status = write_file(&w);
  if (w.file >= 0) H5Fclose(w.file);
  free(w.image);
  wl_free(w.parts);
  return status;
}

wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes) {
  wl_item *items = NULL;
  WL_TRY(WL_NEW(items, n_fields));
  for (int i = 0; i < n_fields; i++) items[i].field = fields[i];
  const wl_file_content content = {path,       kind,         items, n_fields,
                                   attributes, n_attributes, NULL,  NULL};
  const wl_status status = wl_items_write(&content);
  wl_free(items);
  return status;
}
