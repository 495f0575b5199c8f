/* dataset_impl.h - the interface between dataset.c and the sources of images. Private to src/task. */
#ifndef WL_TASK_DATASET_IMPL_H
#define WL_TASK_DATASET_IMPL_H

#include <stdio.h>

#include "task/dataset.h"

enum { WL_DATA_PATH = 4096 };

/* Each of these functions reads or generates the images of a zeroed data set. After a failure, the caller frees the
 * allocated arrays. If `classes` is 0, the number of classes is determined from the data. */
wl_status wl_dataset_read_idx(const char *directory, int64_t classes, wl_dataset *dataset);
wl_status wl_dataset_read_cifar(const char *directory, wl_dataset *dataset);
wl_status wl_dataset_make_synthetic(wl_dataset *dataset);
wl_status wl_dataset_make_digits(wl_dataset *dataset);
/* Returns true if the directory contains files in CIFAR-10's binary format. */
bool wl_dataset_is_cifar(const char *directory);
/* Resizes images to side x side pixels, unless `side` is 0. Converts images to grey if `grey` is true. If the images
 * change, `values` replaces `pixels`. */
wl_status wl_dataset_resize(wl_dataset *dataset, int64_t side, bool grey);
/* Allocates pixels and labels of one split. The caller has set rows, columns and channels. */
wl_status wl_images_alloc(wl_images *images, int64_t count, int64_t pixels);

/* A file that is read sequentially, plain or gzipped. Offsets count decompressed bytes. */
typedef struct wl_byte_file {
  void *handle; /* private to byte_file.c */
  char path[WL_DATA_PATH];
  int64_t offset;
  int64_t limit; /* upper bound of the number of decompressed bytes */
} wl_byte_file;

/* Opens directory/name, or directory/name.gz if the first does not exist. */
wl_status wl_byte_file_open(const char *directory, const char *name, wl_byte_file *out);
bool wl_byte_file_exists(const char *directory, const char *name);
/* Reads exactly `count` bytes. Returns WL_ERR_DATA if the file is shorter; the message names `what`. */
wl_status wl_byte_file_read(wl_byte_file *file, uint8_t *to, int64_t count, const char *what);
/* Checks that the file ends here, and verifies the checksum of gzip. Returns WL_ERR_DATA if a check fails. */
wl_status wl_byte_file_expect_end(wl_byte_file *file);
void wl_byte_file_close(wl_byte_file *file);

#endif
