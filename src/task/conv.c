/* conv.c - defines the task family `conv`: small convolutional networks (convnet.h) that classify
 * the images of a data set. */
#include "task/convnet.h"
#include "task/image_source.h"

typedef struct conv {
  wl_image_source images;
  wl_convnet net;
} conv;

static const wl_option options[] = {WL_IMAGE_SOURCE_OPTIONS(conv, images),
                                    WL_CONVNET_OPTIONS("[16, 16, 16]", "norm-act-pool", conv, net),
                                    {0}};

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  /* `seed` is unused: the images do not depend on the seed, and random numbers are drawn only for
   * an episode. */
  (void)seed;
  conv *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  wl_map_read(map, options, m);
  WL_TRY(wl_image_source_open(task, &m->images));
  const wl_dataset *data = m->images.data;
  const wl_convnet_shape shape = {m->images.batch, data->channels, data->rows, data->columns,
                                  data->classes};
  return wl_convnet_build(map, &shape, task, &m->net);
}

static void destroy(wl_task *task) {
  conv *m = task->impl;
  wl_image_source_close(&m->images);
  wl_free(m);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const conv *m = task->impl;
  return wl_initialiser_theta0(&m->net.initialiser, task, episode, theta);
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const conv *m = task->impl;
  wl_image_source_load(&m->images, episode, batch, wl_tape_input_data(tape_ws, m->net.x),
                       wl_tape_label_data(tape_ws, m->net.labels));
}

const wl_task_family wl_task_conv = {
    .name = "conv",
    .summary =
        "a small convolutional network classifies images; its layers are convolutions, "
        "normalisation, pooling and dense layers",
    .options = options,
    .create = create,
    .destroy = destroy,
    .theta0 = theta0,
    .load = load,
};
