/* autoencoder.c - multi-layer perceptrons that reproduce images through a narrow layer.
 *
 *   h_0 = x (B,pixels);  h_l = act(norm(h_{l-1} W_l + b_l));  z = h_last W + b (B,pixels)
 *   L = mean (x - sigmoid z)^2         over images and pixels
 *
 * `widths` sets the widths of all hidden layers, including the narrow one. Defaults are those of the autoencoders
 * in google/learned_optimization (tasks/fixed/image_mlp_ae.py). */
#include "task/family.h"
#include "task/image_source.h"
#include "task/initialiser.h"

typedef struct autoencoder {
  wl_image_source images;
  wl_perceptron hidden;
  wl_initialiser initialiser;
  wl_node x;
} autoencoder;

static const wl_option options[] = {
    WL_IMAGE_SOURCE_OPTIONS(autoencoder, images),
    WL_PERCEPTRON_OPTIONS("[128, 32, 128]", "relu", autoencoder, hidden),
    WL_INITIALISER_OPTIONS("fan-in", autoencoder, initialiser),
    {0}};

static wl_status build(autoencoder *m, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t pixels = m->images.data->pixels;
  m->x = wl_tape_input(t, "x", 2, (const int64_t[]){m->images.batch, pixels});
  const wl_node z = wl_net_perceptron(task, &m->hidden, m->x, pixels, pixels);
  const wl_node error = wl_op_sub(t, m->x, wl_op_sigmoid(t, z));
  return wl_tape_finish(t, wl_op_mean(t, wl_op_square(t, error)), -1, -1);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* the data do not depend on the seed; all draws depend on the episode */
  autoencoder *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  wl_map_read(map, options, m);
  WL_TRY(wl_image_source_open(task, &m->images));
  WL_TRY(build(m, task));
  task->n = wl_task_theta(task)->size;
  return WL_OK;
}

static void destroy(wl_task *task) {
  autoencoder *m = task->impl;
  wl_image_source_close(&m->images);
  wl_free(m);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const autoencoder *m = task->impl;
  return wl_initialiser_theta0(&m->initialiser, task, episode, theta);
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const autoencoder *m = task->impl;
  wl_image_source_load(&m->images, episode, batch, wl_tape_input_data(tape_ws, m->x), NULL);
}

const wl_task_family wl_task_autoencoder = {
    .name = "autoencoder",
    .summary = "multi-layer perceptron that reproduces images: mean square error of a sigmoid",
    .options = options,
    .create = create,
    .destroy = destroy,
    .theta0 = theta0,
    .load = load,
};
