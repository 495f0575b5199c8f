/* test_lstm_torch.c - compares the LSTM rule with PyTorch in float64 (tests/reference/lstm_reference.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "reference/lstm_values.h"
#include "unit/lstm_fixture.h"

#ifdef WL_DOUBLE
static const double tolerance = 1e-13;
#else
static const double tolerance = 5e-6;
#endif

typedef struct expected {
  lstm_case shape;
  const double *u, *after, *phi_grad, *gbar, *mu, *lam;
} expected;

static const expected all[] = {
    {{WL_LSTM_RAW, 2, {20, 20}, 20, 20, 0},
     raw_u,
     raw_after,
     raw_phi_grad,
     raw_gbar,
     raw_mu,
     raw_lam},
    {{WL_LSTM_LOG, 2, {5, 3}, 7, 6, 0}, log_u, log_after, log_phi_grad, log_gbar, log_mu, log_lam},
    {{WL_LSTM_PAPER, 3, {4, 1, 6}, 18, 5, 0},
     paper_u,
     paper_after,
     paper_phi_grad,
     paper_gbar,
     paper_mu,
     paper_lam},
    {{WL_LSTM_LOG, 2, {6, 5}, 17, 6, 0.9},
     nesterov_u,
     nesterov_after,
     nesterov_phi_grad,
     nesterov_gbar,
     nesterov_mu,
     nesterov_lam},
};

/* Returns the same exact fraction in [-spread, spread) as lstm_reference.py. */
static wl_real uniform(uint64_t seed, int64_t i, double spread) {
  const uint64_t bits = (uint64_t)(i + 1) * (2 * seed + 1) * 2654435761u % 4294967296u;
  return (wl_real)((2 * ((double)bits / 4294967296.0) - 1) * spread);
}

/* Returns the position of a column of a coordinate in an array of blocks that have `width` rows. */
static int64_t place(int64_t coordinate, int64_t column, int64_t width) {
  return (coordinate / WL_LANES * width + column) * WL_LANES + coordinate % WL_LANES;
}

static void fill_like_script(lstm_fixture *f) {
  const int64_t n = f->n, width = f->net.width;
  for (int64_t i = 0; i < f->net.parameters; i++) f->phi[i] = uniform(1, i, 0.5);
  for (int64_t k = 0; k < f->steps; k++) {
    f->weight[k] = 0.5 + 0.0625 * (double)k;
    for (int64_t i = 0; i < n; i++) {
      f->g[k * f->lanes + i] = uniform(2, k * n + i, ldexp(1, -(int)((k * n + i) % 23)));
      f->loss_grad[k * f->lanes + i] = uniform(6, k * n + i, 1);
    }
  }
  for (int64_t i = 0; i < n; i++) {
    f->lam0[i] = uniform(4, i, 1);
    for (int64_t c = 0; c < width; c++) {
      f->state[place(i, c, width)] = uniform(3, i * width + c, 0.5);
      f->mu0[place(i, c, width)] = uniform(5, i * width + c, 0.5);
    }
  }
}

/* Fails the test if the Euclidean distance |a - b| over n coordinates and `width` columns is larger than tolerance
 * |b|. */
static void compare(const char *what, const wl_real *a, const double *b, int64_t n, int64_t width) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < width; c++) {
      const double x = (double)a[place(i, c, width)], y = b[i * width + c];
      difference += (x - y) * (x - y);
      norm += y * y;
    }
  if (!(sqrt(difference) <= tolerance * sqrt(norm)))
    fail_msg("%s: relative error %.3g > %.3g", what, sqrt(difference / norm), tolerance);
}

/* Compares each tensor of phi separately: first the weights and biases of the layers, then the weights and biases of
 * the output. */
static void compare_phi(const lstm_fixture *f, const double *b) {
  const wl_lstm_net *net = &f->net;
  int64_t edges[2 * WL_LSTM_MAX_LAYERS + 3], count = 0;
  for (int l = 0; l < net->layers; l++) {
    edges[count++] = net->layer[l].weight;
    edges[count++] = net->layer[l].bias;
  }
  edges[count++] = net->head_weight;
  edges[count++] = net->head_bias;
  edges[count] = net->parameters;
  for (int64_t e = 0; e < count; e++) {
    double difference = 0, norm = 0;
    for (int64_t p = edges[e]; p < edges[e + 1]; p++) {
      difference += (f->phi_grad[p] - b[p]) * (f->phi_grad[p] - b[p]);
      norm += b[p] * b[p];
    }
    if (!(sqrt(difference) <= tolerance * sqrt(norm)))
      fail_msg("tensor %d of phi: relative error %.3g > %.3g", (int)e, sqrt(difference / norm),
               tolerance);
  }
}

static void agrees_with_torch(void **context) {
  (void)context;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    lstm_fixture f;
    lstm_fixture_create(&f, &all[i].shape, 0.5);
    fill_like_script(&f);
    lstm_fixture_forward(&f, 1, true);
    for (int64_t k = 0; k < f.steps; k++)
      compare("u", f.u + k * f.lanes, all[i].u + k * f.n, f.n, 1);
    compare("state", f.after, all[i].after, f.n, f.net.width);
    lstm_fixture_backward(&f, 1, true);
    for (int64_t k = 0; k < f.steps; k++)
      compare("gbar", f.gbar + k * f.lanes, all[i].gbar + k * f.n, f.n, 1);
    compare("mu", f.mu, all[i].mu, f.n, f.net.width);
    compare("lam", f.lam, all[i].lam, f.n, 1);
    compare_phi(&f, all[i].phi_grad);
    lstm_fixture_destroy(&f);
  }
}

static int run(const char *isa) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_torch)};
  return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

int main(void) { return lstm_fixture_each_isa(run); }
