/* convnet.c - building the convolutional classifier and drawing its theta_0 (formulas: convnet.h). */
#include "task/convnet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POOL = 2 };

/* The running output of a network under construction, (B,channels,rows,columns). */
typedef struct feature {
  wl_node node;
  int64_t channels, rows, columns;
} feature;

/* A per-channel parameter "<what><layer>.<part>" (channels). */
static wl_node channel_parameter(wl_tape *t, const char *what, int layer, const char *part,
                                 int64_t channels) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "%s%d.%s", what, layer, part);
  return wl_tape_theta(t, name, 1, &channels);
}

static feature convolve(wl_tape *t, feature in, int layer, int64_t filters, int64_t kernel) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "conv%d.weight", layer);
  const wl_node weight =
      wl_tape_theta(t, name, 4, (const int64_t[]){filters, in.channels, kernel, kernel});
  const wl_node sum = wl_op_conv2d(t, in.node, weight, 1, (int)(kernel / 2));
  in.node = wl_op_add_channel(t, sum, channel_parameter(t, "conv", layer, "bias", filters));
  in.channels = filters;
  return in;
}

static wl_node normalise(wl_tape *t, feature in, int layer) {
  const wl_node unit = wl_op_batch_norm(t, in.node, 1e-5);
  const wl_node scaled =
      wl_op_mul_channel(t, unit, channel_parameter(t, "norm", layer, "scale", in.channels));
  return wl_op_add_channel(t, scaled, channel_parameter(t, "norm", layer, "shift", in.channels));
}

/* The stages after a convolution, by the first letters of `order`'s words. */
static feature apply_stages(const wl_map *map, wl_tape *t, feature f, int layer) {
  for (const char *word = wl_map_string(map, "order"); word; word = strchr(word, '-')) {
    if (*word == '-') word++;
    if (*word == 'n' && wl_map_bool(map, "batch_norm")) f.node = normalise(t, f, layer);
    if (*word == 'a') f.node = wl_net_activation(t, f.node, wl_map_string(map, "activation"));
    if (*word == 'p') {
      const bool average = strcmp(wl_map_string(map, "pooling"), "average") == 0;
      f.node = (average ? wl_op_avg_pool : wl_op_max_pool)(t, f.node, POOL, POOL);
      f.rows /= POOL;
      f.columns /= POOL;
    }
  }
  return f;
}

/* The options table cannot say that kernels are odd and that each pooling needs something to halve. */
static wl_status check_options(const wl_map *map, const wl_convnet_shape *shape) {
  if (wl_map_int(map, "kernel") % 2 == 0)
    return wl_map_fail(map, "kernel", "%lld is even, expected an odd side",
                       (long long)wl_map_int(map, "kernel"));
  int layers;
  wl_map_ints(map, "filters", &layers);
  const int64_t side = shape->rows < shape->columns ? shape->rows : shape->columns;
  if (layers > 30 || side >> layers < 1)
    return wl_map_fail(map, "filters",
                       "%d layers, each halving the image, are too many for images of %lld x %lld",
                       layers, (long long)shape->rows, (long long)shape->columns);
  return WL_OK;
}

/* The convolution with all that follows it, and the warp that the options place there: right after
 * the convolution, or after all its stages. */
static feature convolutional_layer(const wl_map *map, wl_task *task, feature f, int layer,
                                   int64_t filters) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "conv%d", layer);
  wl_warp_site site = {.layer = name, .side = WL_WARP_BEFORE, .ndim = 4, .channels = filters};
  f = convolve(task->tape, f, layer, filters, wl_map_int(map, "kernel"));
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
  *width = f.channels * f.rows * f.columns;
  return wl_op_reshape(task->tape, f.node, 2, (const int64_t[]){shape->batch, *width});
}

static wl_status build_tape(const wl_map *map, const wl_convnet_shape *s, wl_task *task,
                            wl_convnet *net) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  net->x = wl_tape_input(t, "x", 4, (const int64_t[]){s->batch, s->channels, s->rows, s->columns});
  net->labels = wl_tape_labels(t, "labels", s->batch);
  int64_t width;
  const wl_node h = build_features(map, s, net->x, task, &width);
  const wl_node logits = wl_net_perceptron(task, map, h, width, s->classes);
  return wl_tape_finish(t, wl_op_softmax_cross_entropy(t, logits, net->labels), logits,
                        net->labels);
}

wl_status wl_convnet_build(const wl_map *map, const wl_convnet_shape *shape, wl_task *task,
                           wl_convnet *net) {
  WL_TRY(check_options(map, shape));
  net->he = strcmp(wl_map_string(map, "initialisation"), "he") == 0;
  net->initial_scale = wl_map_real(map, "initial_scale");
  WL_TRY(build_tape(map, shape, task, net));
  task->n = wl_task_theta(task)->size;
  return WL_OK;
}

static bool is_norm_scale(const wl_block *block) {
  return strncmp(block->name, "norm", 4) == 0 && strstr(block->name, ".scale");
}

/* Start of one tensor; `out` is zeroed. */
static void start_block(const wl_convnet *net, wl_stream stream, const wl_block *block,
                        wl_real *out) {
  const bool weight = block->ndim > 1, norm = strncmp(block->name, "norm", 4) == 0;
  if (is_norm_scale(block))
    for (int64_t i = 0; i < block->size; i++) out[i] = 1;
  else if (net->he && weight)
    wl_rng_normal(stream, (uint64_t)block->offset, block->size,
                  sqrt(2.0 / (double)wl_net_fan_in(block)), out);
  else if (!net->he && !norm)
    wl_rng_normal(stream, (uint64_t)block->offset, block->size, net->initial_scale, out);
}

void wl_convnet_theta0(const wl_convnet *net, const wl_task *task, const wl_episode *episode,
                       wl_real *theta) {
  const wl_layout *layout = wl_task_theta(task);
  const wl_stream stream = wl_episode_stream(episode, WL_FOR_THETA0, 0);
  memset(theta, 0, (size_t)task->n * sizeof *theta);
  for (int i = 0; i < layout->count; i++)
    start_block(net, stream, &layout->blocks[i], theta + layout->blocks[i].offset);
}
