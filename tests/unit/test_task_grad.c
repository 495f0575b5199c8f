/* test_task_grad.c - compares gradients and Hessian-vector products of every task family with central differences, in
 * float64.
 *
 *   <grad, v> = (L(theta + h v) - L(theta - h v)) / 2h                for several v, including the sign
 *   H v       = (grad(theta + h v) - grad(theta - h v)) / 2h          and <u, H v> = <v, H u> */
#include "glyphs_fixture.h"

static const char *const cases[] = {
    "{family: quadratic, dimension: 4, batch: 3, distribution: gaussian}",
    "{family: quadratic, dimension: 5, batch: 2, distribution: uniform}",
    "{family: mlp, widths: [5, 4], batch: 6, activation: sigmoid}",
    "{family: mlp, widths: [5, 4], batch: 6, activation: tanh, loss_scale: 3.5}",
    "{family: mlp, widths: [5], batch: 6, activation: relu}",
    "{family: mlp, widths: [5, 4, 3], batch: 6, activation: elu}",
    "{family: mlp, widths: [], batch: 6}",
    "{family: mlp, widths: [5], batch: 6, activation: tanh, reparametrise: global, reparametrise_range: [0.3, 0.5], "
    "loss_scale: {log_uniform: [0.1, 10]}, gradient_noise: 0.3}",
    "{family: mlp, widths: [5], batch: 6, activation: tanh, reparametrise: tensor, reparametrise_range: [0.5, 2]}",
    "{family: mlp, widths: [5], batch: 6, activation: tanh, reparametrise: parameter, reparametrise_range: [0.5, 2], "
    "scale_jitter: 1, gradient_noise: {uniform: [0.1, 0.2]}}",
    "{family: mlp, widths: [5, 4], batch: 6, activation: gelu, normalisation: layer, side: 5}",
    "{family: mlp, widths: [5, 4], batch: 6, activation: tanh, normalisation: batch}",
    "{family: autoencoder, widths: [5, 3, 5], batch: 6, activation: tanh, normalisation: layer, data: digits}",
    "{family: language-model, cell: vanilla, embedding: 3, hidden: 4, length: 5, batch: 3}",
    "{family: language-model, cell: gru, embedding: 3, hidden: 4, length: 5, batch: 3}",
    "{family: language-model, cell: lstm, embedding: 3, hidden: 4, length: 5, batch: 3}",
    "{family: transformer, width: 6, heads: 2, hidden: 5, length: 5, batch: 3}",
    "{family: logistic, dimension: 6, samples: 32, batch: 8}",
    "{family: logistic, dimension: 4, classes: 4, samples: 32, batch: 8, l2: 0.3}",
    "{family: rosenbrock, dimension: 5}",
    "{family: rosenbrock, dimension: 6, coupling: pairs, curvature: 10}",
    "{family: test-function, dimension: 5, shift: 1}",
    "{family: test-function, function: ackley, dimension: 5, shift: 1}",
    "{family: test-function, function: beale, dimension: 6, shift: 1}",
    "{family: test-function, function: rosenbrock, dimension: 5, shift: 1}",
    "{family: test-function, function: styblinski-tang, dimension: 5, shift: 1}",
    "{family: sinusoid, shots: 5, query: 7, activation: tanh, widths: [6, 5]}",
    "{family: sinusoid, frequency: varying, shots: 10, widths: [6, 5]}",
    "{family: mountain}",
    "{family: conv, filters: [2, 3], batch: 5, activation: tanh}",
    "{family: conv, filters: [2, 3], batch: 5, activation: tanh, pooling: average}",
    "{family: conv, filters: [2], batch: 5, activation: elu, order: pool-norm-act, widths: [4]}",
    "{family: conv, filters: [2], batch: 5, activation: sigmoid, order: act-pool-norm, "
    "initialisation: normal}",
    "{family: conv, filters: [3, 2], batch: 5, batch_norm: false, activation: tanh, kernel: 5}",
    "{family: conv, filters: [3, 2], batch: 5, layer_norm: true, activation: gelu, pooling: none, strides: [2, 1], "
    "features: mean, order: act-pool-norm, widths: [4]}",
    "{family: omniglot, file: tiny.glyphs, ways: 5, shots: 4, query: 2, batch: 5, alphabets: 2, test_alphabets: 1, "
    "filters: [2, 3], activation: tanh}",
    "{family: omniglot, file: tiny.glyphs, protocol: few-shot, ways: 3, shots: 2, query: 4, filters: [2], "
    "activation: tanh}",
};
enum { CASES = sizeof cases / sizeof *cases, DIRECTIONS = 6 };

static const double STEP = 1e-5;

static double dot(const wl_real *a, const wl_real *b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* Draws the direction with the number k and the length 1. `which` selects one of the two directions u and v. */
static void direction(int k, uint64_t which, int64_t n, wl_real *v) {
  wl_rng_normal(
      (wl_stream){.seed = 3, .purpose = WL_FOR_PROBE, .index = (uint64_t)k, .step = which}, 0, n,
      1.0, v);
  const double norm = sqrt(dot(v, v, n));
  for (int64_t i = 0; i < n; i++) v[i] /= (wl_real)norm;
}

static void shift(fixture *f, const wl_real *v, double h) {
  for (int64_t i = 0; i < f->n; i++) f->theta[i] += (wl_real)(h * v[i]);
}

static void check_gradient(fixture *f, const wl_batch *batch) {
  wl_task_loss(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, f->grad, NULL);
  const double norm = sqrt(dot(f->grad, f->grad, f->n));
  assert_true(norm > 1e-6);
  for (int k = 0; k < DIRECTIONS; k++) {
    direction(k, 0, f->n, f->v);
    shift(f, f->v, STEP);
    const double above =
        wl_task_loss(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, NULL, NULL);
    shift(f, f->v, -2 * STEP);
    const double below =
        wl_task_loss(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, NULL, NULL);
    shift(f, f->v, STEP);
    assert_close(dot(f->grad, f->v, f->n), (above - below) / (2 * STEP), 1e-7 * norm);
  }
}

/* Stores (grad(theta + h v) - grad(theta - h v)) / 2h in f->grad. */
static void gradient_difference(fixture *f, const wl_batch *batch, const wl_real *v) {
  wl_real *above = NULL;
  assert_ok(WL_NEW(above, f->n));
  shift(f, v, STEP);
  wl_task_loss(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, above, NULL);
  shift(f, v, -2 * STEP);
  wl_task_loss(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, f->grad, NULL);
  shift(f, v, STEP);
  for (int64_t i = 0; i < f->n; i++) f->grad[i] = (above[i] - f->grad[i]) / (wl_real)(2 * STEP);
  wl_free(above);
}

static void check_hvp(fixture *f, const wl_batch *batch) {
  double largest = 0.0;
  for (int k = 0; k < DIRECTIONS; k++) {
    direction(k, 0, f->n, f->v);
    gradient_difference(f, batch, f->v);
    wl_task_hvp(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, f->v, f->hv, NULL);
    const double norm = sqrt(dot(f->hv, f->hv, f->n));
    largest = fmax(largest, norm);
    for (int64_t i = 0; i < f->n; i++) assert_close(f->hv[i], f->grad[i], 1e-7 * norm + 1e-9);
  }
  assert_true(largest > 1e-6);
}

static void check_symmetry(fixture *f, const wl_batch *batch) {
  wl_real *u = f->grad;
  direction(0, 0, f->n, f->v);
  direction(0, 1, f->n, u);
  wl_task_hvp(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, f->v, f->hv, NULL);
  const double u_h_v = dot(u, f->hv, f->n), scale = sqrt(dot(f->hv, f->hv, f->n));
  wl_task_hvp(f->task, f->ws, &(wl_task_point){batch, f->theta, NULL}, u, f->hv, NULL);
  assert_close(dot(f->v, f->hv, f->n), u_h_v, 1e-12 * scale);
}

static void test_derivatives(void **state) {
  fixture f = open_fixture(*state);
  const wl_batch inner = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 3},
                 outer = {WL_FOR_OUTER_BATCH, WL_SPLIT_HELDOUT, 4};
  check_gradient(&f, &inner);
  check_gradient(&f, &outer);
  check_hvp(&f, &inner);
  check_symmetry(&f, &outer);
  close_fixture(&f);
}

int main(void) {
  install_glyphs();
  struct CMUnitTest tests[CASES];
  for (int i = 0; i < CASES; i++)
    tests[i] = (struct CMUnitTest){
        .name = cases[i], .test_func = test_derivatives, .initial_state = (void *)cases[i]};
  return _cmocka_run_group_tests("task derivatives", tests, CASES, NULL, NULL);
}
