/* sinusoid.c - defines the task family `sinusoid`: few-shot regression of a sine wave. There are
 * two protocols.
 *
 * - fixed: y = A sin(x - p) with A in [0.1, 5], p in [0, pi] and x in [-5, 5] (Finn et al. 2017).
 * - varying: y = A sin(w x + p) with the same ranges of A, p and x, and with w in [0.8, 1.2] (Li et al. 2017).
 *
 * The default network has one input, two hidden layers of 40 units with ReLU, and one output. The
 * initial values are those of the code of Finn et al.: truncated normal weights with the standard
 * deviation 0.01, and biases of zero. L = 1/K sum (f(x) - y)^2. A batch with the purpose
 * WL_FOR_INNER_BATCH is the support set, which has `shots` points. A batch with any other purpose
 * is the query set, which has `query` points. The support set and the query set are drawn once for
 * a task, so that all inner steps use the same support set. The network is built for a batch of the
 * size of the larger set. If a set is smaller, the remaining rows of the batch have weight 0. If
 * the key `warp_loss` is positive, the loss of the support set has a learned term (warp.h). */
#include <math.h>
#include <string.h>

#include "task/family.h"

typedef struct sinusoid {
  /* number of points in the support set, number of points in the query set, and the larger of both
   * numbers */
  int64_t shots, query, rows;
  enum { FIXED, VARYING } frequency;
  wl_perceptron hidden;
  wl_node x, y,
      /* nodes of the inputs x, the targets y and the weights of the points, each of shape (rows,1).
       * The weight of a point is 1 / (number of points in its set). The weight of a row without a
       * point is 0. */
      weight;
  /* node of the weights of the learned loss, of shape (rows,1), or -1 if there is no learned loss.
   * The weights are 0 for the query set. */
  wl_node learned;
} sinusoid;

/* A drawn task. */
typedef struct wave {
  double amplitude, frequency, phase;
} wave;

/* The values of wl_stream.step for the drawn wave and the drawn points. */
enum { DRAW_WAVE, DRAW_SUPPORT, DRAW_QUERY };

static const wl_option options[] = {
    {"frequency", WL_OPT_CHOICE, "fixed", "fixed|varying", 0, 0, "1",
     "Form of the wave. fixed: A sin(x - p). varying: A sin(w x + p) with w in [0.8, 1.2].",
     WL_SLOT(sinusoid, frequency)},
    {"shots", WL_OPT_INT, "5", NULL, 1, 1e5, "1",
     "Number of points in the support set, on which a task adapts.", WL_SLOT(sinusoid, shots)},
    {"query", WL_OPT_INT, "0", NULL, 0, 1e5, "1",
     "Number of points in the query set. With 0, this number is equal to `shots`.", WL_SLOT(sinusoid, query)},
    {"widths", WL_OPT_INTS, "[40, 40]", NULL, 1, 1e5, "1", "Number of units of each hidden layer.",
     WL_SLOT(sinusoid, hidden.widths)},
    {"activation", WL_OPT_CHOICE, "relu", WL_ACTIVATIONS, 0, 0, "1",
     "Non-linear function after each hidden layer.", WL_SLOT(sinusoid, hidden.activation)},
    {0}};

/* Returns the sum over all rows of weight * each, where `each` has one number for each row. */
static wl_node weighted(wl_tape *t, wl_node weight, wl_node each) {
  return wl_op_sum(t, wl_op_mul(t, weight, each));
}

static wl_status build(sinusoid *s, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t column[] = {s->rows, 1};
  s->x = wl_tape_input(t, "x", 2, column);
  s->y = wl_tape_input(t, "y", 2, column);
  s->weight = wl_tape_input(t, "weight", 2, column);
  const wl_node f = wl_net_perceptron(task, &s->hidden, s->x, 1, 1);
  const wl_node error = wl_op_square(t, wl_op_sub(t, f, s->y));
  const wl_node learned = wl_warp_learned_loss(task->warp, t, s->y);
  wl_node loss = weighted(t, s->weight, error);
  s->learned = learned < 0 ? -1 : wl_tape_input(t, "learned", 2, column);
  if (learned >= 0) loss = wl_op_add(t, loss, weighted(t, s->learned, learned));
  return wl_tape_finish(t, loss, -1, -1);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* `seed` is unused, because random numbers are drawn only for an episode */
  sinusoid *s = NULL;
  WL_TRY(WL_NEW(s, 1));
  task->impl = s;
  wl_map_read(map, options, s);
  if (s->query == 0) s->query = s->shots;
  s->rows = s->shots > s->query ? s->shots : s->query;
  WL_TRY(build(s, task));
  task->n = wl_task_theta(task)->size;
  task->draw_bytes = sizeof(wave);
  return WL_OK;
}

static void destroy(wl_task *task) { wl_free(task->impl); }

static wl_status sample(const wl_task *task, const wl_episode *episode, void *draw) {
  const sinusoid *s = task->impl;
  double u[3];
  wl_rng_uniform_double(wl_episode_stream(episode, WL_FOR_TASK, DRAW_WAVE), 0, 3, 0.0, 1.0, u);
  *(wave *)draw = (wave){.amplitude = 0.1 + 4.9 * u[0],
                         .phase = M_PI * u[1],
                         .frequency = s->frequency == VARYING ? 0.8 + 0.4 * u[2] : 1.0};
  return WL_OK;
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  const sinusoid *s = task->impl;
  const wave *w = draw;
  const bool support = batch->purpose == WL_FOR_INNER_BATCH;
  const int64_t count = support ? s->shots : s->query;
  const double phase = s->frequency == VARYING ? w->phase : -w->phase;
  wl_real *x = wl_tape_input_data(tape_ws, s->x), *y = wl_tape_input_data(tape_ws, s->y);
  wl_real *weight = wl_tape_input_data(tape_ws, s->weight);
  const wl_stream stream =
      wl_episode_stream(episode, WL_FOR_TASK, support ? DRAW_SUPPORT : DRAW_QUERY);
  wl_rng_uniform(stream, 0, s->rows, -5.0, 5.0, x);
  for (int64_t i = 0; i < s->rows; i++) {
    y[i] = (wl_real)(w->amplitude * sin(w->frequency * (double)x[i] + phase));
    weight[i] = i < count ? (wl_real)(1.0 / (double)count) : 0;
  }
  if (s->learned < 0) return;
  wl_real *learned = wl_tape_input_data(tape_ws, s->learned);
  for (int64_t i = 0; i < s->rows; i++) learned[i] = support ? weight[i] : 0;
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const wl_layout *layout = wl_task_theta(task);
  const wl_stream stream = wl_episode_stream(episode, WL_FOR_THETA0, 0);
  memset(theta, 0, (size_t)task->n * sizeof *theta);
  for (int i = 0; i < layout->count; i++) {
    const wl_tensor_entry *block = &layout->tensors[i];
    if (block->ndim == 2)
      wl_rng_truncated_normal(stream, (uint64_t)block->offset, block->size, 0.01,
                              theta + block->offset);
  }
  return WL_OK;
}

const wl_task_family wl_task_sinusoid = {
    .name = "sinusoid",
    .summary =
        "few-shot regression of a sine wave: a task adapts on the support set, and the query set "
        "is the outer batch",
    .options = options,
    .few_shot = true,
    .create = create,
    .destroy = destroy,
    .sample = sample,
    .load = load,
    .theta0 = theta0,
};
