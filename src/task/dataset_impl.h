/* dataset_impl.h - between dataset.c and the sources of images. Private to src/task. */
#ifndef WL_TASK_DATASET_IMPL_H
#define WL_TASK_DATASET_IMPL_H

#include <stdio.h>

#include "task/dataset.h"

enum { WL_DATA_PATH = 4096 };

/* Each fills a zeroed dataset; on failure what was allocated stays in it, for the caller to free.
 * `classes`: 0 when to be found from the data. */
wl_status wl_dataset_read_idx(const char *directory, int64_t classes, wl_dataset *dataset);
wl_status wl_dataset_read_cifar(const char *directory, wl_dataset *dataset);
wl_status wl_dataset_make_synthetic(wl_dataset *dataset);
wl_status wl_dataset_make_digits(wl_dataset *dataset);
/* Do the files of CIFAR-10's binary format lie there? */
bool wl_dataset_is_cifar(const char *directory);
/* Resizes to side x side (0: not) and makes grey, in place of the pixels, where that changes anything. */
wl_status wl_dataset_resize(wl_dataset *dataset, int64_t side, bool grey);
/* Allocates pixels and labels of one split; rows, columns and channels are set. */
wl_status wl_images_alloc(wl_images *images, int64_t count, int64_t pixels);

/* A file read from the front, plain or gzipped alike. Offsets count decompressed bytes. */
typedef struct wl_byte_file {
  void *handle; /* private to byte_file.c */
  char path[WL_DATA_PATH];
  int64_t offset;
  int64_t limit; /* no more decompressed bytes than this can be in the file */
} wl_byte_file;

/* Opens directory/name, or directory/name.gz where that does not exist. */
wl_status wl_byte_file_open(const char *directory, const char *name, wl_byte_file *out);
bool wl_byte_file_exists(const char *directory, const char *name);
/* Reads exactly `count` bytes; a shorter file is WL_ERR_DATA. `what` is named in the message. */
wl_status wl_byte_file_read(wl_byte_file *file, uint8_t *to, int64_t count, const char *what);
/* WL_ERR_DATA unless the file ends here; also where gzip's checksum is verified. */
wl_status wl_byte_file_expect_end(wl_byte_file *file);
void wl_byte_file_close(wl_byte_file *file);

#endif
