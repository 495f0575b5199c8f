/* dataset.h - declares the functions that open and close data sets of labelled images. A data set is read or generated
 * once, and all tasks of a process share it.
 *
 * Pixels are stored as the bytes 0..255 of the source. Bytes need a quarter of the memory and
 * bandwidth of float32. The functions of image_source.h divide the bytes by 255 when they write the
 * input of a network. Images that were resized or converted to grey are stored as reals in
 * [0,1]. */
#ifndef WL_TASK_DATASET_H
#define WL_TASK_DATASET_H

#include "task/task.h"

typedef struct wl_images {
  int64_t count;
  /* images as bytes [count][channels * rows * columns], or NULL if the images are in `values` */
  uint8_t *pixels;
  /* resized or grey images as numbers in [0,1], with the shape [count][channels * rows * columns];
   * NULL if the images are in `pixels` */
  wl_real *values;
  uint8_t *labels; /* [count], 0 .. classes - 1 */
  int64_t *sample; /* indices of the images in the order that evaluations use [count] */
} wl_images;

typedef struct wl_dataset {
  int64_t channels, rows, columns;
  int64_t pixels; /* number of values of one image: channels * rows * columns */
  int64_t classes;
  wl_images split[2]; /* one entry for each split; the index is a wl_split */
} wl_dataset;

/* The names that the key `data` accepts. `data` may also be a directory. */
#define WL_DATASET_NAMES "synthetic|digits|fashion-mnist|mnist|cifar-10"
/* The values of the keys with which a family describes its images. */
typedef struct wl_dataset_keys {
  /* name or path of the data set; valid only during the creation of the task */
  const char *data;
  /* number of classes, and side of the images in pixels; 0 selects the value that the data set has */
  int64_t classes, side;
  bool grey;
} wl_dataset_keys;
/* Expands to the rows that declare the keys of a data set in a family's options table. `type` is
 * the struct into which the family reads its keys. `member` is the member of this struct that has
 * the type wl_dataset_keys. */
/* clang-format off */
#define WL_DATASET_OPTIONS(type, member)                                                          \
  {"data", WL_OPT_STRING, "synthetic", NULL, 0, 0, "1",                                           \
   "Images: synthetic, digits, fashion-mnist, mnist, cifar-10, or the path of a directory. "      \
   "The directory has the files of MNIST (IDX) or CIFAR-10 (binary).", WL_SLOT(type, member.data), WL_KEY_PATH}, \
  {"classes", WL_OPT_INT, "0", NULL, 0, 256, "1",                                                 \
   "Number of classes. With 0, the classes of the data set are counted.",                         \
   WL_SLOT(type, member.classes)},                                                                \
  {"side", WL_OPT_INT, "0", NULL, 0, 4096, "pixels",                                              \
   "Side of the images after bilinear resizing without antialiasing. With 0, images keep their size.", \
   WL_SLOT(type, member.side)},                                                                   \
  {"grey", WL_OPT_BOOL, "false", NULL, 0, 0, "1",                                                 \
   "Replace the colour channels of each pixel by their mean.", WL_SLOT(type, member.grey)}
/* clang-format on */

/* Opens the data set that `keys` describes. If the data set is already open, *out is the same
 * object. Returns WL_ERR_NO_INPUT if the data set is missing, and the message says how to obtain
 * it. Returns WL_ERR_DATA if the data set is damaged, and the message names the file and the byte.
 * The caller releases *out with wl_dataset_close. Thread-safe. */
wl_status wl_dataset_open(const wl_dataset_keys *keys, const wl_dataset **out);
void wl_dataset_close(const wl_dataset **dataset);

#endif
