/* image_source.h - declares the functions that make minibatches of images. The options of a family determine the data
 * set and the size of a batch. Only files of src/task include this header. */
#ifndef WL_TASK_IMAGE_SOURCE_H
#define WL_TASK_IMAGE_SOURCE_H

#include "base/draw.h"
#include "task/dataset.h"

typedef struct wl_image_source {
  wl_dataset_keys keys;
  int64_t batch;          /* number of images in a minibatch */
  /* number of images in the fixed sample of an evaluation, as the user configured it */
  int64_t eval_samples;
  wl_draw
      /* fraction of the training images that an episode uses; the first images are used */
      fraction;
  const wl_dataset *data; /* shared */
} wl_image_source;

/* Expands to the rows that declare the keys of the images in a family's options table. `type` is
 * the struct into which the family reads its keys. `member` is the member of this struct that has
 * the type wl_image_source. */
/* clang-format off */
#define WL_IMAGE_SOURCE_OPTIONS(type, member)                                                     \
  WL_DATASET_OPTIONS(type, member.keys),                                                          \
  {"data_fraction", WL_OPT_REAL, "1.0", NULL, 1e-6, 1, "1",                                       \
   "Fraction of the training images that is used. The first images are used. "                    \
   "The tasks of google/learned_optimization use 0.8.", WL_SLOT(type, member.fraction), WL_KEY_DRAW}, \
  {"batch", WL_OPT_INT, "128", NULL, 1, 1e6, "1",                                                 \
   "Number of images that are drawn with replacement for a minibatch.", WL_SLOT(type, member.batch)}, \
  {"eval_samples", WL_OPT_INT, "4096", NULL, 1, 1e9, "1",                                         \
   "Number of images on which evaluations measure the loss. "                                     \
   "The number is rounded down to full batches.", WL_SLOT(type, member.eval_samples)}
/* clang-format on */

/* Opens the data set of a source, whose keys the caller has read. Returns the same errors as
 * wl_dataset_open. Sets task->eval_batches to the number of full batches in `eval_samples` images.
 * If a split has fewer images, the number of full batches in this split is used. The smallest value
 * of task->eval_batches is 1. */
wl_status wl_image_source_open(wl_task *task, wl_image_source *source);
void wl_image_source_close(wl_image_source *source);

/* Writes the pixels of a batch to x [batch][pixels], with values in [0,1]. Writes the labels to
 * labels [batch] unless `labels` is NULL. The images are drawn with replacement, and the choice
 * depends only on the seed, the space (wl_space), the episode, the unit and the step. If the
 * purpose of the batch is WL_FOR_EVAL_BATCH, the images are not drawn. Such a batch consists of the
 * images of the fixed sample of the split, starting with the image whose index is the batch size
 * times the step. The sample depends on the episode only if `data_fraction` is a distribution. */
void wl_image_source_load(const wl_image_source *source, const wl_episode *episode,
                          const wl_batch *batch, wl_real *x, int32_t *labels);

#endif
