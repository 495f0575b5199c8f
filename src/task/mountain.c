/* mountain.c - defines the task family `mountain`: random surfaces with peaks and valleys over the
 * plane (Flennerhag et al. 2020, appendix D).
 *
 *   f = b1 (a1 - x1)^2 exp(-x1^2 - (x2 + a2)^2)
 *     - b2 (x1 / s - x1^3 - x2^5) exp(-x1^2 - x2^2)
 *     - b3 exp(-(x1 + a3)^2 - x2^2)
 *
 * The coefficients are uniformly distributed integers: s is in [1, 10], each a_i is in [-1, 1], and
 * each b_i is in [-5, 5]. The initial point is uniformly distributed in [-3, 3]^2. The explicit
 * warp f(omega(x)) of the paper is a warp layer after the node "x". The keys `warp: residual,
 * warp_width: 30` select the warp layer of the paper. On the tape, every scalar is a tensor of
 * shape (1). */
#include "task/family.h"

enum { A1, A2, A3, B1, B2, B3, INVERSE_S, COEFFICIENTS };

typedef struct mountain {
  enum { OWN, SHARED } surface;      /* SHARED: all units of an episode have the same surface */
  wl_node coefficient[COEFFICIENTS]; /* the coefficients of f, each of shape (1) */
} mountain;

#define DOMAIN_HALF 3.0 /* the initial point is drawn from [-3, 3]^2 */

static const wl_option options[] = {
    {"surface", WL_OPT_CHOICE, "own", "own|shared", 0, 0, "1",
     "Surfaces of the units. own: each unit has a separate surface. shared: all units of an episode have the same "
     "surface.",
     WL_SLOT(mountain, surface)},
    {0}};

/* Returns exp(-u^2 - v^2). */
static wl_node bell(wl_tape *t, wl_node u, wl_node v) {
  const wl_node r2 = wl_op_add(t, wl_op_square(t, u), wl_op_square(t, v));
  return wl_op_exp(t, wl_op_scale(t, r2, -1.0));
}

/* Returns x1 / s - x1^3 - x2^5. */
static wl_node ripple(wl_tape *t, wl_node x1, wl_node x2, wl_node inverse_s) {
  const wl_node cube = wl_op_mul(t, x1, wl_op_square(t, x1));
  const wl_node fifth = wl_op_mul(t, x2, wl_op_square(t, wl_op_square(t, x2)));
  return wl_op_sub(t, wl_op_sub(t, wl_op_mul(t, x1, inverse_s), cube), fifth);
}

static wl_status build(mountain *m, wl_task *task) {
  static const char *const names[COEFFICIENTS] = {"a1", "a2", "a3", "b1", "b2", "b3", "inverse_s"};
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  wl_node *c = m->coefficient;
  for (int i = 0; i < COEFFICIENTS; i++) c[i] = wl_tape_input(t, names[i], 1, (const int64_t[]){1});
  const wl_warp_site site = {.layer = "x", .side = WL_WARP_ONLY, .ndim = 2, .channels = 2};
  const wl_node leaf = wl_tape_theta(t, "x", 2, (const int64_t[]){1, 2});
  const wl_node x = wl_warp_insert(task->warp, t, leaf, &site);
  task->plane = (wl_plane){.half = DOMAIN_HALF, .image = x};
  const wl_node x1 = wl_op_column(t, x, 0), x2 = wl_op_column(t, x, 1);
  const wl_node bowl = wl_op_square(t, wl_op_sub(t, c[A1], x1));
  const wl_node first =
      wl_op_mul(t, wl_op_mul(t, c[B1], bowl), bell(t, x1, wl_op_add(t, x2, c[A2])));
  const wl_node second =
      wl_op_mul(t, wl_op_mul(t, c[B2], ripple(t, x1, x2, c[INVERSE_S])), bell(t, x1, x2));
  const wl_node third = wl_op_mul(t, c[B3], bell(t, wl_op_add(t, x1, c[A3]), x2));
  const wl_node f = wl_op_sub(t, wl_op_sub(t, first, second), third);
  return wl_tape_finish(t, wl_op_sum(t, f), -1, -1);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* `seed` is unused, because random numbers are drawn only for an episode */
  mountain *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  wl_map_read(map, options, m);
  WL_TRY(build(m, task));
  task->n = 2;
  return WL_OK;
}

static void destroy(wl_task *task) { wl_free(task->impl); }

/* Draws an integer from `low` to `high` with random number `which` of the episode's stream. */
static double integer(const wl_episode *episode, int which, int low, int high) {
  int64_t value;
  wl_rng_index(wl_episode_stream(episode, WL_FOR_TASK, 0), (uint64_t)which, 1,
               (uint64_t)(high - low + 1), &value);
  return (double)(low + value);
}

static void bind(const wl_task *task, const wl_episode *episode, const void *draw,
                 wl_tape_ws *tape_ws) {
  (void)draw;
  const mountain *m = task->impl;
  double value[COEFFICIENTS];
  wl_episode surface = *episode;
  if (m->surface == SHARED) surface.unit = 0;
  for (int i = A1; i <= A3; i++) value[i] = integer(&surface, i, -1, 1);
  for (int i = B1; i <= B3; i++) value[i] = integer(&surface, i, -5, 5);
  value[INVERSE_S] = 1.0 / integer(&surface, INVERSE_S, 1, 10);
  for (int i = 0; i < COEFFICIENTS; i++)
    *wl_tape_input_data(tape_ws, m->coefficient[i]) = (wl_real)value[i];
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  wl_rng_uniform(wl_episode_stream(episode, WL_FOR_THETA0, 0), 0, task->n, -DOMAIN_HALF,
                 DOMAIN_HALF, theta);
  return WL_OK;
}

const wl_task_family wl_task_mountain = {
    .name = "mountain",
    .summary = "random surfaces with peaks and valleys over the plane (Warp-Grad, appendix D)",
    .options = options,
    .create = create,
    .destroy = destroy,
    .bind = bind,
    .theta0 = theta0,
};
