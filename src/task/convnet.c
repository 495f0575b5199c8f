/* convnet.c - building the convolutional classifier (formulas: convnet.h). */
#include "task/convnet.h"

#include <stdio.h>
#include <string.h>

enum { POOL = 2 };

/* The running output of a network under construction, (B,channels,rows,columns). */
typedef struct feature {
  wl_node node;
  int64_t channels, rows, columns;
} feature;

static feature convolve(wl_tape *t, feature in, int layer, int64_t filters, int64_t kernel,
                        int64_t stride) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "conv%d.weight", layer);
  const wl_node weight =
      wl_tape_theta(t, name, 4, (const int64_t[]){filters, in.channels, kernel, kernel});
  const wl_node sum = wl_op_conv2d(t, in.node, weight, (int)stride, (int)(kernel / 2));
  snprintf(name, sizeof name, "conv%d.bias", layer);
  in.node = wl_op_add_channel(t, sum, wl_tape_theta(t, name, 1, &filters));
  in.channels = filters;
  in.rows = (in.rows - 1) / stride + 1;
  in.columns = (in.columns - 1) / stride + 1;
  return in;
}

static wl_norm norm_of(const wl_map *map) {
  if (wl_map_bool(map, "layer_norm")) return WL_NORM_LAYER;
  return wl_map_bool(map, "batch_norm") ? WL_NORM_BATCH : WL_NORM_NONE;
}

/* Stride of layer i, from 0. */
static int64_t stride_of(const wl_map *map, int i) {
  int count;
  const int64_t *strides = wl_map_ints(map, "strides", &count);
  return count == 0 ? 1 : strides[i < count ? i : count - 1];
}

static feature pool(const wl_map *map, wl_tape *t, feature f) {
  const char *pooling = wl_map_string(map, "pooling");
  if (strcmp(pooling, "none") == 0) return f;
  const bool average = strcmp(pooling, "average") == 0;
  f.node = (average ? wl_op_avg_pool : wl_op_max_pool)(t, f.node, POOL, POOL);
  f.rows /= POOL;
  f.columns /= POOL;
  return f;
}

/* The stages after a convolution, by the first letters of `order`'s words. */
static feature apply_stages(const wl_map *map, wl_tape *t, feature f, int layer) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "norm%d", layer);
  for (const char *word = wl_map_string(map, "order"); word; word = strchr(word, '-')) {
    if (*word == '-') word++;
    if (*word == 'n') f.node = wl_net_normalise(t, f.node, name, f.channels, norm_of(map));
    if (*word == 'a') f.node = wl_net_activation(t, f.node, wl_map_string(map, "activation"));
    if (*word == 'p') f = pool(map, t, f);
  }
  return f;
}

/* What poolings and strides leave of a side; 0: nothing. */
static int64_t side_left(const wl_map *map, int64_t side, int layers) {
  const bool pooled = strcmp(wl_map_string(map, "pooling"), "none") != 0;
  for (int i = 0; i < layers && side > 0; i++)
    side = ((side - 1) / stride_of(map, i) + 1) / (pooled ? POOL : 1);
  return side;
}

/* The options table cannot say that kernels are odd and that each pooling needs something to halve. */
static wl_status check_options(const wl_map *map, const wl_convnet_shape *shape) {
  if (wl_map_int(map, "kernel") % 2 == 0)
    return wl_map_fail(map, "kernel", "%lld is even, expected an odd side",
                       (long long)wl_map_int(map, "kernel"));
  int layers;
  wl_map_ints(map, "filters", &layers);
  if (side_left(map, shape->rows, layers) < 1 || side_left(map, shape->columns, layers) < 1)
    return wl_map_fail(map, "filters",
                       "%d layers, each halving the image, are too many for images of %lld x %lld",
                       layers, (long long)shape->rows, (long long)shape->columns);
  if (strcmp(wl_map_string(map, "features"), "mean") == 0 && shape->rows != shape->columns)
    return wl_map_fail(map, "features", "mean needs square images, not %lld x %lld; set `side`",
                       (long long)shape->rows, (long long)shape->columns);
  return WL_OK;
}

/* The convolution with all that follows it, and the warp that the options place there: right after
 * the convolution, or after all its stages. */
static feature convolutional_layer(const wl_map *map, wl_task *task, feature f, int layer,
                                   int64_t filters) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "conv%d", layer);
  wl_warp_site site = {.layer = name, .side = WL_WARP_BEFORE, .ndim = 4, .channels = filters};
  f = convolve(task->tape, f, layer, filters, wl_map_int(map, "kernel"), stride_of(map, layer - 1));
  f.node = wl_warp_insert(task->warp, task->tape, f.node, &site);
  f = apply_stages(map, task->tape, f, layer);
  site.side = WL_WARP_AFTER;
  f.node = wl_warp_insert(task->warp, task->tape, f.node, &site);
  return f;
}

static wl_node build_features(const wl_map *map, const wl_convnet_shape *shape, wl_node x,
                              wl_task *task, int64_t *width) {
  feature f = {x, shape->channels, shape->rows, shape->columns};
  int layers;
  const int64_t *filters = wl_map_ints(map, "filters", &layers);
  for (int i = 0; i < layers; i++) f = convolutional_layer(map, task, f, i + 1, filters[i]);
  if (strcmp(wl_map_string(map, "features"), "mean") == 0) {
    f.node = wl_op_avg_pool(task->tape, f.node, (int)f.rows, (int)f.rows);
    f.rows = f.columns = 1;
  }
  *width = f.channels * f.rows * f.columns;
  return wl_op_reshape(task->tape, f.node, 2, (const int64_t[]){shape->batch, *width});
}

/* Batch norm follows convolutions, and the dense layers of a network that has none. */
static wl_norm dense_norm(const wl_map *map) {
  int layers;
  wl_map_ints(map, "filters", &layers);
  if (wl_map_bool(map, "layer_norm")) return WL_NORM_LAYER;
  return layers == 0 && wl_map_bool(map, "batch_norm") ? WL_NORM_BATCH : WL_NORM_NONE;
}

static wl_status build_tape(const wl_map *map, const wl_convnet_shape *s, wl_task *task,
                            wl_convnet *net) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  net->x = wl_tape_input(t, "x", 4, (const int64_t[]){s->batch, s->channels, s->rows, s->columns});
  net->labels = wl_tape_labels(t, "labels", s->batch);
  int64_t width;
  const wl_node h = build_features(map, s, net->x, task, &width);
  const wl_node logits = wl_net_perceptron(task, map, h, width, s->classes, dense_norm(map));
  return wl_tape_finish(t, wl_op_softmax_cross_entropy(t, logits, net->labels), logits,
                        net->labels);
}

wl_status wl_convnet_build(const wl_map *map, const wl_convnet_shape *shape, wl_task *task,
                           wl_convnet *net) {
  WL_TRY(check_options(map, shape));
  net->initialiser = wl_initialiser_read(map);
  WL_TRY(build_tape(map, shape, task, net));
  task->n = wl_task_theta(task)->size;
  return WL_OK;
}
