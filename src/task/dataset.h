/* dataset.h - labelled images. A data set is read or generated once and shared by all tasks of a process.
 *
 * Pixels are stored as the bytes 0..255 of the source. Bytes need a quarter of the memory and bandwidth of float32. The
 * code of image_source.h divides them by 255 when it writes a tape's input. Images that were resized or converted to
 * grey are stored as reals in [0,1]. */
#ifndef WL_TASK_DATASET_H
#define WL_TASK_DATASET_H

#include "task/task.h"

typedef struct wl_images {
  int64_t count;
  uint8_t *pixels; /* [count][channels * rows * columns]; NULL: `values` holds the images */
  /* [count][channels * rows * columns] in [0,1], for resized or grey images; NULL: `pixels` holds the images */
  wl_real *values;
  uint8_t *labels; /* [count], 0 .. classes - 1 */
  int64_t *sample; /* [count], a fixed permutation: the order of the images in evaluations */
} wl_images;

typedef struct wl_dataset {
  int64_t channels, rows, columns;
  int64_t pixels; /* pixels of one image, channels * rows * columns */
  int64_t classes;
  wl_images split[2]; /* indexed by wl_split */
} wl_dataset;

/* The allowed names in the key `data`. `data` may also be a directory. */
#define WL_DATASET_NAMES "synthetic|digits|fashion-mnist|mnist|cifar-10"
/* A family's options for its images. */
typedef struct wl_dataset_keys {
  const char *data;      /* borrowed while the task is created */
  int64_t classes, side; /* number of classes, side in pixels; 0: the value of the data */
  bool grey;
} wl_dataset_keys;
/* The rows of a data set for the options table of a family. The family reads its keys into the struct `type`. This
 * struct has a member `member` of type wl_dataset_keys. */
/* clang-format off */
#define WL_DATASET_OPTIONS(type, member)                                                          \
  {"data", WL_OPT_STRING, "synthetic", NULL, 0, 0, "1",                                           \
   "Images: synthetic or digits (built in), fashion-mnist, mnist, cifar-10, or the path of a directory " \
   "with IDX files (plain or gzipped) or CIFAR-10's binary files.", WL_SLOT(type, member.data), WL_KEY_PATH}, \
  {"classes", WL_OPT_INT, "0", NULL, 0, 256, "1",                                                 \
   "Number of classes. 0: the number of the data; for unnamed data, largest training label plus one.",\
   WL_SLOT(type, member.classes)},                                                                \
  {"side", WL_OPT_INT, "0", NULL, 0, 4096, "pixels",                                              \
   "Side of the resized images (bilinear, no antialiasing); 0: the original size.",               \
   WL_SLOT(type, member.side)},                                                                   \
  {"grey", WL_OPT_BOOL, "false", NULL, 0, 0, "1",                                                 \
   "Replace the colour channels by their mean.", WL_SLOT(type, member.grey)}
/* clang-format on */

/* Opens the data set `data`. Data that is already open is shared. Returns WL_ERR_NO_INPUT if the data is missing; the
 * message says how to obtain the data. Returns WL_ERR_DATA if the data is damaged; the message names file and byte. The
 * caller releases *out with wl_dataset_close. Thread-safe. */
wl_status wl_dataset_open(const wl_dataset_keys *keys, const wl_dataset **out);
void wl_dataset_close(const wl_dataset **dataset);

#endif
