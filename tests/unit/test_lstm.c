/* test_lstm.c - tests the LSTM kernels in float32 and in float64, for each instruction set of this processor. The
 * test compares the kernels with the reference kernel and with central differences. The results must have the same
 * bits with any number of threads, with updates in place, and after a window is recomputed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "unit/lstm_fixture.h"

#ifdef WL_DOUBLE
static const double tolerance = 1e-12;
#else
static const double tolerance = 5e-6;
#endif

static const lstm_case cases[] = {
    {WL_LSTM_RAW, 2, {20, 20}, 1000, 20, 0},   {WL_LSTM_LOG, 2, {20, 20}, 200, 20, 0},
    {WL_LSTM_PAPER, 2, {20, 20}, 200, 20, 0},  {WL_LSTM_RAW, 2, {20, 20}, 1, 20, 0},
    {WL_LSTM_LOG, 1, {7}, 15, 3, 0},           {WL_LSTM_PAPER, 3, {3, 5, 4}, 17, 7, 0},
    {WL_LSTM_RAW, 1, {32}, 17, 20, 0},         {WL_LSTM_LOG, 4, {1, 2, 6, 11}, 1000, 1, 0},
    {WL_LSTM_PAPER, 2, {20, 20}, 300, 1, 0},   {WL_LSTM_RAW, 3, {3, 5, 4}, 300, 6, 0},
    {WL_LSTM_LOG, 2, {20, 20}, 200, 20, 0.9},  {WL_LSTM_RAW, 1, {7}, 33, 3, 0.95},
    {WL_LSTM_PAPER, 3, {3, 5, 4}, 17, 1, 0.5}, {WL_LSTM_LOG, 2, {33, 1}, 31, 4, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Returns |a - b| / |b| in the Euclidean norm. */
static double distance(const wl_real *a, const wl_real *b, int64_t n) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    norm += (double)b[i] * (double)b[i];
  }
  return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

static double distance_double(const double *a, const double *b, int64_t n) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

#define CHECK_CLOSE(value, limit)                                                        \
  do {                                                                                   \
    const double d_ = (value);                                                           \
    if (!(d_ <= (limit))) fail_msg("case %d: %s = %.3g > %.3g", i, #value, d_, (limit)); \
  } while (0)

/* Returns the largest relative difference among the tensors of phi. */
static double worst_tensor(const lstm_fixture *f, const double *a, const double *b) {
  const wl_lstm_net *net = &f->net;
  double worst = distance_double(a + net->head_bias, b + net->head_bias, net->heads);
  worst = fmax(worst, distance_double(a + net->head_weight, b + net->head_weight,
                                      net->head_bias - net->head_weight));
  for (int l = 0; l < net->layers; l++) {
    const int64_t w = net->layer[l].weight, bias = net->layer[l].bias, H = net->layer[l].hidden;
    worst = fmax(worst, distance_double(a + w, b + w, bias - w));
    worst = fmax(worst, distance_double(a + bias, b + bias, 4 * H));
  }
  return worst;
}

/* Compares the number of meta-parameters of an LSTM with two layers of 20 units with the published number. */
static void counts_are_those_published(void **context) {
  (void)context;
  wl_lstm_net net;
  wl_lstm_net_shape(&net, WL_LSTM_RAW, 0, 2, (int64_t[]){20, 20});
  assert_int_equal(net.parameters, 5061);
  wl_lstm_net_shape(&net, WL_LSTM_LOG, 0, 2, (int64_t[]){20, 20});
  assert_int_equal(net.parameters, 5141);
  assert_int_equal(net.width, 80);
}

static void forward_equals_reference(void **context) {
  (void)context;
  for (int i = 0; i < CASES; i++) {
    lstm_fixture fast, slow;
    lstm_fixture_create(&fast, &cases[i], 0.5);
    lstm_fixture_create(&slow, &cases[i], 0.5);
    lstm_fixture_forward(&fast, 1, true);
    lstm_fixture_forward(&slow, 0, true);
    CHECK_CLOSE(distance(fast.u, slow.u, fast.steps * fast.lanes), tolerance);
    CHECK_CLOSE(distance(fast.after, slow.after, fast.lanes * fast.net.width), tolerance);
    lstm_fixture_destroy(&fast);
    lstm_fixture_destroy(&slow);
  }
}

/* Compares the backward pass of each case with the backward pass of the reference kernel. */
static void check_backward(bool through_inputs) {
  for (int i = 0; i < CASES; i++) {
    lstm_fixture fast, slow;
    lstm_fixture_create(&fast, &cases[i], 0.5);
    lstm_fixture_create(&slow, &cases[i], 0.5);
    fast.net.through_inputs = slow.net.through_inputs = through_inputs;
    lstm_fixture_backward(&fast, 1, true);
    lstm_fixture_backward(&slow, 0, true);
    CHECK_CLOSE(worst_tensor(&fast, fast.phi_grad, slow.phi_grad), tolerance);
    CHECK_CLOSE(distance(fast.lam, slow.lam, fast.lanes), tolerance);
    CHECK_CLOSE(distance(fast.mu, slow.mu, fast.lanes * fast.net.width), tolerance);
    CHECK_CLOSE(distance(fast.gbar, slow.gbar, fast.steps * fast.lanes), tolerance);
    lstm_fixture_destroy(&fast);
    lstm_fixture_destroy(&slow);
  }
}

static void backward_equals_reference(void **context) {
  (void)context;
  check_backward(true);
}

/* Tests the backward pass if gbar excludes the derivative through the inputs of the network. */
static void partial_backward_equals_reference(void **context) {
  (void)context;
  check_backward(false);
}

/* No bit of the results may depend on the number of threads, on an update in place, or on a request for gbar. */
static void bits_do_not_depend_on_how(void **context) {
  (void)context;
  for (int i = 0; i < CASES; i++) {
    lstm_fixture a, b;
    lstm_fixture_create(&a, &cases[i], 0.5);
    lstm_fixture_create(&b, &cases[i], 0.5);
    lstm_fixture_forward(&a, 1, true);
    lstm_fixture_forward(&b, 2, false);
    const size_t state = (size_t)(a.lanes * a.net.width) * sizeof(wl_real);
    assert_memory_equal(a.u, b.u, (size_t)(a.steps * a.lanes) * sizeof(wl_real));
    assert_memory_equal(a.after, b.after, state);
    lstm_fixture_backward(&a, 1, true);
    lstm_fixture_backward(&b, 3, false);
    assert_memory_equal(a.phi_grad, b.phi_grad, (size_t)a.net.parameters * sizeof(double));
    assert_memory_equal(a.lam, b.lam, (size_t)a.lanes * sizeof(wl_real));
    /* the comparison excludes the row of the running sum */
    for (int64_t block = 0; block < a.blocks; block++) {
      const int64_t at = block * a.net.width * WL_LANES;
      assert_memory_equal(a.mu + at, b.mu + at, (size_t)(a.net.sum * WL_LANES) * sizeof(wl_real));
    }
    lstm_fixture_destroy(&a);
    lstm_fixture_destroy(&b);
  }
}

/* A recomputed run must have the same bits as the first run. If a chunk is divided at a state of the first run, the
 * adjoints of each coordinate must be the same. The gradient of the weights may differ only because of the order of
 * summation. */
static void replay_equals_live(void **context) {
  (void)context;
  for (int i = 0; i < 3; i++) {
    lstm_fixture whole, cut;
    lstm_fixture_create(&whole, &cases[i], 0.5);
    lstm_fixture_create(&cut, &cases[i], 0.5);
    lstm_fixture_backward(&whole, 1, true);
    lstm_fixture_backward_cut(&cut, 1, 13);
    assert_memory_equal(whole.lam, cut.lam, (size_t)whole.lanes * sizeof(wl_real));
    assert_memory_equal(whole.mu, cut.mu,
                        (size_t)(whole.lanes * whole.net.width) * sizeof(wl_real));
    assert_memory_equal(whole.gbar, cut.gbar,
                        (size_t)(whole.steps * whole.lanes) * sizeof(wl_real));
    CHECK_CLOSE(worst_tensor(&whole, cut.phi_grad, whole.phi_grad), tolerance);
    lstm_fixture_destroy(&whole);
    lstm_fixture_destroy(&cut);
  }
}

static void assert_same_adjoints(const lstm_fixture *a, const lstm_fixture *b) {
  assert_memory_equal(a->lam, b->lam, (size_t)a->lanes * sizeof(wl_real));
  assert_memory_equal(a->mu, b->mu, (size_t)(a->lanes * a->net.width) * sizeof(wl_real));
  assert_memory_equal(a->gbar, b->gbar, (size_t)(a->steps * a->lanes) * sizeof(wl_real));
  assert_memory_equal(a->phi_grad, b->phi_grad, (size_t)a->net.parameters * sizeof(double));
}

/* A backward pass from stored activations must have the same bits as a backward pass from recomputed
 * activations. The test covers one chunk and two chunks. The cases have either few coordinates, whose activations fit
 * into the caches, or 1,000 coordinates. */
static void tape_equals_replay(void **context) {
  (void)context;
  for (int i = 0; i < CASES; i++) {
    lstm_fixture replayed, taped;
    lstm_fixture_create(&replayed, &cases[i], 0.5);
    lstm_fixture_create(&taped, &cases[i], 0.5);
    lstm_fixture_forward(&replayed, 1, true);
    lstm_fixture_backward(&replayed, 1, true);
    lstm_fixture_backward_taped(&taped, 2, taped.steps);
    assert_memory_equal(taped.u, replayed.u, (size_t)(taped.steps * taped.lanes) * sizeof(wl_real));
    assert_memory_equal(taped.after, replayed.after,
                        (size_t)(taped.lanes * taped.net.width) * sizeof(wl_real));
    assert_same_adjoints(&taped, &replayed);
    if (taped.steps > 1) {
      lstm_fixture_backward_cut(&replayed, 1, taped.steps - 1);
      lstm_fixture_backward_taped(&taped, 1, taped.steps - 1);
      assert_same_adjoints(&taped, &replayed);
    }
    lstm_fixture_destroy(&replayed);
    lstm_fixture_destroy(&taped);
  }
}

/* A chunk without the adjoint mu at its end must have the same bits as a chunk in which this adjoint is zero. */
static void no_adjoint_is_zero(void **context) {
  (void)context;
  for (int i = 0; i < CASES; i++) {
    lstm_fixture zero, none;
    lstm_fixture_create(&zero, &cases[i], 0.5);
    lstm_fixture_create(&none, &cases[i], 0.5);
    memset(zero.mu0, 0, (size_t)(zero.lanes * zero.net.width) * sizeof *zero.mu0);
    none.ends_here = true;
    lstm_fixture_backward(&zero, 1, true);
    lstm_fixture_backward(&none, 1, true);
    memcpy(none.mu, zero.mu, (size_t)(zero.lanes * zero.net.width) * sizeof *zero.mu);
    assert_same_adjoints(&zero, &none);
    lstm_fixture_destroy(&zero);
    lstm_fixture_destroy(&none);
  }
}

/* The adjoints of unused lanes must be zero. */
static void padding_adds_nothing(void **context) {
  (void)context;
  lstm_fixture f;
  lstm_fixture_create(&f, &cases[3], 0.5);
  lstm_fixture_backward(&f, 1, true);
  for (int64_t at = f.n; at < f.lanes; at++) {
    assert_true(f.lam[at] == 0);
    for (int64_t k = 0; k < f.steps; k++) assert_true(f.gbar[k * f.lanes + at] == 0);
  }
  lstm_fixture_destroy(&f);
}

/* If a gradient is not finite, the update must not be finite either. */
static void nan_passes_through(void **context) {
  (void)context;
  for (int i = 0; i < 3; i++) {
    lstm_fixture f;
    lstm_fixture_create(&f, &cases[i], 0.5);
    f.g[5] = (wl_real)NAN;
    lstm_fixture_forward(&f, 1, true);
    assert_true(isnan((double)f.u[5]));
    assert_true(isfinite((double)f.u[4]));
    lstm_fixture_destroy(&f);
  }
}

/* Extreme inputs saturate the gates of the LSTM, but all results must be finite. */
static void extremes_stay_finite(void **context) {
  (void)context;
  for (int i = 0; i < 3; i++) {
    lstm_fixture f;
    lstm_fixture_create(&f, &cases[i], 3);
    for (int64_t k = 0; k < f.steps; k++) {
      f.g[k * f.lanes] = (wl_real)1e30;
      f.g[k * f.lanes + 1] = (wl_real)-1e30;
      f.g[k * f.lanes + 2] = 0;
    }
    lstm_fixture_forward(&f, 1, true);
    lstm_fixture_backward(&f, 1, true);
    for (int64_t at = 0; at < f.steps * f.lanes; at++)
      assert_true(isfinite((double)f.u[at]) && isfinite((double)f.gbar[at]));
    for (int64_t p = 0; p < f.net.parameters; p++) assert_true(isfinite(f.phi_grad[p]));
    lstm_fixture_destroy(&f);
  }
}

#ifdef WL_DOUBLE
/* Computes F(phi, g, s) = sum_k u_k lam_{k+1} + mu . s_K. The backward pass of the chunk must compute the gradient of
 * F. Each lam_{k+1} is a constant: lam0 plus the loss terms of the later steps. */
static double objective(lstm_fixture *f) {
  lstm_fixture_forward(f, 1, true);
  double value = 0;
  for (int64_t at = 0; at < f->lanes * f->net.width; at++) value += f->mu0[at] * f->after[at];
  for (int64_t at = 0; at < f->lanes; at++) {
    double lam = f->lam0[at];
    for (int64_t k = f->steps - 1; k >= 0; k--) {
      value += lam * f->u[k * f->lanes + at];
      lam += f->weight[k] * f->loss_grad[k * f->lanes + at];
    }
  }
  return value;
}

/* Returns (F(x + h d) - F(x - h d)) / 2h, where x [n] is an array of the fixture. */
static double difference(lstm_fixture *f, wl_real *x, const wl_real *d, int64_t n, double h) {
  for (int64_t i = 0; i < n; i++) x[i] += h * d[i];
  const double above = objective(f);
  for (int64_t i = 0; i < n; i++) x[i] -= 2 * h * d[i];
  const double below = objective(f);
  for (int64_t i = 0; i < n; i++) x[i] += h * d[i];
  return (above - below) / (2 * h);
}

/* Compares the derivative along one direction, including the sign of the derivative, with central differences. The
 * error must decrease as h^2 until rounding errors are larger. */
static void check_direction(lstm_fixture *f, int i, wl_real *x, int64_t n, double inner,
                            double scale, const wl_real *d) {
  const double coarse = fabs(difference(f, x, d, n, 1e-3 * scale) - inner);
  const double fine = fabs(difference(f, x, d, n, 1e-4 * scale) - inner);
  const double size = fmax(fabs(inner), 1);
  if (!(fine <= 1e-6 * size)) fail_msg("case %d: error %.3g of %.3g", i, fine, inner);
  if (!(fine <= 0.02 * coarse || fine <= 1e-9 * size))
    fail_msg("case %d: error %.3g to %.3g", i, coarse, fine);
}

static void backward_equals_differences(void **context) {
  (void)context;
  static const lstm_case small[] = {{WL_LSTM_RAW, 2, {5, 6}, 17, 4, 0},
                                    {WL_LSTM_LOG, 1, {7}, 5, 5, 0},
                                    {WL_LSTM_PAPER, 3, {3, 5, 4}, 9, 3, 0},
                                    {WL_LSTM_RAW, 2, {5, 6}, 17, 4, 0.9},
                                    {WL_LSTM_LOG, 2, {4, 3}, 5, 5, 0.8}};
  for (int i = 0; i < 5; i++) {
    lstm_fixture f;
    lstm_fixture_create(&f, &small[i], 0.7);
    const int64_t all = f.steps * f.lanes, state = f.lanes * f.net.width;
    lstm_fixture_backward(&f, 1, true);
    for (uint64_t probe = 0; probe < 3; probe++) {
      wl_real *d = NULL;
      assert_int_equal(WL_NEW(d, state + all + f.net.parameters), WL_OK);
      const wl_stream s = {
          .seed = 11, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK, .step = probe};
      wl_rng_normal(s, 0, state + all + f.net.parameters, 1, d);
      double inner = 0;
      for (int64_t p = 0; p < f.net.parameters; p++) inner += d[p] * f.phi_grad[p];
      check_direction(&f, i, f.phi, f.net.parameters, inner, 1, d);
      inner = 0;
      for (int64_t p = 0; p < state; p++) inner += d[p] * f.mu[p];
      check_direction(&f, i, f.state, state, inner, 1, d);
      inner = 0; /* all gradients are multiplied by the same factor, so no gradient crosses a kink */
      for (int64_t p = 0; p < all; p++) inner += (d[p] *= f.g[p]) * f.gbar[p];
      check_direction(&f, i, f.g, all, inner, 0.1, d);
      wl_free(d);
    }
    lstm_fixture_destroy(&f);
  }
}
#endif

static int run(const char *isa) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_are_those_published),
      cmocka_unit_test(forward_equals_reference),
      cmocka_unit_test(backward_equals_reference),
      cmocka_unit_test(partial_backward_equals_reference),
      cmocka_unit_test(bits_do_not_depend_on_how),
      cmocka_unit_test(replay_equals_live),
      cmocka_unit_test(tape_equals_replay),
      cmocka_unit_test(no_adjoint_is_zero),
      cmocka_unit_test(padding_adds_nothing),
      cmocka_unit_test(nan_passes_through),
      cmocka_unit_test(extremes_stay_finite),
#ifdef WL_DOUBLE
      cmocka_unit_test(backward_equals_differences),
#endif
  };
  return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

int main(void) { return lstm_fixture_each_isa(run); }
