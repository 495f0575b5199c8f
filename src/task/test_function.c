/* test_function.c - defines the task family `test-function`: common test functions of n variables
 * for optimizers. With z = x - o, the functions are:
 *
 * - rastrigin: sum z_i^2 + 10 (1 - cos 2 pi z_i); the minimum is at z = 0.
 * - ackley: 20 (1 - exp(-0.2 sqrt(mean z_i^2))) + e - exp(mean cos 2 pi z_i); the minimum is at
 *   z = 0.
 * - beale: the sum over pairs (z, w) of (1.5 - z + z w)^2 + (2.25 - z + z w^2)^2 +
 *   (2.625 - z + z w^3)^2; the minimum is at (z, w) = (3, 1/2) for every pair.
 * - rosenbrock: sum 100 (z_{i+1} - z_i^2)^2 + (1 - z_i)^2; the minimum is at z = (1, .., 1).
 * - styblinski-tang: sum (z_i^4 - 16 z_i^2 + 5 z_i) / 2 + 39.166...; the minimum is at
 *   z_i = -2.9035 for all i.
 *
 * The least value of every function is 0. The offset o is drawn for each task and is uniformly
 * distributed in [-shift, shift]^n. The initial x is uniformly distributed in [-spread, spread]^n.
 * Ackley's function has no gradient at z = 0. The family `rosenbrock` has further forms of
 * Rosenbrock's function. The formulas are from Jamil and Yang 2013, A literature survey of
 * benchmark functions. */
#include <math.h>
#include <string.h>

#include "task/family.h"

typedef struct test_function {
  enum { RASTRIGIN, ACKLEY, BEALE, ROSENBROCK, STYBLINSKI_TANG } function;
  int64_t dimension; /* n */
  double shift, spread;
  wl_node place; /* o (n) */
} test_function;

static const wl_option options[] = {
    {"function", WL_OPT_CHOICE, "rastrigin", "rastrigin|ackley|beale|rosenbrock|styblinski-tang", 0,
     0, "1", "The function.", WL_SLOT(test_function, function)},
    {"dimension", WL_OPT_INT, "2", NULL, 1, 1e6, "1",
     "Number of variables. The number must be even for `function: beale`.", WL_SLOT(test_function, dimension)},
    {"shift", WL_OPT_REAL, "0.0", NULL, 0, 1e6, "1",
     "Largest random translation along each axis. For each task, the function is translated by a "
     "vector in [-shift, shift]^n.",
     WL_SLOT(test_function, shift)},
    {"spread", WL_OPT_REAL, "4.0", NULL, 0, 1e6, "1",
     "The starting point of each variable is uniform in [-spread, spread].", WL_SLOT(test_function, spread)},
    {0}};

/* Returns cos 2 pi z. */
static wl_node waves(wl_tape *t, wl_node z) { return wl_op_cos(t, wl_op_scale(t, z, 2 * M_PI)); }

static wl_node rastrigin(wl_tape *t, wl_node z, int64_t n) {
  const wl_node bowl = wl_op_sum(t, wl_op_square(t, z));
  const wl_node ripple = wl_op_scale(t, wl_op_sum(t, waves(t, z)), -10.0);
  return wl_op_shift(t, wl_op_add(t, bowl, ripple), 10.0 * (double)n);
}

static wl_node ackley(wl_tape *t, wl_node z, int64_t n) {
  (void)n;
  const wl_node distance = wl_op_sqrt(t, wl_op_mean(t, wl_op_square(t, z)));
  const wl_node funnel = wl_op_scale(t, wl_op_exp(t, wl_op_scale(t, distance, -0.2)), -20.0);
  const wl_node ripple = wl_op_exp(t, wl_op_mean(t, waves(t, z)));
  return wl_op_shift(t, wl_op_sub(t, funnel, ripple), 20.0 + M_E);
}

/* Returns sum (c - z + z p)^2 = sum (c + z (p - 1))^2. */
static wl_node beale_term(wl_tape *t, double c, wl_node z, wl_node p) {
  const wl_node product = wl_op_mul(t, z, wl_op_shift(t, p, -1.0));
  return wl_op_sum(t, wl_op_square(t, wl_op_shift(t, product, c)));
}

static wl_node beale(wl_tape *t, wl_node z, int64_t n) {
  const wl_node pairs = wl_op_reshape(t, z, 2, (const int64_t[]){n / 2, 2});
  const wl_node x = wl_op_column(t, pairs, 0), y = wl_op_column(t, pairs, 1);
  const wl_node y2 = wl_op_square(t, y), y3 = wl_op_mul(t, y2, y);
  return wl_op_add(t, beale_term(t, 1.5, x, y),
                   wl_op_add(t, beale_term(t, 2.25, x, y2), beale_term(t, 2.625, x, y3)));
}

static wl_node rosenbrock(wl_tape *t, wl_node z, int64_t n) {
  const wl_node row = wl_op_reshape(t, z, 2, (const int64_t[]){1, n});
  const wl_node head = wl_op_columns(t, row, 0, n - 1), tail = wl_op_columns(t, row, 1, n - 1);
  const wl_node wall = wl_op_square(t, wl_op_sub(t, tail, wl_op_square(t, head)));
  const wl_node floor = wl_op_square(t, wl_op_shift(t, head, -1.0));
  return wl_op_sum(t, wl_op_add(t, wl_op_scale(t, wall, 100.0), floor));
}

static wl_node styblinski_tang(wl_tape *t, wl_node z, int64_t n) {
  const double least = -39.166165703771415; /* least value of (z^4 - 16 z^2 + 5 z) / 2 */
  const wl_node square = wl_op_square(t, z);
  const wl_node even = wl_op_mul(t, square, wl_op_shift(t, square, -16.0));
  const wl_node sum = wl_op_sum(t, wl_op_add(t, even, wl_op_scale(t, z, 5.0)));
  return wl_op_shift(t, wl_op_scale(t, sum, 0.5), -least * (double)n);
}

static const struct {
  const char *name;
  wl_node (*build)(wl_tape *t, wl_node z, int64_t n);
} functions[] = {{"rastrigin", rastrigin},
                 {"ackley", ackley},
                 {"beale", beale},
                 {"rosenbrock", rosenbrock},
                 {"styblinski-tang", styblinski_tang}};

static wl_status build(test_function *f, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  f->place = wl_tape_input(t, "place", 1, &f->dimension);
  const wl_node z = wl_op_sub(t, wl_tape_theta(t, "x", 1, &f->dimension), f->place);
  return wl_tape_finish(t, functions[f->function].build(t, z, f->dimension), -1, -1);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  (void)seed; /* `seed` is unused, because random numbers are drawn only for an episode */
  test_function *f = NULL;
  WL_TRY(WL_NEW(f, 1));
  task->impl = f;
  wl_map_read(map, options, f);
  if (f->function == ROSENBROCK && f->dimension < 2)
    return wl_map_fail(map, "dimension", "`function: rosenbrock` needs at least two variables");
  if (f->function == BEALE && f->dimension % 2)
    return wl_map_fail(map, "dimension", "the number %lld is odd, but `function: beale` needs an "
                                         "even number of variables",
                       (long long)f->dimension);
  WL_TRY(build(f, task));
  task->n = f->dimension;
  return WL_OK;
}

static void destroy(wl_task *task) { wl_free(task->impl); }

static void bind(const wl_task *task, const wl_episode *episode, const void *draw,
                 wl_tape_ws *tape_ws) {
  (void)draw;
  const test_function *f = task->impl;
  wl_rng_uniform(wl_episode_stream(episode, WL_FOR_TASK, 0), 0, task->n, -f->shift, f->shift,
                 wl_tape_input_data(tape_ws, f->place));
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const test_function *f = task->impl;
  wl_rng_uniform(wl_episode_stream(episode, WL_FOR_THETA0, 0), 0, task->n, -f->spread, f->spread,
                 theta);
  return WL_OK;
}

const wl_task_family wl_task_test_function = {
    .name = "test-function",
    .summary =
        "the function of Rastrigin, Ackley, Beale, Rosenbrock, or Styblinski and Tang, shifted by "
        "a random vector",
    .options = options,
    .create = create,
    .destroy = destroy,
    .bind = bind,
    .theta0 = theta0,
};
