/* convnet.c - records the operators of the convolutional classifier on a tape. The formulas are in
 * convnet.h. */
#include "task/convnet.h"

#include <stdio.h>

enum { POOL = 2 };

/* The output of the last layer that was added, of shape (B,channels,rows,columns). */
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

static wl_norm norm_of(const wl_convnet *net) {
  if (net->layer_norm) return WL_NORM_LAYER;
  return net->batch_norm ? WL_NORM_BATCH : WL_NORM_NONE;
}

/* Returns the stride of convolution i, counted from 0. */
static int64_t stride_of(const wl_convnet *net, int i) {
  const wl_ints *s = &net->strides;
  return s->count == 0 ? 1 : s->at[i < s->count ? i : s->count - 1];
}

static feature pool(const wl_convnet *net, wl_tape *t, feature f) {
  if (net->pooling == WL_POOL_NONE) return f;
  const bool average = net->pooling == WL_POOL_AVERAGE;
  f.node = (average ? wl_op_avg_pool : wl_op_max_pool)(t, f.node, POOL, POOL);
  f.rows /= POOL;
  f.columns /= POOL;
  return f;
}

/* Adds normalisation, activation and pooling after a convolution. In `orders`, the letters n, a and
 * p stand for normalisation, activation and pooling. */
static feature apply_stages(const wl_convnet *net, wl_tape *t, feature f, int layer) {
  static const char *const orders[] = {"nap", "pna", "apn"}; /* the array index is the value of
                                                              * wl_convnet.order */
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "norm%d", layer);
  for (const char *stage = orders[net->order]; *stage; stage++) {
    if (*stage == 'n') f.node = wl_net_normalise(t, f.node, name, f.channels, norm_of(net));
    if (*stage == 'a') f.node = wl_net_activation(t, f.node, net->dense.activation);
    if (*stage == 'p') f = pool(net, t, f);
  }
  return f;
}

/* Returns the side of the image after all convolutions and poolings, in pixels. Returns 0 if no
 * pixel remains. */
static int64_t side_left(const wl_convnet *net, int64_t side) {
  const int window = net->pooling == WL_POOL_NONE ? 1 : POOL;
  for (int i = 0; i < net->filters.count && side > 0; i++)
    side = ((side - 1) / stride_of(net, i) + 1) / window;
  return side;
}

/* Checks conditions that the options table cannot express. The side of the kernel must be odd, so
 * that the padding is the same on all sides. The input of each pooling must have at least 2x2
 * pixels. The images must be square for `features: mean`. */
static wl_status check_options(const wl_map *map, const wl_convnet *net,
                               const wl_convnet_shape *shape) {
  if (net->kernel % 2 == 0)
    return wl_map_fail(map, "kernel", "the kernel size %lld is even; give an odd number", (long long)net->kernel);
  if (side_left(net, shape->rows) < 1 || side_left(net, shape->columns) < 1)
    return wl_map_fail(map, "filters",
                       "%d layers that halve the image are too many for images of %lld x %lld; "
                       "use fewer layers",
                       net->filters.count, (long long)shape->rows, (long long)shape->columns);
  if (net->features == WL_SEES_MEAN && shape->rows != shape->columns)
    return wl_map_fail(map, "features", "the choice `mean` needs square images, but these are %lld "
                                        "x %lld; set `side`",
                       (long long)shape->rows, (long long)shape->columns);
  return WL_OK;
}

/* Adds convolution `layer` (counted from 1), the stages that follow the convolution, and a warp
 * layer. The options determine whether the warp layer is directly after the convolution or after
 * all stages. */
static feature convolutional_layer(const wl_convnet *net, wl_task *task, feature f, int layer) {
  const int64_t filters = net->filters.at[layer - 1];
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "conv%d", layer);
  wl_warp_site site = {.layer = name, .side = WL_WARP_BEFORE, .ndim = 4, .channels = filters};
  f = convolve(task->tape, f, layer, filters, net->kernel, stride_of(net, layer - 1));
  f.node = wl_warp_insert(task->warp, task->tape, f.node, &site);
  f = apply_stages(net, task->tape, f, layer);
  site.side = WL_WARP_AFTER;
  f.node = wl_warp_insert(task->warp, task->tape, f.node, &site);
  return f;
}

static wl_node build_features(const wl_convnet *net, const wl_convnet_shape *shape, wl_task *task,
                              int64_t *width) {
  feature f = {net->x, shape->channels, shape->rows, shape->columns};
  for (int i = 1; i <= net->filters.count; i++) f = convolutional_layer(net, task, f, i);
  if (net->features == WL_SEES_MEAN) {
    f.node = wl_op_avg_pool(task->tape, f.node, (int)f.rows, (int)f.rows);
    f.rows = f.columns = 1;
  }
  *width = f.channels * f.rows * f.columns;
  return wl_op_reshape(task->tape, f.node, 2, (const int64_t[]){shape->batch, *width});
}

static wl_status build_tape(const wl_convnet_shape *s, wl_task *task, wl_convnet *net) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  net->x = wl_tape_input(t, "x", 4, (const int64_t[]){s->batch, s->channels, s->rows, s->columns});
  net->labels = wl_tape_labels(t, "labels", s->batch);
  int64_t width;
  const wl_node h = build_features(net, s, task, &width);
  /* batch norm follows the convolutions, or the dense layers if there are no convolutions */
  const bool without = net->filters.count > 0 && !net->layer_norm;
  net->dense.norm = without ? WL_NORM_NONE : norm_of(net);
  const wl_node logits = wl_net_perceptron(task, &net->dense, h, width, s->classes);
  return wl_tape_finish(t, wl_op_softmax_cross_entropy(t, logits, net->labels), logits,
                        net->labels);
}

wl_status wl_convnet_build(const wl_map *map, const wl_convnet_shape *shape, wl_task *task,
                           wl_convnet *net) {
  WL_TRY(check_options(map, net, shape));
  WL_TRY(build_tape(shape, task, net));
  task->n = wl_task_theta(task)->size;
  return WL_OK;
}
