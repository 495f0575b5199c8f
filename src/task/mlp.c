/* mlp.c - multi-layer perceptrons that classify images.
 *
 *   h_0 = x (B,pixels);  h_l = act(h_{l-1} W_l + b_l);  L = scale * cross-entropy(h_last W + b, label)
 *
 * theta_0 ~ N(0, initial_scale^2), weights and biases (Andrychowicz et al. 2016, section 3.2:
 * 784-20-10, sigmoid, batch 128). Minibatches are drawn with replacement. */
#include "task/dataset.h"
#include "task/family.h"

typedef struct mlp {
  const wl_dataset *data; /* shared, released in destroy */
  int64_t batch;          /* B */
  double initial_scale;
  wl_node x, labels;
} mlp;

static const wl_option options[] = {
    WL_DATASET_OPTIONS,
    {"widths", WL_OPT_INTS, "[20]", NULL, 1, 1e6, "1",
     "Units of each hidden layer; [] is softmax regression."},
    {"activation", WL_OPT_CHOICE, "sigmoid", WL_ACTIVATIONS, 0, 0, "1",
     "Non-linearity of the hidden layers."},
    {"batch", WL_OPT_INT, "128", NULL, 1, 1e6, "1",
     "Images in a minibatch, drawn with replacement."},
    {"initial_scale", WL_OPT_REAL, "0.01", NULL, 0, 1e3, "1",
     "Standard deviation of the initial weights and biases."},
    {"loss_scale", WL_OPT_REAL, "1.0", NULL, 1e-12, 1e12, "1",
     "Factor on the loss, and so on every gradient; used to test how a rule takes other scales."},
    {"eval_samples", WL_OPT_INT, "4096", NULL, 1, 1e9, "1",
     "Images of the fixed sample that evaluations use, in whole batches, no more than the data "
     "has."},
    {0}};

static wl_status build(const wl_map *map, mlp *m, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t pixels = m->data->pixels;
  m->x = wl_tape_input(t, "x", 2, (const int64_t[]){m->batch, pixels});
  m->labels = wl_tape_labels(t, "labels", m->batch);
  const wl_node logits = wl_net_perceptron(task, map, m->x, pixels, m->data->classes);
  const wl_node loss = wl_op_softmax_cross_entropy(t, logits, m->labels);
  return wl_tape_finish(t, wl_net_scaled_loss(t, loss, wl_map_real(map, "loss_scale")), logits,
                        m->labels);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* the data are the same for every seed, all else belongs to the episode */
  mlp *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  WL_TRY(wl_dataset_open(map, &m->data));
  m->batch = wl_map_int(map, "batch");
  m->initial_scale = wl_map_real(map, "initial_scale");
  WL_TRY(build(map, m, task));
  task->n = wl_task_theta(task)->size;
  task->eval_batches = wl_dataset_eval_batches(m->data, wl_map_int(map, "eval_samples"), m->batch);
  return WL_OK;
}

static void destroy(wl_task *task) {
  mlp *m = task->impl;
  wl_dataset_close(&m->data);
  wl_free(m);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const mlp *m = task->impl;
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_THETA0, 0), 0, task->n, m->initial_scale, theta);
  return WL_OK;
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const mlp *m = task->impl;
  wl_dataset_gather(m->data, episode, batch, m->batch, wl_tape_input_data(tape_ws, m->x),
                    wl_tape_label_data(tape_ws, m->labels));
}

const wl_task_family wl_task_mlp = {
    .name = "mlp",
    .summary =
        "multi-layer perceptron on images: any widths, sigmoid, tanh, ReLU or ELU, cross-entropy",
    .options = options,
    .create = create,
    .destroy = destroy,
    .theta0 = theta0,
    .load = load,
};
