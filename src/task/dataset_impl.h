/* dataset_impl.h - declares the functions that dataset.c calls to read, generate and resize images.
 * Only files of src/task include this header. */
#ifndef WL_TASK_DATASET_IMPL_H
#define WL_TASK_DATASET_IMPL_H

#include <stdio.h>

#include "task/dataset.h"

enum { WL_DATA_PATH = 4096 };

/* Each of these functions reads or generates the images of a data set. The caller has set *dataset
 * to zero, and frees the arrays even after a failure. If `classes` is 0, wl_dataset_read_idx counts
 * the classes in the data. */
wl_status wl_dataset_read_idx(const char *directory, int64_t classes, wl_dataset *dataset);
wl_status wl_dataset_read_cifar(const char *directory, wl_dataset *dataset);
wl_status wl_dataset_make_synthetic(wl_dataset *dataset);
wl_status wl_dataset_make_digits(wl_dataset *dataset);
/* Returns true if the directory contains files in CIFAR-10's binary format. */
bool wl_dataset_is_cifar(const char *directory);
/* Resizes the images to side x side pixels if `side` is not 0. Converts the images to grey if
 * `grey` is true. The changed images are in `values`, and `pixels` is then NULL. */
wl_status wl_dataset_resize(wl_dataset *dataset, int64_t side, bool grey);
/* Allocates the arrays images->pixels and images->labels of one split. Each of the `count` images
 * has `pixels` values. */
wl_status wl_images_alloc(wl_images *images, int64_t count, int64_t pixels);

/* A file whose bytes are read in order. If the file is compressed with gzip, an offset is a number
 * of decompressed bytes. */
typedef struct wl_byte_file {
  void *handle; /* state of the open file, which only byte_file.c uses */
  char path[WL_DATA_PATH];
  int64_t offset;
  int64_t limit; /* upper bound of the number of decompressed bytes */
} wl_byte_file;

/* Opens the file directory/name. If this file does not exist, opens directory/name.gz. */
wl_status wl_byte_file_open(const char *directory, const char *name, wl_byte_file *out);
bool wl_byte_file_exists(const char *directory, const char *name);
/* Reads exactly `count` bytes. Returns WL_ERR_DATA if the file has fewer bytes. `what` describes
 * the bytes in the message, for example "the labels". */
wl_status wl_byte_file_read(wl_byte_file *file, uint8_t *to, int64_t count, const char *what);
/* Checks that all bytes of the file were read, and verifies the checksum of gzip. Returns
 * WL_ERR_DATA if a check fails. */
wl_status wl_byte_file_expect_end(wl_byte_file *file);
void wl_byte_file_close(wl_byte_file *file);

#endif
