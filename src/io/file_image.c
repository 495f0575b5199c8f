/* file_image.c - HDF5's core driver over memory of ours, and the parts of the body.
 *
 * HDF5 hands out the image of an open file, but with a superblock that says so: only a closed file is in
 * order. The memory is therefore ours, and kept when the file is closed. Its length is what HDF5 wrote to;
 * the file's length stands in the superblock. */
#include "io/file_image.h"

#include <stdlib.h>
#include <string.h>

/* Where versions 2 and 3 of the superblock hold the file's length. */
enum { VERSION_AT = 8, END_AT = 28 };

/* By how much HDF5 has the memory grow, and at least how much is allocated at once. */
enum { IMAGE_STEP = 1 << 16, IMAGE_ROOM = 1 << 18 };

/* Holds the start of the file for small things that HDF5 treats as data (global heaps). */
#define KEEPER "keeper"

/* ---- memory ---- */

/* HDF5 asks for a little more again and again: twice as much each time, or all would be copied as often. */
static void *image_resize(void *memory, size_t bytes, H5FD_file_image_op_t operation,
                          void *context) {
  wl_image *const image = context;
  (void)operation;
  if (!memory) image->capacity = 0;
  if (bytes > image->capacity) {
    const size_t wanted = bytes < IMAGE_ROOM ? IMAGE_ROOM : bytes + bytes / 2;
    void *const moved = realloc(memory, wanted);
    if (!moved) return NULL;
    memory = moved;
    image->capacity = wanted;
  }
  image->room = bytes;
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
static herr_t image_keep(void *memory, H5FD_file_image_op_t operation, void *context) {
  wl_image *const image = context;
  if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) image->memory = memory;
  else free(memory);
  return 0;
}
static void *same_place(void *context) { return context; }
static herr_t nothing_to_free(void *context) {
  (void)context;
  return 0;
}

/* ---- layout ---- */

/* An empty dataset that is given a place now, and gives it up once the large ones have theirs. */
static wl_status keep_place(const char *path, hid_t file, size_t bytes) {
  const hsize_t size = bytes;
  const WL_H5_SCOPED space = H5Screate_simple(1, &size, NULL);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(creation, false);
  H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  const WL_H5_SCOPED keeper =
      H5Dcreate2(file, KEEPER, H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(keeper, WL_ERR_IO, path, "build the image");
  return WL_OK;
}

wl_status wl_image_create(const char *path, H5F_libver_t format, size_t metadata, wl_image *image) {
  *image = (wl_image){.file = H5I_INVALID_HID};
  H5FD_file_image_callbacks_t memory = {image_create, image_copy,      image_resize, image_keep,
                                        same_place,   nothing_to_free, image};
  const WL_H5_SCOPED access = wl_h5_access();
  const WL_H5_SCOPED creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_fapl_core(access, IMAGE_STEP, false);
  H5Pset_file_image_callbacks(access, &memory);
  H5Pset_libver_bounds(access, format, format);
  if (metadata > 0) H5Pset_meta_block_size(access, metadata);
  H5Pset_obj_track_times(creation, false);
  image->file = H5Fcreate("warploom-image", H5F_ACC_TRUNC, creation, access);
  WL_TRY_H5(image->file, WL_ERR_IO, path, "build the image");
  return metadata > 0 ? keep_place(path, image->file, metadata / 4) : WL_OK;
}

wl_status wl_image_put(const char *path, wl_image *image, hid_t dataset, const void *data,
                       size_t bytes, const uint64_t *hash) {
  const haddr_t offset = H5Dget_offset(dataset);
  if (offset == HADDR_UNDEF || H5Dget_storage_size(dataset) != bytes)
    return wl_h5_fail(WL_ERR_IO, path, "place a dataset");
  if (image->n_direct == image->direct_room) {
    image->direct_room = 2 * image->direct_room + 16;
    wl_part *const more = realloc(image->direct, (size_t)image->direct_room * sizeof *more);
    if (!more) return WL_FAIL(WL_ERR_OS, "out of memory while writing '%s'", path);
    image->direct = more;
  }
  image->direct[image->n_direct++] = (wl_part){offset, bytes, data, hash};
  return WL_OK;
}

static int by_offset(const void *a, const void *b) {
  const wl_part *const x = a, *const y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

wl_status wl_image_settle(const char *path, wl_image *image) {
  if (image->n_direct > 1)
    qsort(image->direct, (size_t)image->n_direct, sizeof *image->direct, by_offset);
  if (H5Lexists(image->file, KEEPER, H5P_DEFAULT) > 0)
    WL_TRY_H5(H5Ldelete(image->file, KEEPER, H5P_DEFAULT), WL_ERR_IO, path, "build the image");
  return WL_OK;
}

static wl_status read_length(const char *path, wl_image *image) {
  if (!image->memory || image->room < END_AT + sizeof image->bytes ||
      image->memory[VERSION_AT] < 2 || image->memory[VERSION_AT] > 3)
    return WL_FAIL(WL_ERR_SOFTWARE, "HDF5 kept the image of '%s' to itself", path);
  memcpy(&image->bytes, image->memory + END_AT, sizeof image->bytes);
  return WL_OK;
}

wl_status wl_image_close(const char *path, wl_image *image) {
  const herr_t closed = H5Fclose(image->file);
  image->file = H5I_INVALID_HID;
  WL_TRY_H5(closed, WL_ERR_IO, path, "close the image");
  return read_length(path, image);
}

void wl_image_free(wl_image *image) {
  if (image->file >= 0) H5Fclose(image->file);
  free(image->memory);
  free(image->direct);
  *image = (wl_image){.file = H5I_INVALID_HID};
}

/* ---- parts ---- */

/* What HDF5 has not written up to there is zero. */
static wl_status fill_up(const char *path, wl_image *image, uint64_t end) {
  if (end <= image->room) return WL_OK;
  char *const longer = realloc(image->memory, end);
  if (!longer) return WL_FAIL(WL_ERR_OS, "out of memory while writing '%s'", path);
  memset(longer + image->room, 0, end - image->room);
  image->memory = longer;
  image->room = end;
  return WL_OK;
}

/* The end of the last stretch that is HDF5's. */
static uint64_t end_of_own(const wl_image *image) {
  uint64_t end = image->bytes;
  for (int i = image->n_direct - 1;
       i >= 0 && image->direct[i].offset + image->direct[i].bytes == end; i--)
    end = image->direct[i].offset;
  return end;
}

wl_status wl_image_parts(const char *path, wl_image *image, wl_part **parts, int *count) {
  uint64_t at = 0;
  *count = 0;
  WL_TRY(fill_up(path, image, end_of_own(image)));
  *parts = malloc((2 * (size_t)image->n_direct + 1) * sizeof **parts);
  if (!*parts) return WL_FAIL(WL_ERR_OS, "out of memory while writing '%s'", path);
  for (int i = 0; i < image->n_direct; i++) {
    const wl_part *const d = &image->direct[i];
    if (d->offset > at)
      (*parts)[(*count)++] = (wl_part){at, d->offset - at, image->memory + at, NULL};
    (*parts)[(*count)++] = *d;
    at = d->offset + d->bytes;
  }
  if (image->bytes > at)
    (*parts)[(*count)++] = (wl_part){at, image->bytes - at, image->memory + at, NULL};
  return WL_OK;
}
