/* rosenbrock.c - defines the task family `rosenbrock`: Rosenbrock's valley in n dimensions
 * (Rosenbrock 1960).
 *
 * - The chained form is f = sum_{i=1}^{n-1} c (x_{i+1} - x_i^2)^2 + (1 - x_i)^2.
 * - The form with pairs is f = sum_{i=1}^{n/2} c (x_{2i} - x_{2i-1}^2)^2 + (1 - x_{2i-1})^2.
 *
 * The classical value is c = 100. The minimum is f = 0 at x = (1, .., 1). Each term has two variables, the head x_i and
 * the tail x_{i+1}. The heads and the tails of all terms are the convolutions of x (1,1,1,n) with the kernels (1,0) and
 * (0,1). The stride is 1 for the chained form, and 2 for the form with pairs. */
#include <string.h>

#include "task/family.h"

typedef enum start { START_UNIFORM, START_NORMAL, START_CLASSIC } start;

typedef struct rosenbrock {
  enum { CHAINED, PAIRS } coupling;
  double curvature;
  int64_t dimension; /* n */
  start start;
  double spread;
  wl_node pick_head, pick_tail; /* (1,1,1,2), constants */
} rosenbrock;

static const wl_option options[] = {
    {"dimension", WL_OPT_INT, "2", NULL, 2, 1e6, "1",
     "Number of variables. The number must be even for `coupling: pairs`.",
     WL_SLOT(rosenbrock, dimension)},
    {"coupling", WL_OPT_CHOICE, "chained", "chained|pairs", 0, 0, "1",
     "Variables that a term of the function couples: neighbours in a chain, or independent pairs.",
     WL_SLOT(rosenbrock, coupling)},
    {"curvature", WL_OPT_REAL, "100.0", NULL, 0, 1e9, "1",
     "Factor c of the squared distance from the bottom of the valley.", WL_SLOT(rosenbrock, curvature)},
    {"start", WL_OPT_CHOICE, "uniform", "uniform|normal|classic", 0, 0, "1",
     "Starting point: uniform in [-spread, spread], normal with N(0, spread^2), or classic, which "
     "is (-1.2, 1, -1.2, 1, ..).",
     WL_SLOT(rosenbrock, start)},
    {"spread", WL_OPT_REAL, "2.0", NULL, 0, 1e6, "1",
     "Half-width of the uniform distribution, or standard deviation of the normal distribution, "
     "of the starting point.", WL_SLOT(rosenbrock, spread)},
    {0}};

static wl_status build(rosenbrock *r, bool pairs, double curvature, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t row[] = {1, 1, 1, r->dimension}, kernel[] = {1, 1, 1, 2};
  const int stride = pairs ? 2 : 1;
  const wl_node x = wl_op_reshape(t, wl_tape_theta(t, "x", 1, &r->dimension), 4, row);
  r->pick_head = wl_tape_input(t, "pick_head", 4, kernel);
  r->pick_tail = wl_tape_input(t, "pick_tail", 4, kernel);
  const wl_node head = wl_op_conv2d(t, x, r->pick_head, stride, 0);
  const wl_node tail = wl_op_conv2d(t, x, r->pick_tail, stride, 0);
  const wl_node wall = wl_op_square(t, wl_op_sub(t, tail, wl_op_square(t, head)));
  const wl_node floor = wl_op_square(t, wl_op_shift(t, head, -1.0));
  return wl_tape_finish(t, wl_op_sum(t, wl_op_add(t, wl_op_scale(t, wall, curvature), floor)), -1,
                        -1);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* `seed` is unused, because random numbers are drawn only for an episode */
  rosenbrock *r = NULL;
  WL_TRY(WL_NEW(r, 1));
  task->impl = r;
  wl_map_read(map, options, r);
  const bool pairs = r->coupling == PAIRS;
  if (pairs && r->dimension % 2)
    return wl_map_fail(map, "dimension", "the number %lld is odd, but `coupling: pairs` needs an "
                                         "even number of variables",
                       (long long)r->dimension);
  WL_TRY(build(r, pairs, r->curvature, task));
  task->n = r->dimension;
  return WL_OK;
}

static void destroy(wl_task *task) { wl_free(task->impl); }

static void bind(const wl_task *task, const wl_episode *episode, const void *draw,
                 wl_tape_ws *tape_ws) {
  (void)episode, (void)draw;
  const rosenbrock *r = task->impl;
  wl_real *head = wl_tape_input_data(tape_ws, r->pick_head),
          *tail = wl_tape_input_data(tape_ws, r->pick_tail);
  head[0] = tail[1] = 1;
  head[1] = tail[0] = 0;
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const rosenbrock *r = task->impl;
  const wl_stream stream = wl_episode_stream(episode, WL_FOR_THETA0, 0);
  switch (r->start) {
    case START_UNIFORM: wl_rng_uniform(stream, 0, task->n, -r->spread, r->spread, theta); break;
    case START_NORMAL: wl_rng_normal(stream, 0, task->n, r->spread, theta); break;
    case START_CLASSIC:
      for (int64_t i = 0; i < task->n; i++) theta[i] = (wl_real)(i % 2 ? 1.0 : -1.2);
      break;
  }
  return WL_OK;
}

const wl_task_family wl_task_rosenbrock = {
    .name = "rosenbrock",
    .summary = "Rosenbrock's function, a curved valley, in any number of variables and from random "
               "starting points",
    .options = options,
    .create = create,
    .destroy = destroy,
    .bind = bind,
    .theta0 = theta0,
};
