/* file_image.h - the body of an HDF5 file on its way to the disk.
 *
 * HDF5 lays the file out in memory and never writes to the disk itself: a full disk or a killed process
 * meets plain write calls, whose outcome is known, and not the library's caches. Large arrays are given
 * their place in the file but not copied there: they are written from where they are. */
#ifndef WL_IO_FILE_IMAGE_H
#define WL_IO_FILE_IMAGE_H

#include "io/atomic_file.h"
#include "io/h5_support.h"

/* Bytes of the body that are taken from the caller's memory, borrowed. */
typedef struct wl_direct {
  uint64_t offset, bytes;
  const void *data;
} wl_direct;

typedef struct wl_image {
  hid_t file;        /* open from create to close */
  char *memory;      /* HDF5's part: the body without what is direct, which is undefined in it */
  size_t room;       /* its bytes: may end before the body does */
  uint64_t bytes;    /* of the body, once closed */
  wl_direct *direct; /* [n_direct] in order of offset, once closed */
  int n_direct, capacity;
} wl_image;

/* `metadata`: bytes to set aside for all but the data, at the start of the file; 0: HDF5's own way. The
 * image must not move in memory until it is closed. */
wl_status wl_image_create(const char *path, H5F_libver_t format, size_t metadata, wl_image *image);
/* Puts data in the place of a dataset that was given one (H5D_ALLOC_TIME_EARLY) and never written. */
wl_status wl_image_put(const char *path, wl_image *image, hid_t dataset, const void *data,
                       size_t bytes);
wl_status wl_image_close(const char *path, wl_image *image);
/* The body as pieces, in order; malloc'ed. */
wl_status wl_image_pieces(const char *path, wl_image *image, wl_piece **pieces, int *count);
void wl_image_free(wl_image *image);

#endif
