/* conv.c - small convolutional networks that classify images.
 *
 *   h_l = stages(conv(h_{l-1}, W_l) + b_l),  stages: normalise, activate and pool in a chosen order
 *   logits = dense layers on the flattened last h;  L = cross-entropy(logits, label)
 *
 * h (B,C,H,W), W_l (out,in,k,k), SAME padding, max-pool 2x2. Batch norm uses the batch's own
 * statistics, always, with a scale (starts at 1) and a shift (starts at 0). Orders: Ioffe and
 * Szegedy 2015 norm-act-pool, Warp-Grad pool-norm-act, Andrychowicz et al. 2016 act-pool-norm. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "task/dataset.h"
#include "task/family.h"

enum { POOL = 2 };

typedef struct conv {
  const wl_dataset *data; /* shared, released in destroy */
  int64_t batch;          /* B */
  bool he;                /* initialisation by fan-in, else N(0, initial_scale^2) */
  double initial_scale;
  wl_node x, labels;
} conv;

/* The running output of a network under construction, (B,channels,rows,columns). */
typedef struct feature {
  wl_node node;
  int64_t channels, rows, columns;
} feature;

static const wl_option options[] = {
    WL_DATASET_OPTIONS,
    {"filters", WL_OPT_INTS, "[16, 16, 16]", NULL, 1, 4096, "1", "Channels of each convolution."},
    {"kernel", WL_OPT_INT, "3", NULL, 1, 15, "1", "Side of the kernels, odd."},
    {"order", WL_OPT_CHOICE, "norm-act-pool", "norm-act-pool|pool-norm-act|act-pool-norm", 0, 0,
     "1", "What follows each convolution: batch norm, activation and 2x2 max-pool in this order."},
    {"batch_norm", WL_OPT_BOOL, "true", NULL, 0, 0, "1",
     "Normalise by the batch's own statistics."},
    {"widths", WL_OPT_INTS, "[]", NULL, 1, 1e6, "1",
     "Units of dense layers between the last convolution and the output."},
    {"activation", WL_OPT_CHOICE, "relu", WL_ACTIVATIONS, 0, 0, "1",
     "Non-linearity after each layer but the last."},
    {"batch", WL_OPT_INT, "128", NULL, 1, 1e6, "1",
     "Images in a minibatch, drawn with replacement."},
    {"initialisation", WL_OPT_CHOICE, "he", "he|normal", 0, 0, "1",
     "Weights N(0, 2 / fan-in) and biases 0, or both N(0, initial_scale^2)."},
    {"initial_scale", WL_OPT_REAL, "0.01", NULL, 0, 1e3, "1",
     "Standard deviation for `initialisation: normal`."},
    {"eval_samples", WL_OPT_INT, "4096", NULL, 1, 1e9, "1",
     "Images of the fixed sample that evaluations use, in whole batches, no more than the data "
     "has."},
    {0}};

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
      f.node = wl_op_max_pool(t, f.node, POOL, POOL);
      f.rows /= POOL;
      f.columns /= POOL;
    }
  }
  return f;
}

/* The options table cannot say that kernels are odd and that each pooling needs something to halve. */
static wl_status check_options(const wl_map *map, const wl_dataset *data) {
  if (wl_map_int(map, "kernel") % 2 == 0)
    return wl_map_fail(map, "kernel", "%lld is even, expected an odd side",
                       (long long)wl_map_int(map, "kernel"));
  int layers;
  wl_map_ints(map, "filters", &layers);
  const int64_t side = data->rows < data->columns ? data->rows : data->columns;
  if (layers > 30 || side >> layers < 1)
    return wl_map_fail(map, "filters",
                       "%d layers, each halving the image, are too many for images of %lld x %lld",
                       layers, (long long)data->rows, (long long)data->columns);
  return WL_OK;
}

/* The convolution with all that follows it, and the warp that the options place there: right after
 * the convolution, or after all its stages. */
static feature convolutional_layer(const wl_map *map, wl_task *task, feature f, int layer, int64_t filters) {
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

static wl_node build_features(const wl_map *map, const conv *m, wl_task *task, int64_t *width) {
  feature f = {m->x, m->data->channels, m->data->rows, m->data->columns};
  int layers;
  const int64_t *filters = wl_map_ints(map, "filters", &layers);
  for (int i = 0; i < layers; i++)
    f = convolutional_layer(map, task, f, i + 1, filters[i]);
  *width = f.channels * f.rows * f.columns;
  return wl_op_reshape(task->tape, f.node, 2, (const int64_t[]){m->batch, *width});
}

static wl_status build(const wl_map *map, conv *m, wl_task *task) {
  const wl_dataset *d = m->data;
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  m->x = wl_tape_input(t, "x", 4, (const int64_t[]){m->batch, d->channels, d->rows, d->columns});
  m->labels = wl_tape_labels(t, "labels", m->batch);
  int64_t width;
  const wl_node h = build_features(map, m, task, &width);
  const wl_node logits = wl_net_perceptron(task, map, h, width, d->classes);
  return wl_tape_finish(t, wl_op_softmax_cross_entropy(t, logits, m->labels), logits, m->labels);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* the data are the same for every seed, all else belongs to the episode */
  conv *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  WL_TRY(wl_dataset_open(map, &m->data));
  WL_TRY(check_options(map, m->data));
  m->batch = wl_map_int(map, "batch");
  m->he = strcmp(wl_map_string(map, "initialisation"), "he") == 0;
  m->initial_scale = wl_map_real(map, "initial_scale");
  WL_TRY(build(map, m, task));
  task->n = wl_task_theta(task)->size;
  task->eval_batches = wl_dataset_eval_batches(m->data, wl_map_int(map, "eval_samples"), m->batch);
  return WL_OK;
}

static void destroy(wl_task *task) {
  conv *m = task->impl;
  wl_dataset_close(&m->data);
  wl_free(m);
}

/* Inputs that feed one output: (in,out) dense, (out,in,k,k) convolution. */
static int64_t fan_in(const wl_block *block) {
  return block->ndim == 2 ? block->shape[0] : block->shape[1] * block->shape[2] * block->shape[3];
}

static bool is_norm_scale(const wl_block *block) {
  return strncmp(block->name, "norm", 4) == 0 && strstr(block->name, ".scale");
}

/* Start of one tensor; `out` is zeroed. */
static void start_block(const conv *m, wl_stream stream, const wl_block *block, wl_real *out) {
  const bool weight = block->ndim > 1, norm = strncmp(block->name, "norm", 4) == 0;
  if (is_norm_scale(block))
    for (int64_t i = 0; i < block->size; i++) out[i] = 1;
  else if (m->he && weight)
    wl_rng_normal(stream, (uint64_t)block->offset, block->size, sqrt(2.0 / (double)fan_in(block)),
                  out);
  else if (!m->he && !norm)
    wl_rng_normal(stream, (uint64_t)block->offset, block->size, m->initial_scale, out);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const wl_layout *layout = wl_task_theta(task);
  const wl_stream stream = wl_episode_stream(episode, WL_FOR_THETA0, 0);
  memset(theta, 0, (size_t)task->n * sizeof *theta);
  for (int i = 0; i < layout->count; i++)
    start_block(task->impl, stream, &layout->blocks[i], theta + layout->blocks[i].offset);
  return WL_OK;
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const conv *m = task->impl;
  wl_dataset_gather(m->data, episode, batch, m->batch, wl_tape_input_data(tape_ws, m->x),
                    wl_tape_label_data(tape_ws, m->labels));
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
