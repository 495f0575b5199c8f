/* autoencoder.c - defines the task family `autoencoder`: multi-layer perceptrons that reproduce
 * images through a narrow layer.
 *
 * - The input is h_0 = x (B,pixels), and hidden layer l is h_l = act(norm(h_{l-1} W_l + b_l)).
 * - The output is z = h_last W + b (B,pixels).
 * - The loss L is the mean of (x - sigmoid z)^2 over images and pixels.
 *
 * `widths` sets the widths of all hidden layers, including the narrow one. The default widths are
 * those of the autoencoders in google/learned_optimization (tasks/fixed/image_mlp_ae.py). */
#include "task/mlp.h"

static const wl_option options[] = {WL_IMAGE_SOURCE_OPTIONS(wl_mlp, images),
                                    WL_PERCEPTRON_OPTIONS("[128, 32, 128]", "relu", wl_mlp, hidden),
                                    WL_INITIALISER_OPTIONS("fan-in", wl_mlp, initialiser),
                                    {0}};

static wl_status build(wl_mlp *m, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  m->labels = -1;
  const int64_t pixels = m->images.data->pixels;
  m->x = wl_tape_input(t, "x", 2, (const int64_t[]){m->images.batch, pixels});
  const wl_node z = wl_net_perceptron(task, &m->hidden, m->x, pixels, pixels);
  const wl_node error = wl_op_sub(t, m->x, wl_op_sigmoid(t, z));
  return wl_tape_finish(t, wl_op_mean(t, wl_op_square(t, error)), -1, -1);
}

/* `seed` is unused: the images do not depend on the seed, and random numbers are drawn only for an
 * episode. */
static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed;
  return wl_mlp_create(map, options, build, task);
}

const wl_task_family wl_task_autoencoder = {
    .name = "autoencoder",
    .summary = "autoencoder: a multi-layer perceptron reproduces images; the loss is the mean "
               "squared error after a sigmoid",
    .options = options,
    .create = create,
    .destroy = wl_mlp_destroy,
    .theta0 = wl_mlp_theta0,
    .load = wl_mlp_load,
};
