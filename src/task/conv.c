/* conv.c - small convolutional networks (convnet.h) that classify images of a data set. */
#include "task/convnet.h"
#include "task/dataset.h"

typedef struct conv {
  const wl_dataset *data; /* shared, released in destroy */
  int64_t batch;          /* B */
  wl_convnet net;
} conv;

static const wl_option options[] = {
    WL_DATASET_OPTIONS,
    WL_CONVNET_OPTIONS("[16, 16, 16]", "norm-act-pool"),
    {"batch", WL_OPT_INT, "128", NULL, 1, 1e6, "1",
     "Images in a minibatch, drawn with replacement."},
    {"eval_samples", WL_OPT_INT, "4096", NULL, 1, 1e9, "1",
     "Images of the fixed sample that evaluations use, in whole batches, no more than the data "
     "has."},
    {0}};

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* the data are the same for every seed, all else belongs to the episode */
  conv *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  WL_TRY(wl_dataset_open(map, &m->data));
  m->batch = wl_map_int(map, "batch");
  const wl_convnet_shape shape = {m->batch, m->data->channels, m->data->rows, m->data->columns,
                                  m->data->classes};
  WL_TRY(wl_convnet_build(map, &shape, task, &m->net));
  task->eval_batches = wl_dataset_eval_batches(m->data, wl_map_int(map, "eval_samples"), m->batch);
  return WL_OK;
}

static void destroy(wl_task *task) {
  conv *m = task->impl;
  wl_dataset_close(&m->data);
  wl_free(m);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const conv *m = task->impl;
  wl_convnet_theta0(&m->net, task, episode, theta);
  return WL_OK;
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const conv *m = task->impl;
  wl_dataset_gather(m->data, episode, batch, m->batch, wl_tape_input_data(tape_ws, m->net.x),
                    wl_tape_label_data(tape_ws, m->net.labels));
}

const wl_task_family wl_task_conv = {
    .name = "conv",
    .summary =
        "small convolutional network on images: convolutions, batch norm, max-pool, dense layers",
    .options = options,
    .create = create,
    .destroy = destroy,
    .theta0 = theta0,
    .load = load,
};
