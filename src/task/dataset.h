/* dataset.h - labelled images, read or made once and shared by all tasks of a process.
 *
 * Pixels stay bytes, 0..255, as every source delivers them: a quarter of the memory and of the
 * traffic of float32 rows; image_source.h divides by 255 on the way into a tape's input. Images of
 * another side, or made grey, are kept as values in [0,1]. */
#ifndef WL_TASK_DATASET_H
#define WL_TASK_DATASET_H

#include "task/task.h"

typedef struct wl_images {
  int64_t count;
  uint8_t *pixels; /* [count][channels * rows * columns]; NULL: values */
  wl_real *values; /* the same in [0,1], where images were resized or made grey; NULL: pixels */
  uint8_t *labels; /* [count], 0 .. classes - 1 */
  int64_t *sample; /* [count], a fixed permutation: the order in which evaluations take images */
} wl_images;

typedef struct wl_dataset {
  int64_t channels, rows, columns;
  int64_t pixels; /* of one image, channels * rows * columns */
  int64_t classes;
  wl_images split[2]; /* by wl_split */
} wl_dataset;

/* What `data` names, beside directories. */
#define WL_DATASET_NAMES "synthetic|digits|fashion-mnist|mnist|cifar-10"
/* What a family's options say of its images. */
typedef struct wl_dataset_keys {
  const char *data;      /* borrowed while the task is created */
  int64_t classes, side; /* 0: as the data have it */
  bool grey;
} wl_dataset_keys;
/* These options, for the family's table; `member` of `type` is a wl_dataset_keys. */
/* clang-format off */
#define WL_DATASET_OPTIONS(type, member)                                                          \
  {"data", WL_OPT_STRING, "synthetic", NULL, 0, 0, "1",                                           \
   "Images: synthetic or digits (built in), fashion-mnist, mnist, cifar-10, or the path of a directory " \
   "with IDX files (plain or gzipped) or CIFAR-10's binary files.", WL_SLOT(type, member.data), WL_KEY_PATH}, \
  {"classes", WL_OPT_INT, "0", NULL, 0, 256, "1",                                                 \
   "Number of classes; 0: known for named data, else the largest training label plus one.",       \
   WL_SLOT(type, member.classes)},                                                                \
  {"side", WL_OPT_INT, "0", NULL, 0, 4096, "pixels",                                              \
   "Side that images are resized to, bilinearly and without antialiasing; 0: as they are.",       \
   WL_SLOT(type, member.side)},                                                                   \
  {"grey", WL_OPT_BOOL, "false", NULL, 0, 0, "1",                                                 \
   "Colour images become their channels' mean.", WL_SLOT(type, member.grey)}
/* clang-format on */

/* Opens what `data` names. The same data opened again is shared. Thread-safe.
 * WL_ERR_NO_INPUT (missing; the message says how to get it), WL_ERR_DATA (damaged; file and
 * byte). The caller releases it with wl_dataset_close. */
wl_status wl_dataset_open(const wl_dataset_keys *keys, const wl_dataset **out);
void wl_dataset_close(const wl_dataset **dataset);

#endif
