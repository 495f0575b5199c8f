/* file_image.h - the body of an HDF5 file on its way to the disk.
 *
 * HDF5 lays the file out in memory and never writes to the disk itself: a full disk or a killed process
 * meets plain write calls, whose outcome is known, and not the library's caches. Large arrays are given
 * their place in the file but not copied there: they are written from where they are. */
#ifndef WL_IO_FILE_IMAGE_H
#define WL_IO_FILE_IMAGE_H

#include "io/atomic_file.h"
#include "io/h5_support.h"

/* Bytes of the body. */
typedef struct wl_part {
  uint64_t offset, bytes;
  const void *data;     /* borrowed */
  const uint64_t *hash; /* their XXH3 where it is known beforehand, else NULL; borrowed */
} wl_part;

typedef struct wl_image {
  hid_t file;      /* open from create to close */
  char *memory;    /* HDF5's part: the body without what is direct, which is undefined in it */
  size_t room;     /* its bytes: may end before the body does */
  size_t capacity; /* bytes allocated */
  uint64_t bytes;  /* of the body, once closed */
  wl_part *direct; /* [n_direct] taken from the caller's memory; in order of offset, once settled */
  int n_direct, direct_room;
} wl_image;

/* `metadata`: bytes to set aside for all but the data, at the start of the file; 0: HDF5's own way. The
 * image must not move in memory until it is closed. */
wl_status wl_image_create(const char *path, H5F_libver_t format, size_t metadata, wl_image *image);
/* Puts data in the place of a dataset that was given one (H5D_ALLOC_TIME_EARLY) and never written. Their
 * hash, where there is one, need be known only when the parts are read back. */
wl_status wl_image_put(const char *path, wl_image *image, hid_t dataset, const void *data,
                       size_t bytes, const uint64_t *hash);
/* After the last put: what comes now is small, and goes to the start of the file. */
wl_status wl_image_settle(const char *path, wl_image *image);
wl_status wl_image_close(const char *path, wl_image *image);
/* The body as parts, in order and without gaps; malloc'ed. */
wl_status wl_image_parts(const char *path, wl_image *image, wl_part **parts, int *count);
void wl_image_free(wl_image *image);

#endif
