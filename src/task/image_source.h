/* image_source.h - makes minibatches of a data set's images by the options of a family. Private to src/task. */
#ifndef WL_TASK_IMAGE_SOURCE_H
#define WL_TASK_IMAGE_SOURCE_H

#include "base/draw.h"
#include "task/dataset.h"

typedef struct wl_image_source {
  wl_dataset_keys keys;
  int64_t batch;          /* number B of images of a minibatch */
  int64_t eval_samples;   /* configured number of images of the fixed sample */
  wl_draw
      fraction; /* fraction of the training split's images (the first ones) that an episode uses */
  const wl_dataset *data; /* shared */
} wl_image_source;

/* The rows of the images for the options table of a family. The family reads its keys into the struct `type`. This
 * struct has a member `member` of type wl_image_source. */
/* clang-format off */
#define WL_IMAGE_SOURCE_OPTIONS(type, member)                                                     \
  WL_DATASET_OPTIONS(type, member.keys),                                                          \
  {"data_fraction", WL_OPT_REAL, "1.0", NULL, 1e-6, 1, "1",                                       \
   "Fraction of the training images that is used, from the first on; the tasks of "               \
   "google/learned_optimization use 0.8.", WL_SLOT(type, member.fraction), WL_KEY_DRAW},          \
  {"batch", WL_OPT_INT, "128", NULL, 1, 1e6, "1",                                                 \
   "Images in a minibatch, drawn with replacement.", WL_SLOT(type, member.batch)},                \
  {"eval_samples", WL_OPT_INT, "4096", NULL, 1, 1e9, "1",                                         \
   "Images of the fixed sample on which evaluations measure the loss: whole batches, at most as " \
   "many as the data has.", WL_SLOT(type, member.eval_samples)}
/* clang-format on */

/* Opens the images of a source after its keys are read. The errors are the same as for wl_dataset_open. Sets
 * task->eval_batches to the number of full batches in `eval_samples` images, but at least 1. If a split has fewer
 * images, the number of full batches in the smaller split is used. */
wl_status wl_image_source_open(wl_task *task, wl_image_source *source);
void wl_image_source_close(wl_image_source *source);

/* Writes a batch to x [batch][pixels] (values in [0,1]) and labels [batch] (NULL: not needed). Images are drawn with
 * replacement by (seed, space, episode, unit, step). With the purpose WL_FOR_EVAL_BATCH, the images are not drawn. The
 * batch then consists of the images of the split's fixed sample from number batch * step on. The sample depends on the
 * episode only if data_fraction is drawn.
 * */
void wl_image_source_load(const wl_image_source *source, const wl_episode *episode,
                          const wl_batch *batch, wl_real *x, int32_t *labels);

#endif
