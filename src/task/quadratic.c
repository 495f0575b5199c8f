/* quadratic.c - defines the task family `quadratic`: the mean of random quadratic functions.
 *
 *   L(theta) = 1/B sum_b ||W_b theta_b - y_b||^2
 *
 * The shapes are W (B,d,d), y (B,d) and theta (B,d). Each of the B functions has separate parameters theta_b, so that L
 * is separable. The paper (Andrychowicz et al. 2016, section 3.1) draws W and y from N(0,1). The code of the paper
 * draws W and y uniformly from [0,1). The initial parameters theta_0 are drawn from N(0, 0.01^2). */
#include "task/family.h"

typedef struct quadratic {
  int64_t batch, dimension; /* B, d */
  enum { GAUSSIAN, UNIFORM } distribution;
  wl_node w, y;
} quadratic;

/* The values of wl_stream.step for the drawn arrays W and y. */
enum { DRAW_W, DRAW_Y };

static const wl_option options[] = {
    {"dimension", WL_OPT_INT, "10", NULL, 1, 4096, "1", "Number of variables d of each function.",
     WL_SLOT(quadratic, dimension)},
    {"batch", WL_OPT_INT, "128", NULL, 1, 1e6, "1",
     "Number of functions of a task. The loss is the mean of the functions.", WL_SLOT(quadratic, batch)},
    {"distribution", WL_OPT_CHOICE, "gaussian", "gaussian|uniform", 0, 0, "1",
     "Distribution of the elements of W and y. gaussian: N(0,1) as in the paper of 2016. uniform: uniform in [0,1) "
     "as in the code of the paper.",
     WL_SLOT(quadratic, distribution)},
    {0}};

static wl_status build(quadratic *q, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t w_shape[] = {q->batch, q->dimension, q->dimension};
  const int64_t x_shape[] = {q->batch, q->dimension};
  const wl_warp_site site = {
      .layer = "x", .side = WL_WARP_ONLY, .ndim = 2, .channels = q->dimension};
  const wl_node x = wl_warp_insert(task->warp, t, wl_tape_theta(t, "x", 2, x_shape), &site);
  q->w = wl_tape_input(t, "w", 3, w_shape);
  q->y = wl_tape_input(t, "y", 2, x_shape);
  const wl_node residual = wl_op_sub(t, wl_op_batched_matvec(t, q->w, x), q->y);
  const wl_node total = wl_op_sum(t, wl_op_square(t, residual));
  return wl_tape_finish(t, wl_op_scale(t, total, 1.0 / (double)q->batch), -1, -1);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* `seed` is unused, because random numbers are drawn only for an episode */
  quadratic *q = NULL;
  WL_TRY(WL_NEW(q, 1));
  task->impl = q;
  wl_map_read(map, options, q);
  WL_TRY(build(q, task));
  task->n = q->batch * q->dimension;
  return WL_OK;
}

static void destroy(wl_task *task) { wl_free(task->impl); }

static void draw_array(const quadratic *q, wl_stream stream, int64_t n, wl_real *out) {
  if (q->distribution == UNIFORM) wl_rng_uniform(stream, 0, n, 0.0, 1.0, out);
  else wl_rng_normal(stream, 0, n, 1.0, out);
}

static void bind(const wl_task *task, const wl_episode *episode, const void *draw,
                 wl_tape_ws *tape_ws) {
  (void)draw;
  const quadratic *q = task->impl;
  draw_array(q, wl_episode_stream(episode, WL_FOR_TASK, DRAW_W),
             q->batch * q->dimension * q->dimension, wl_tape_input_data(tape_ws, q->w));
  draw_array(q, wl_episode_stream(episode, WL_FOR_TASK, DRAW_Y), q->batch * q->dimension,
             wl_tape_input_data(tape_ws, q->y));
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_THETA0, 0), 0, task->n, 0.01, theta);
  return WL_OK;
}

const wl_task_family wl_task_quadratic = {
    .name = "quadratic",
    .summary = "the mean of ||W x - y||^2 over a batch of random functions (Andrychowicz et al. "
               "2016)",
    .options = options,
    .create = create,
    .destroy = destroy,
    .bind = bind,
    .theta0 = theta0,
};
