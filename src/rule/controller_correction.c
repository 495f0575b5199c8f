/* controller_correction.c - computes the adjoint of the network that corrects the update of each
 * coordinate in the rule `controller`. All values are in double precision.
 *
 * controller.c and controller_adjoint.c define the symbols. Let i = 1 / (sqrt v + e), and let u be
 * the update before the correction. A prime marks a new value. The corrected update u' is
 *
 *   u' = u exp(3 tanh(o / 3)),   o = w h + b,   y = (g i, M i, S i, 2x - 1)
 *   mlp:  h = tanh(W y + c)
 *   lstm: (a, d, f, q) = W (y, h_old) + c,   c' = sigmoid(f + 1) c_old + sigmoid(a) tanh d,   h = sigmoid(q) tanh c'
 *
 * Each coordinate has a separate state and does not depend on other coordinates. */
#include <string.h>

#include "rule/controller_impl.h"

enum { UNITS = WL_CORRECTION_UNITS, OWN = WL_CORRECTION_INPUTS, MOST_INPUTS = OWN + UNITS };

/* Pointers to the correction's layers in phi, and the values of one coordinate. */
typedef struct network {
  bool lstm;
  int rows, inputs;
  const double *weight, *bias, *head;
  double *weight_bar, *bias_bar, *head_bar;
  double y[MOST_INPUTS], z[4 * UNITS], c_old[UNITS], c_tanh[UNITS], h[UNITS], o;
} network;

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static network network_of(const wl_controller *c, const double *phi, double *phi_grad) {
  network n = {.lstm = c->correction == CORRECTED_BY_LSTM};
  n.rows = UNITS * (n.lstm ? 4 : 1);
  n.inputs = OWN + (n.lstm ? UNITS : 0);
  const int64_t bias = c->correct + n.rows * n.inputs, head = bias + n.rows;
  n.weight = phi + c->correct;
  n.bias = phi + bias;
  n.head = phi + head;
  n.weight_bar = phi_grad + c->correct;
  n.bias_bar = phi_grad + bias;
  n.head_bar = phi_grad + head;
  return n;
}

/* Computes z, h and o from y. If the network is an LSTM, z contains the gates. Otherwise, the
 * network is an mlp, and z contains the pre-activations. */
static void forward(network *n) {
  n->o = n->head[UNITS];
  for (int r = 0; r < n->rows; r++) {
    n->z[r] = n->bias[r];
    for (int k = 0; k < n->inputs; k++) n->z[r] += n->weight[r * n->inputs + k] * n->y[k];
  }
  for (int k = 0; k < UNITS; k++) {
    double *const z = n->z + k;
    if (n->lstm) {
      z[0] = sigmoid(z[0]);
      z[UNITS] = tanh(z[UNITS]);
      z[2 * UNITS] = sigmoid(z[2 * UNITS] + 1);
      z[3 * UNITS] = sigmoid(z[3 * UNITS]);
      n->c_tanh[k] = tanh(z[2 * UNITS] * n->c_old[k] + z[0] * z[UNITS]);
    }
    n->h[k] = n->lstm ? z[3 * UNITS] * n->c_tanh[k] : tanh(z[0]);
    n->o += n->head[k] * n->h[k];
  }
}

/* Computes the adjoints of the pre-activations of unit k from the adjoints of the unit's h and c'.
 * Returns the adjoint of the unit's old c. */
static double unit_bar(const network *n, int k, double h_bar, double c_bar, double *z_bar) {
  if (!n->lstm) {
    z_bar[k] = h_bar * (1 - n->h[k] * n->h[k]);
    return 0;
  }
  const double a = n->z[k], d = n->z[UNITS + k], f = n->z[2 * UNITS + k], q = n->z[3 * UNITS + k],
               c = n->c_tanh[k];
  c_bar += h_bar * q * (1 - c * c);
  z_bar[k] = c_bar * d * a * (1 - a);
  z_bar[UNITS + k] = c_bar * a * (1 - d * d);
  z_bar[2 * UNITS + k] = c_bar * n->c_old[k] * f * (1 - f);
  z_bar[3 * UNITS + k] = h_bar * c * q * (1 - q);
  return c_bar * f;
}

/* Adds the adjoints of the hidden layer's weights and biases to phi_grad, and computes the adjoints
 * of y. */
static void layer_bar(const network *n, const double *z_bar, double *y_bar) {
  for (int k = 0; k < n->inputs; k++) y_bar[k] = 0;
  for (int r = 0; r < n->rows; r++) {
    n->bias_bar[r] += z_bar[r];
    for (int k = 0; k < n->inputs; k++) {
      n->weight_bar[r * n->inputs + k] += z_bar[r] * n->y[k];
      y_bar[k] += z_bar[r] * n->weight[r * n->inputs + k];
    }
  }
}

/* Computes all adjoints from the adjoint of o. For an LSTM, `mu` contains the adjoints of the new h
 * and c. The function replaces the adjoints of the new h and c in `mu` by the adjoints of the old h
 * and c. */
static void backward(const network *n, double o_bar, wl_real *mu, int64_t stride, double *y_bar) {
  double z_bar[4 * UNITS];
  n->head_bar[UNITS] += o_bar;
  for (int k = 0; k < UNITS; k++) {
    wl_real *const h = mu + k * stride, *const c = mu + (UNITS + k) * stride;
    n->head_bar[k] += o_bar * n->h[k];
    const double h_bar = o_bar * n->head[k] + (n->lstm ? (double)*h : 0);
    const double c_old_bar = unit_bar(n, k, h_bar, n->lstm ? (double)*c : 0, z_bar);
    if (n->lstm) *c = (wl_real)c_old_bar;
  }
  layer_bar(n, z_bar, y_bar);
  for (int k = 0; n->lstm && k < UNITS; k++) mu[k * stride] = (wl_real)y_bar[OWN + k];
}

void wl_controller_correction_bar(const wl_controller_correcting *at, int64_t i, const double y[3],
                                  double u, double corrected_bar, double bar[4]) {
  const wl_correction *const net = at->net;
  network n = network_of(at->c, at->phi, at->phi_grad);
  double y_bar[MOST_INPUTS];
  memcpy(n.y, y, 3 * sizeof *y);
  n.y[3] = (double)net->time;
  for (int k = 0; n.lstm && k < UNITS; k++) {
    n.y[OWN + k] = (double)net->in[k * net->stride + i];
    n.c_old[k] = (double)net->in[(UNITS + k) * net->stride + i];
  }
  forward(&n);
  const double squash = tanh(n.o / 3), factor = exp(3 * squash);
  backward(&n, corrected_bar * u * factor * (1 - squash * squash), at->mu + i, net->stride, y_bar);
  bar[0] = corrected_bar * factor;
  memcpy(bar + 1, y_bar, 3 * sizeof *y_bar);
}
