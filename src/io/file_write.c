/* file_write.c - writes the datasets and attributes of a file.
 *
 * HDF5 writes only to memory, where it makes the file image. The image is then written to the disk with a footer, read
 * back, synced and renamed. The disk is written only by calls of write(), and each error of these calls is reported. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/build_info.h"
#include "io/file_impl.h"
#include "io/h5_library.h"
#include "base/footer.h"

/* METADATA and METADATA_ITEM: expected numbers of bytes of the metadata of a file and of a dataset */
enum {
  CHUNK_BYTES = 1 << 19,
  COMPRESS_FROM = 4096,
  LARGE_PAGE = 1 << 21,
  METADATA = 1 << 16,
  METADATA_ITEM = 4096
};

typedef struct writer {
  const wl_file_content *content;
  const char *path;
  hid_t file;
} writer;

/* ---- the image ---- */

/* Enlarges the file image. Large memory pages save most of the time of the first access to a large
 * image. */
static void *grow_image(void *memory, size_t bytes, H5FD_file_image_op_t operation, void *unused) {
  (void)operation, (void)unused;
  char *const image = realloc(memory, bytes);
  const size_t skipped = (size_t)(-(uintptr_t)image % LARGE_PAGE);
  if (image && bytes > skipped + LARGE_PAGE)
    (void)madvise(image + skipped, bytes - skipped, MADV_HUGEPAGE);
  return image;
}

/* The file image after HDF5 has closed the file. The image of an open file is marked as open and is
 * not a valid file, so the code keeps the image that exists when HDF5 closes the file. */
static _Thread_local char *closed_image;

static herr_t keep_image(void *memory, H5FD_file_image_op_t operation, void *unused) {
  (void)unused;
  if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) closed_image = memory;
  else free(memory);
  return 0;
}

/* Returns the expected number of bytes of the file. A file image of this size is allocated once; an
 * image that grows in small steps needs more memory. */
static size_t expected_bytes(const wl_file_content *content) {
  size_t bytes = METADATA;
  for (int i = 0; i < content->n_fields; i++) {
    const wl_field *const f = &content->fields[i];
    bytes += METADATA_ITEM + (f->data ? (size_t)wl_field_count(f) * wl_type_size(f->type) : 0);
  }
  return bytes;
}

/* Creates the file image. Files with virtual datasets or chunks have the format of HDF5 1.10, in
 * which the index of the chunks is small and has checksums. All other files have the format of HDF5
 * 1.8, which more readers support. */
static wl_status create_image(writer *w) {
  H5FD_file_image_callbacks_t memory = {.image_realloc = grow_image, .image_free = keep_image};
  const wl_file_content *const content = w->content;
  const H5F_libver_t format =
      content->map || content->compression > 0 ? H5F_LIBVER_V110 : H5F_LIBVER_V18;
  const WL_H5_SCOPED access = wl_h5_access();
  const WL_H5_SCOPED creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fapl_core(access, expected_bytes(content), false);
  H5Pset_file_image_callbacks(access, &memory);
  H5Pset_libver_bounds(access, format, format);
  H5Pset_obj_track_times(creation, false);
  w->file = H5Fcreate("warploom-image", H5F_ACC_TRUNC, creation, access);
  WL_TRY_H5(w->file, WL_ERR_IO, w->path, "create the file image");
  return WL_OK;
}

/* Closes the file image and sets *image and *bytes. The content of the image is complete if
 * `status` is WL_OK. The superblock of HDF5 in version 2 or 3 contains the length of the file. */
static wl_status close_image(writer *w, wl_status status, char **image, uint64_t *bytes) {
  enum { VERSION_AT = 8, END_AT = 28 };
  hsize_t room = 0;
  const bool flushed =
      H5Fflush(w->file, H5F_SCOPE_LOCAL) >= 0 && H5Fget_filesize(w->file, &room) >= 0;
  const herr_t closed = H5Fclose(w->file);
  *image = closed_image;
  closed_image = NULL;
  WL_TRY(status);
  WL_TRY_H5(flushed ? closed : -1, WL_ERR_IO, w->path, "close the file image");
  if (*image && room >= END_AT + sizeof *bytes) memcpy(bytes, *image + END_AT, sizeof *bytes);
  if (!*image || *bytes > room || (*image)[VERSION_AT] < 2 || (*image)[VERSION_AT] > 3)
    return WL_FAIL(WL_ERR_SOFTWARE, "HDF5 did not return the file image of '%s'", w->path);
  return WL_OK;
}

/* ---- layout of a dataset ---- */

static hid_t make_space(const wl_field *field) {
  hsize_t size[WL_MAX_DIMS];
  for (int d = 0; d < field->ndim; d++) size[d] = (hsize_t)field->shape[d];
  return field->ndim == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(field->ndim, size, NULL);
}

/* Selects chunks of at most CHUNK_BYTES bytes. If a row fits in a chunk, the chunk contains only
 * whole rows. Larger rows are divided into several chunks. */
static void set_chunks(hid_t creation, const wl_field *field, size_t element) {
  hsize_t chunk[WL_MAX_DIMS];
  size_t bytes = element;
  for (int d = field->ndim - 1; d >= 0; d--) {
    const size_t fit = CHUNK_BYTES / bytes > 0 ? CHUNK_BYTES / bytes : 1;
    chunk[d] = (size_t)field->shape[d] < fit ? (hsize_t)field->shape[d] : fit;
    bytes *= chunk[d];
  }
  H5Pset_chunk(creation, field->ndim, chunk);
}

static wl_status set_layout(const writer *w, hid_t creation, hid_t space, const wl_field *field,
                            size_t element) {
  const wl_file_content *const content = w->content;
  const bool floats = field->type == WL_FLOAT32 || field->type == WL_FLOAT64;
  H5Pset_obj_track_times(creation, false);
  if (content->map && !field->data) {
    /* value of an element of a virtual dataset if no other file contains the element */
    const double unset = floats ? __builtin_nan("") : -1;
    H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &unset);
    return content->map(content->files, field, w->path, creation, space);
  }
  if (content->compression == 0 || field->ndim == 0 ||
      (size_t)wl_field_count(field) * element < COMPRESS_FROM)
    return WL_OK;
  set_chunks(creation, field, element);
  H5Pset_shuffle(creation);
  H5Pset_deflate(creation, (unsigned)content->compression);
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

/* Creates the groups a and a/b for a name such as "a/b/name". HDF5 can create these groups together
 * with the dataset, but would store the current time in them. */
static wl_status make_groups(const writer *w, const wl_field *field) {
  const char *const name = field->name;
  char group[sizeof field->name];
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

/* Writes a dataset. If the dataset has half precision, HDF5 rounds the numbers. */
static wl_status put_field(const writer *w, const wl_field *field) {
  const bool half = field->half && (field->type == WL_FLOAT32 || field->type == WL_FLOAT64);
  const WL_H5_SCOPED type = wl_h5_type(field->type, half);
  const WL_H5_SCOPED memory = wl_h5_type(field->type, false);
  const WL_H5_SCOPED space = make_space(field);
  WL_TRY(make_groups(w, field));
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  WL_TRY(set_layout(w, creation, space, field, H5Tget_size(type)));
  const WL_H5_SCOPED dataset =
      H5Dcreate2(w->file, field->name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(dataset, WL_ERR_IO, w->path, "create dataset '%s'", field->name);
  WL_TRY(describe_dataset(w, dataset, field));
  if (!field->data) return WL_OK;
  WL_TRY_H5(H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, field->data), WL_ERR_IO,
            w->path, "write dataset '%s'", field->name);
  return WL_OK;
}

/* ---- root attributes ---- */

/* Writes the local time and its offset from UTC, such as 2026-01-31T12:00:00+01:00. */
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

/* Stores the digest of the meta-parameters. When the file is opened, this digest is compared with
 * the data. */
static wl_status put_phi_digest(const writer *w) {
  wl_digest digest = {0};
  char hex[17];
  bool any = false;
  for (int i = 0; i < w->content->n_fields; i++) {
    const wl_field *const f = &w->content->fields[i];
    if (wl_is_phi(f->name)) wl_phi_digest_add(&digest, f);
    any = any || wl_is_phi(f->name);
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

/* ---- writing ---- */

static wl_status fill_image(const writer *w) {
  for (int i = 0; i < w->content->n_fields; i++) WL_TRY(put_field(w, &w->content->fields[i]));
  for (int i = 0; i < w->content->n_fields; i++)
    WL_TRY(wl_dimensions_name(w->path, w->file, &w->content->fields[i]));
  return put_root(w);
}

static wl_status write_image(const char *path, const char *image, uint64_t bytes) {
  wl_atomic_file file;
  char footer[WL_FOOTER_BYTES + 1];
  wl_footer_make(image, bytes, footer);
  wl_status status = wl_atomic_begin(path, &file);
  if (status == WL_OK) status = wl_atomic_append(&file, image, bytes);
  if (status == WL_OK) status = wl_atomic_append(&file, footer, WL_FOOTER_BYTES);
  return wl_atomic_end(&file, status, wl_footer_check);
}

wl_status wl_content_write(const wl_file_content *content) {
  writer w = {.content = content, .path = content->path};
  char *image = NULL;
  uint64_t bytes = 0;
  wl_h5_quiet();
  WL_TRY(create_image(&w));
  wl_status status = close_image(&w, fill_image(&w), &image, &bytes);
  if (status == WL_OK) status = write_image(w.path, image, bytes);
  free(image);
  return status;
}

wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes) {
  return wl_content_write(
      &(wl_file_content){path, kind, fields, n_fields, attributes, n_attributes, 0, NULL, NULL});
}
