/* cifar.c - reads images in the binary format of CIFAR-10. A record consists of one byte for the
 * label and 3 x 32 x 32 bytes for the pixels, in the order channel, row, column. The training
 * images are in data_batch_1.bin to data_batch_5.bin, and the test images are in test_batch.bin.
 * The files may be compressed with gzip. The format is described in Krizhevsky 2009 and at
 * https://www.cs.toronto.edu/~kriz/cifar.html */
#include <string.h>

#include "task/dataset_impl.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, PER_FILE = 10000, CLASSES = 10, TRAIN_FILES = 5 };

bool wl_dataset_is_cifar(const char *directory) {
  return wl_byte_file_exists(directory, "data_batch_1.bin") ||
         wl_byte_file_exists(directory, "test_batch.bin");
}

static wl_status read_records(wl_byte_file *file, wl_images *images, int64_t first) {
  for (int64_t i = first; i < first + PER_FILE; i++) {
    WL_TRY(wl_byte_file_read(file, &images->labels[i], 1, "a label"));
    if (images->labels[i] >= CLASSES)
      return WL_FAIL(WL_ERR_DATA, "%s: byte %lld: label %d is out of range, expected 0 to %d; "
                                  "fetch the file again",
                     file->path, (long long)file->offset - 1, images->labels[i], CLASSES - 1);
    WL_TRY(wl_byte_file_read(file, images->pixels + i * PIXELS, PIXELS, "an image"));
  }
  return wl_byte_file_expect_end(file);
}

static wl_status read_batch(const char *directory, const char *name, wl_images *images,
                            int64_t first) {
  wl_byte_file file;
  WL_TRY(wl_byte_file_open(directory, name, &file));
  const wl_status status = read_records(&file, images, first);
  wl_byte_file_close(&file);
  return status;
}

wl_status wl_dataset_read_cifar(const char *directory, wl_dataset *dataset) {
  dataset->channels = 3;
  dataset->rows = dataset->columns = SIDE;
  dataset->pixels = PIXELS;
  dataset->classes = CLASSES;
  wl_images *train = &dataset->split[WL_SPLIT_TRAIN], *heldout = &dataset->split[WL_SPLIT_HELDOUT];
  WL_TRY(wl_images_alloc(train, (int64_t)TRAIN_FILES * PER_FILE, PIXELS));
  WL_TRY(wl_images_alloc(heldout, PER_FILE, PIXELS));
  for (int i = 0; i < TRAIN_FILES; i++) {
    char name[32];
    snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
    WL_TRY(read_batch(directory, name, train, (int64_t)i * PER_FILE));
  }
  return read_batch(directory, "test_batch.bin", heldout, 0);
}
