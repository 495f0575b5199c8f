/* logistic.c - defines the task family `logistic`: multinomial logistic regression on a Gaussian
 * mixture that is drawn for each task.
 *
 * - A point x of class c has the distribution N(mu_c, I_d). The mean mu_c of a class has the distribution
 *   N(0, (separation^2 / d) I_d).
 * - The logits are (x W + b) E with E = [0 I] (C-1,C), so that the logit of class 0 is always 0.
 * - The loss L is cross-entropy(logits, class) + (l2 / 2) ||W||^2.
 *
 * The shapes are x (B,d), W (d,C-1) and b (C-1). With C = 2 this is binary logistic regression, because the softmax of
 * (0, z) is the sigmoid of z. The loss is convex. If l2 > 0, the loss is strictly convex in W. Each task has `samples`
 * training points and the same number of held-out points. A minibatch is drawn with replacement from the training
 * points or from the held-out points. If data_seed > 0, all tasks have the same means and the same points. */
#include <math.h>

#include "task/family.h"

typedef struct logistic {
  int64_t dimension, classes, samples, batch; /* d, C, N, B */
  int64_t data_seed;
  double separation, initial_scale, l2;
  wl_node x, labels, reference;
} logistic;

/* The values of wl_stream.step for the arrays of a drawn task. The arrays of points and of labels
 * contain both splits. */
enum { DRAW_MEANS, DRAW_POINTS, DRAW_LABELS };

/* A drawn task has labels (2,N), points (2,N,d) and means (C,d). The first index of labels and
 * points is 0 for training points and 1 for held-out points. */
typedef struct mixture {
  int64_t *labels;
  wl_real *points, *means;
} mixture;

static mixture mixture_in(const logistic *m, void *draw) {
  int64_t *labels = draw;
  wl_real *points = (wl_real *)(labels + 2 * m->samples);
  return (mixture){labels, points, points + 2 * m->samples * m->dimension};
}

static size_t mixture_bytes(const logistic *m) {
  const size_t reals = (size_t)((2 * m->samples + m->classes) * m->dimension);
  return (size_t)(2 * m->samples) * sizeof(int64_t) + reals * sizeof(wl_real);
}

static const wl_option options[] = {
    {"dimension", WL_OPT_INT, "20", NULL, 1, 1e5, "1", "Number of features d.",
     WL_SLOT(logistic, dimension)},
    {"classes", WL_OPT_INT, "2", NULL, 2, 1000, "1",
     "Number of classes. The points of a class have a Gaussian distribution.", WL_SLOT(logistic, classes)},
    {"samples", WL_OPT_INT, "1024", NULL, 1, 1e6, "1",
     "Number of training points of a task. The number of held-out points is the same.",
     WL_SLOT(logistic, samples)},
    {"batch", WL_OPT_INT, "64", NULL, 1, 1e6, "1", "Number of points in a minibatch. The points "
                                                   "are drawn with replacement.",
     WL_SLOT(logistic, batch)},
    {"data_seed", WL_OPT_INT, "0", NULL, 0, 9e18, "1",
     "Seed of the mixture and the points, which all tasks then share. The tasks then differ only "
     "in initial values and minibatches. With 0, each task draws its own mixture and points.",
     WL_SLOT(logistic, data_seed)},
    {"separation", WL_OPT_REAL, "2.0", NULL, 0, 1e3, "1",
     "Typical distance of a class mean from the origin. The unit is the standard deviation within "
     "a class.",
     WL_SLOT(logistic, separation)},
    {"l2", WL_OPT_REAL, "0.0", NULL, 0, 1e6, "1", "Factor of the penalty ||W||^2 / 2 in the loss.",
     WL_SLOT(logistic, l2)},
    {"initial_scale", WL_OPT_REAL, "0.01", NULL, 0, 1e3, "1",
     "Standard deviation of the initial weights and biases.", WL_SLOT(logistic, initial_scale)},
    {0}};

static wl_status build(logistic *m, double l2, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t free = m->classes - 1;
  m->x = wl_tape_input(t, "x", 2, (const int64_t[]){m->batch, m->dimension});
  m->reference = wl_tape_input(t, "reference", 2, (const int64_t[]){free, m->classes});
  m->labels = wl_tape_labels(t, "labels", m->batch);
  const wl_node weight = wl_tape_theta(t, "weight", 2, (const int64_t[]){m->dimension, free});
  const wl_node bias = wl_tape_theta(t, "bias", 1, &free);
  const wl_node z = wl_op_add_bias(t, wl_op_matmul(t, m->x, weight), bias);
  const wl_node logits = wl_op_matmul(t, z, m->reference);
  wl_node loss = wl_op_softmax_cross_entropy(t, logits, m->labels);
  if (l2 > 0.0)
    loss = wl_op_add(t, loss, wl_op_scale(t, wl_op_sum(t, wl_op_square(t, weight)), 0.5 * l2));
  return wl_tape_finish(t, loss, logits, m->labels);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* `seed` is unused, because random numbers are drawn only for an episode */
  logistic *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  wl_map_read(map, options, m);
  WL_TRY(build(m, m->l2, task));
  task->n = wl_task_theta(task)->size;
  task->draw_bytes = mixture_bytes(m);
  task->eval_batches = m->samples >= m->batch ? m->samples / m->batch : 1;
  return WL_OK;
}

static void destroy(wl_task *task) { wl_free(task->impl); }

/* Draws the means of the classes, and then the points around these means. */
static wl_status sample(const wl_task *task, const wl_episode *own, void *draw) {
  const logistic *m = task->impl;
  const wl_episode shared = {.seed = (uint64_t)m->data_seed, .space = WL_SPACE_TRAIN};
  const wl_episode *const episode = m->data_seed > 0 ? &shared : own;
  const int64_t d = m->dimension, total = 2 * m->samples;
  const mixture mix = mixture_in(m, draw);
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_TASK, DRAW_MEANS), 0, m->classes * d,
                m->separation / sqrt((double)d), mix.means);
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_TASK, DRAW_POINTS), 0, total * d, 1.0,
                mix.points);
  wl_rng_index(wl_episode_stream(episode, WL_FOR_TASK, DRAW_LABELS), 0, total, (uint64_t)m->classes,
               mix.labels);
  for (int64_t i = 0; i < total; i++)
    for (int64_t j = 0; j < d; j++) mix.points[i * d + j] += mix.means[mix.labels[i] * d + j];
  return WL_OK;
}

/* Writes the constant matrix E to the input of the tape. */
static void bind(const wl_task *task, const wl_episode *episode, const void *draw,
                 wl_tape_ws *tape_ws) {
  (void)episode, (void)draw;
  const logistic *m = task->impl;
  wl_real *e = wl_tape_input_data(tape_ws, m->reference);
  for (int64_t i = 0; i < m->classes - 1; i++)
    for (int64_t j = 0; j < m->classes; j++) e[i * m->classes + j] = j == i + 1;
}

/* Returns the index, among the N points of a split, of point i of a batch. */
static int64_t chosen_point(const logistic *m, const wl_episode *episode, const wl_batch *batch,
                            int64_t i) {
  if (batch->purpose == WL_FOR_EVAL_BATCH) return (batch->step * m->batch + i) % m->samples;
  int64_t at;
  wl_rng_index(wl_episode_stream(episode, batch->purpose, (uint64_t)batch->step), (uint64_t)i, 1,
               (uint64_t)m->samples, &at);
  return at;
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  const logistic *m = task->impl;
  const int64_t d = m->dimension, first = batch->split == WL_SPLIT_HELDOUT ? m->samples : 0;
  const mixture mix = mixture_in(m, (void *)draw); /* read only */
  wl_real *x = wl_tape_input_data(tape_ws, m->x);
  int32_t *labels = wl_tape_label_data(tape_ws, m->labels);
  for (int64_t i = 0; i < m->batch; i++) {
    const int64_t at = first + chosen_point(m, episode, batch, i);
    for (int64_t j = 0; j < d; j++) x[i * d + j] = mix.points[at * d + j];
    labels[i] = (int32_t)mix.labels[at];
  }
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const logistic *m = task->impl;
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_THETA0, 0), 0, task->n, m->initial_scale, theta);
  return WL_OK;
}

const wl_task_family wl_task_logistic = {
    .name = "logistic",
    .summary =
        "logistic regression with two or more classes, on a Gaussian mixture that is drawn for "
        "each task",
    .options = options,
    .create = create,
    .destroy = destroy,
    .sample = sample,
    .bind = bind,
    .load = load,
    .theta0 = theta0,
};
