/* welsch.c - implements linear regression with a loss that is robust against outliers (Welsch
 * 1978).
 *
 *   L(theta) = mean_i 1 - exp(-r_i^2 / 2),   r = X theta - y          X (B,d), y (B), theta (d,1)
 *
 * X and the true parameters are drawn from N(0,1). The option `outliers` is a fraction: the first
 * outliers * B values of y are drawn from N(0, 10^2). The other values of y are X times the true
 * parameters, plus noise. Far from the solution the loss is flat, which is difficult for any
 * optimizer.
 *
 * docs/plugins.md explains this example. Build it with: warploom plugin build welsch.c */
#include <warploom/task.h>

typedef struct welsch {
  int64_t points, dimension; /* B, d */
  double outliers, noise;
  wl_node x, y;
} welsch;

/* Numbers of the arrays of random values. The number of an array is the argument `step` of its
 * random stream. */
enum { DRAW_X, DRAW_TRUE, DRAW_NOISE, DRAW_OUTLIERS };
static const double OUTLIER = 10.0;

static const wl_option options[] = {
    {"dimension", WL_OPT_INT, "8", NULL, 1, 4096, "1", "Number of parameters d.",
     WL_SLOT(welsch, dimension)},
    {"points", WL_OPT_INT, "64", NULL, 1, 1e6, "1", "Number of points B.", WL_SLOT(welsch, points)},
    {"outliers", WL_OPT_REAL, "0.1", NULL, 0, 1, "1", "Fraction of points that are outliers.",
     WL_SLOT(welsch, outliers)},
    {"noise", WL_OPT_REAL, "0.1", NULL, 0, 1e6, "1", "Standard deviation of the errors of the other points.",
     WL_SLOT(welsch, noise)},
    {0}};

/* Builds the loss from operators. Warploom derives gradients and Hessian-vector products from these
 * operators. */
static wl_status build(welsch *w, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t theta[] = {w->dimension, 1}, x[] = {w->points, w->dimension}, y[] = {w->points, 1};
  const wl_node parameters = wl_tape_theta(t, "theta", 2, theta);
  w->x = wl_tape_input(t, "x", 2, x);
  w->y = wl_tape_input(t, "y", 2, y);
  const wl_node r = wl_op_sub(t, wl_op_matmul(t, w->x, parameters), w->y);
  const wl_node fit = wl_op_mean(t, wl_op_exp(t, wl_op_scale(t, wl_op_square(t, r), -0.5)));
  return wl_tape_finish(t, wl_op_shift(t, wl_op_scale(t, fit, -1.0), 1.0), -1, -1);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* not used: all random values are drawn from the streams of the episode */
  welsch *w = NULL;
  WL_TRY(WL_NEW(w, 1));
  task->impl = w;
  wl_map_read(map, options, w);
  task->n = w->dimension;
  task->draw_bytes = (size_t)w->dimension * sizeof(wl_real);
  return build(w, task);
}

static void destroy(wl_task *task) { wl_free(task->impl); }

/* Draws the true parameters, which define the drawn task. */
static wl_status sample(const wl_task *task, const wl_episode *episode, void *draw) {
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_TASK, DRAW_TRUE), 0, task->n, 1.0, draw);
  return WL_OK;
}

/* Computes the data x and y of the drawn task. All batches of an episode use these data. */
static void bind(const wl_task *task, const wl_episode *episode, const void *draw, wl_tape_ws *ws) {
  const welsch *w = task->impl;
  const wl_real *truth = draw;
  wl_real *x = wl_tape_input_data(ws, w->x), *y = wl_tape_input_data(ws, w->y);
  const int64_t outliers = (int64_t)(w->outliers * (double)w->points);
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_TASK, DRAW_X), 0, w->points * w->dimension, 1.0,
                x);
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_TASK, DRAW_NOISE), 0, w->points, w->noise, y);
  for (int64_t i = 0; i < w->points; i++)
    for (int64_t j = 0; j < w->dimension; j++) y[i] += x[i * w->dimension + j] * truth[j];
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_TASK, DRAW_OUTLIERS), 0, outliers, OUTLIER, y);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  wl_rng_normal(wl_episode_stream(episode, WL_FOR_THETA0, 0), 0, task->n, 0.1, theta);
  return WL_OK;
}

static const wl_task_family family = {
    .name = "welsch",
    .summary = "linear regression with outliers, Welsch's loss",
    .options = options,
    .create = create,
    .destroy = destroy,
    .sample = sample,
    .bind = bind,
    .theta0 = theta0,
};

WL_PLUGIN_TASK(family);
