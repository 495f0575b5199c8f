/* mlp.c - defines the task family `mlp`: multi-layer perceptrons that classify images.
 *
 * - The input is h_0 = x (B,pixels), and hidden layer l is h_l = act(norm(h_{l-1} W_l + b_l)).
 * - The loss L is cross-entropy(h_last W + b, label).
 *
 * By default, the initial weights and biases are drawn from N(0, initial_scale^2), as in section
 * 3.2 of Andrychowicz et al. 2016. The network of Andrychowicz et al. has 784 inputs, 20 hidden
 * units with sigmoid activation, and 10 outputs. The batch size of Andrychowicz et al. is 128.
 * Minibatches are drawn with replacement. */
#include "task/mlp.h"

static const wl_option options[] = {WL_IMAGE_SOURCE_OPTIONS(wl_mlp, images),
                                    WL_PERCEPTRON_OPTIONS("[20]", "sigmoid", wl_mlp, hidden),
                                    WL_INITIALISER_OPTIONS("normal", wl_mlp, initialiser),
                                    {0}};

static wl_status build(wl_mlp *m, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const wl_dataset *data = m->images.data;
  m->x = wl_tape_input(t, "x", 2, (const int64_t[]){m->images.batch, data->pixels});
  m->labels = wl_tape_labels(t, "labels", m->images.batch);
  const wl_node logits = wl_net_perceptron(task, &m->hidden, m->x, data->pixels, data->classes);
  const wl_node loss = wl_op_softmax_cross_entropy(t, logits, m->labels);
  return wl_tape_finish(t, loss, logits, m->labels);
}

wl_status wl_mlp_create(const wl_map *map, const wl_option *keys,
                        wl_status (*build_tape)(wl_mlp *m, wl_task *task), wl_task *task) {
  wl_mlp *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  wl_map_read(map, keys, m);
  WL_TRY(wl_image_source_open(task, &m->images));
  WL_TRY(build_tape(m, task));
  task->n = wl_task_theta(task)->size;
  return WL_OK;
}

/* `seed` is unused: the images do not depend on the seed, and random numbers are drawn only for an
 * episode. */
static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed;
  return wl_mlp_create(map, options, build, task);
}

void wl_mlp_destroy(wl_task *task) {
  wl_mlp *m = task->impl;
  wl_image_source_close(&m->images);
  wl_free(m);
}

wl_status wl_mlp_theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const wl_mlp *m = task->impl;
  return wl_initialiser_theta0(&m->initialiser, task, episode, theta);
}

void wl_mlp_load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const wl_mlp *m = task->impl;
  wl_image_source_load(&m->images, episode, batch, wl_tape_input_data(tape_ws, m->x),
                       m->labels >= 0 ? wl_tape_label_data(tape_ws, m->labels) : NULL);
}

const wl_task_family wl_task_mlp = {
    .name = "mlp",
    .summary =
        "a multi-layer perceptron classifies images; its widths, activation and normalisation are "
        "options",
    .options = options,
    .create = create,
    .destroy = wl_mlp_destroy,
    .theta0 = wl_mlp_theta0,
    .load = wl_mlp_load,
};
