/* lstm_reference.c - implements the coordinatewise LSTM by simple loops, which process one coordinate at a time.
 *
 * Forward pass of a layer, with inputs x, state h and c, and pre-activations z in gate order i, j, f, o:
 *   z = W [x; h] + b;  c' = sigmoid(z_f + forget_bias) c + sigmoid(z_i) tanh(z_j);  h' = sigmoid(z_o) tanh(c')
 * Backward pass of a layer from the adjoints dh and dc of its outputs, where i, j, f, o are the values of the gates:
 *   dc += dh o (1 - tanh(c')^2)
 *   dz_i = dc j i (1-i);  dz_j = dc i (1-j^2);  dz_f = dc c f (1-f);  dz_o = dh tanh(c') o (1-o)
 *   dW += dz [x; h]^T;  db += dz;  [dx; dh] = W^T dz;  dc = dc f
 * With momentum b, V' = b V + g. The inputs of the network are computed from g and from (1 - b) V', and the update is
 * u = output_scale o_1 - rate e^o_2 (g + b V').
 *
 * All computations are in double precision, even if wl_real is float. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rule/lstm_net.h"

enum { MAX_UNITS = WL_LSTM_MAX_LAYERS * WL_LSTM_MAX_HIDDEN };

/* Contains the values of one step of one coordinate that the backward pass uses. In each array, the units of all layers
 * are stored one after another. */
typedef struct step_tape {
  double x[4], slope[4];             /* inputs x of the network, and their derivatives dx/dg */
  double sum, rate;                  /* V', and rate e^o_2 */
  double gate[4][MAX_UNITS];         /* i, j, f, o */
  double h[MAX_UNITS], c[MAX_UNITS]; /* h and c after the step */
} step_tape;

typedef struct reference_scratch {
  step_tape tape[WL_CHUNK_STEPS + 1]; /* element 0 contains the state before the first step */
  double dh[MAX_UNITS], dc[MAX_UNITS], dsum;
  double dz[4 * WL_LSTM_MAX_HIDDEN];
} reference_scratch;

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Computes the inputs x [channels] of the network from the gradient g, and the derivatives dx/dg. */
static void preprocess(const wl_lstm_net *net, double g, double *x, double *slope) {
  const double k = (double)net->strength, grow = exp(k), s = (double)net->gradient_scale;
  const double v = s * g, magnitude = fabs(v), sign = v < 0 ? -1 : 1;
  if (net->input == WL_LSTM_RAW) {
    x[0] = v;
    slope[0] = s;
  } else if (net->input == WL_LSTM_LOG) {
    const double raw = log(magnitude + WL_LSTM_LOG_EPSILON) / k;
    x[0] = raw > -1 ? raw : -1;
    slope[0] = raw > -1 ? s * sign / (k * (magnitude + WL_LSTM_LOG_EPSILON)) : 0;
    x[1] = clamp(v * grow, -1, 1);
    slope[1] = fabs(v * grow) < 1 ? s * grow : 0;
  } else {
    const int large = magnitude >= exp(-k);
    x[0] = large ? log(magnitude) / k : -1;
    slope[0] = large ? s / (k * v) : 0;
    x[1] = large ? sign : grow * v;
    slope[1] = large ? 0 : s * grow;
  }
}

/* Computes the inputs of the network from g and from V, the running sum of the previous step. Also computes the
 * derivatives of the inputs with respect to g and V'. */
static void read_gradient(const wl_lstm_net *net, double g, const step_tape *prev,
                          step_tape *next) {
  preprocess(net, g, next->x, next->slope);
  if (net->heads == 1) return;
  const double b = (double)net->momentum;
  next->sum = b * prev->sum + g;
  preprocess(net, (1 - b) * next->sum, next->x + net->channels, next->slope + net->channels);
  for (int64_t c = 0; c < net->channels; c++) next->slope[net->channels + c] *= 1 - b;
}

static double direction(const wl_lstm_net *net, double g, double sum) {
  return g + (double)net->momentum * sum;
}

static double head(const wl_lstm_net *net, const wl_real *phi, int64_t index, const double *h) {
  const int64_t H = net->layer[net->layers - 1].hidden;
  const wl_real *w = phi + net->head_weight + index * H;
  double sum = (double)phi[net->head_bias + index];
  for (int64_t j = 0; j < H; j++) sum += (double)w[j] * h[j];
  return sum;
}

static double preactivation(const wl_lstm_layer *l, const wl_real *phi, int64_t row,
                            const double *x, const double *h) {
  const wl_real *w = phi + l->weight + row * (l->in + l->hidden);
  double z = (double)phi[l->bias + row];
  for (int64_t k = 0; k < l->in; k++) z += (double)w[k] * x[k];
  for (int64_t k = 0; k < l->hidden; k++) z += (double)w[l->in + k] * h[k];
  return z;
}

/* Computes one step of one coordinate. `prev` contains the state before the step, and `next` receives the state after
 * it; next->x and next->sum must already be set. Returns u. */
static double forward(const wl_lstm_net *net, const wl_real *phi, double g, const step_tape *prev,
                      step_tape *next) {
  const double *x = next->x;
  int64_t at = 0;
  for (int i = 0; i < net->layers; i++) {
    const wl_lstm_layer *l = &net->layer[i];
    const double *h = prev->h + at;
    for (int64_t j = 0; j < l->hidden; j++) {
      const int64_t H = l->hidden, unit = at + j;
      const double in = sigmoid(preactivation(l, phi, j, x, h));
      const double candidate = tanh(preactivation(l, phi, H + j, x, h));
      const double forget =
          sigmoid(preactivation(l, phi, 2 * H + j, x, h) + (double)net->forget_bias);
      const double out = sigmoid(preactivation(l, phi, 3 * H + j, x, h));
      next->c[unit] = forget * prev->c[unit] + in * candidate;
      next->h[unit] = out * tanh(next->c[unit]);
      const double gate[4] = {in, candidate, forget, out};
      for (int q = 0; q < 4; q++) next->gate[q][unit] = gate[q];
    }
    x = next->h + at;
    at += l->hidden;
  }
  const double u = (double)net->output_scale * head(net, phi, 0, x);
  if (net->heads == 1) return u;
  next->rate = (double)net->rate * exp(head(net, phi, 1, x));
  return u - next->rate * direction(net, g, next->sum);
}

static void load_state(const wl_lstm_net *net, const wl_real *rows, double *h, double *c,
                       double *sum) {
  for (int i = 0; i < net->layers; i++) {
    const wl_lstm_layer *l = &net->layer[i];
    for (int64_t j = 0; j < l->hidden; j++) {
      *h++ = (double)rows[(l->h + j) * WL_LANES];
      *c++ = (double)rows[(l->c + j) * WL_LANES];
    }
  }
  *sum = net->heads > 1 ? (double)rows[net->sum * WL_LANES] : 0;
}

static void store_state(const wl_lstm_net *net, const double *h, const double *c, double sum,
                        wl_real *rows) {
  for (int i = 0; i < net->layers; i++) {
    const wl_lstm_layer *l = &net->layer[i];
    for (int64_t j = 0; j < l->hidden; j++) {
      rows[(l->h + j) * WL_LANES] = (wl_real)*h++;
      rows[(l->c + j) * WL_LANES] = (wl_real)*c++;
    }
  }
  if (net->heads > 1) rows[net->sum * WL_LANES] = (wl_real)sum;
}

/* Computes dz, the adjoint of the pre-activations of one layer, from the adjoints dh and dc of the outputs of this
 * layer. Replaces dc by the adjoint of the cell before the step. */
static void layer_dz(const wl_lstm_layer *l, int64_t at, const step_tape *prev,
                     const step_tape *next, reference_scratch *s) {
  const int64_t H = l->hidden;
  for (int64_t j = 0; j < H; j++) {
    const int64_t unit = at + j;
    const double i = next->gate[0][unit], g = next->gate[1][unit];
    const double f = next->gate[2][unit], o = next->gate[3][unit];
    const double tc = tanh(next->c[unit]), dh = s->dh[unit];
    const double dc = s->dc[unit] + dh * o * (1 - tc * tc);
    s->dz[j] = dc * g * i * (1 - i);
    s->dz[H + j] = dc * i * (1 - g * g);
    s->dz[2 * H + j] = dc * prev->c[unit] * f * (1 - f);
    s->dz[3 * H + j] = dh * tc * o * (1 - o);
    s->dc[unit] = dc * f;
  }
}

/* Adds dz [x; h]^T to grad and W_x^T dz to dx, and sets dh to W_h^T dz. */
static void layer_products(const wl_lstm_layer *l, const wl_real *phi, const double *x,
                           const double *h, const double *dz, double *dx, double *dh,
                           double *grad) {
  const int64_t columns = l->in + l->hidden;
  memset(dh, 0, (size_t)l->hidden * sizeof *dh);
  for (int64_t r = 0; r < 4 * l->hidden; r++) {
    const wl_real *w = phi + l->weight + r * columns;
    double *dw = grad + l->weight + r * columns;
    for (int64_t k = 0; k < l->in; k++) {
      dw[k] += dz[r] * x[k];
      dx[k] += (double)w[k] * dz[r];
    }
    for (int64_t k = 0; k < l->hidden; k++) {
      dw[l->in + k] += dz[r] * h[k];
      dh[k] += (double)w[l->in + k] * dz[r];
    }
    grad[l->bias + r] += dz[r];
  }
}

/* Runs the backward pass of the output with the number `index`, whose adjoint is d. h and dh are the arrays of the
 * last hidden layer. */
static void head_reverse(const wl_lstm_net *net, const wl_real *phi, int64_t index, double d,
                         const double *h, double *dh, double *grad) {
  const int64_t H = net->layer[net->layers - 1].hidden, weight = net->head_weight + index * H;
  for (int64_t j = 0; j < H; j++) {
    dh[j] += d * (double)phi[weight + j];
    grad[weight + j] += d * h[j];
  }
  grad[net->head_bias + index] += d;
}

/* Runs the backward pass of one step. Replaces s->dh and s->dc, the adjoints of the state after the step, by the
 * adjoints of the state before the step. Also computes the adjoint dx of the inputs. */
static void reverse(const wl_lstm_net *net, const wl_real *phi, double g, const step_tape *prev,
                    const step_tape *next, double du, reference_scratch *s, double dx[4],
                    double *grad) {
  int64_t at = 0;
  for (int i = 0; i < net->layers - 1; i++) at += net->layer[i].hidden;
  head_reverse(net, phi, 0, (double)net->output_scale * du, next->h + at, s->dh + at, grad);
  if (net->heads > 1)
    head_reverse(net, phi, 1, -du * next->rate * direction(net, g, next->sum), next->h + at,
                 s->dh + at, grad);
  memset(dx, 0, 4 * sizeof *dx);
  for (int i = net->layers - 1; i >= 0; i--) {
    const wl_lstm_layer *l = &net->layer[i];
    const int64_t below = i > 0 ? at - net->layer[i - 1].hidden : 0;
    layer_dz(l, at, prev, next, s);
    layer_products(l, phi, i > 0 ? next->h + below : next->x, prev->h + at, s->dz,
                   i > 0 ? s->dh + below : dx, s->dh + at, grad);
    at = below;
  }
}

/* Returns the adjoint of g, computed from the adjoints of the inputs and of the update. Replaces s->dsum, which is the
 * adjoint of V', by the adjoint of V. */
static double gradient_reverse(const wl_lstm_net *net, const step_tape *next, double du,
                               const double dx[4], reference_scratch *s) {
  const int64_t channels = net->through_inputs ? net->channels : 0;
  double gbar = 0;
  for (int64_t c = 0; c < channels; c++) gbar += next->slope[c] * dx[c];
  if (net->heads == 1) return gbar;
  const double b = (double)net->momentum;
  s->dsum -= b * next->rate * du;
  for (int64_t c = channels; c < 2 * channels; c++) s->dsum += next->slope[c] * dx[c];
  gbar += s->dsum - next->rate * du;
  s->dsum *= b;
  return gbar;
}

/* Runs the forward pass and the backward pass of one coordinate over a chunk. `at` is the position of the coordinate
 * in the arrays of all lanes. */
static void coordinate_backward(const wl_lstm_net *net, const wl_real *phi, reference_scratch *s,
                                const wl_rule_chunk *k, int64_t at, double *grad) {
  const int64_t n = WL_LANES * k->blocks,
                row = at / WL_LANES * WL_LANES * net->width + at % WL_LANES;
  load_state(net, k->state + row, s->tape[0].h, s->tape[0].c, &s->tape[0].sum);
  load_state(net, k->mu + row, s->dh, s->dc, &s->dsum);
  for (int64_t t = 0; t < k->steps; t++) {
    const double g = (double)k->g[t * n + at];
    read_gradient(net, g, &s->tape[t], &s->tape[t + 1]);
    forward(net, phi, g, &s->tape[t], &s->tape[t + 1]);
  }
  double lam = (double)k->lam[at];
  for (int64_t t = k->steps - 1; t >= 0; t--) {
    double dx[4];
    reverse(net, phi, (double)k->g[t * n + at], &s->tape[t], &s->tape[t + 1], lam, s, dx, grad);
    if (k->gbar) k->gbar[t * n + at] = (wl_real)gradient_reverse(net, &s->tape[t + 1], lam, dx, s);
    if (k->loss_grad) lam += k->loss_weight[t] * (double)k->loss_grad[t * n + at];
  }
  k->lam[at] = (wl_real)lam;
  store_state(net, s->dh, s->dc, s->dsum, k->mu + row);
}

/* ---- The table ------------------------------------------------------------------------------ */

static size_t packed_bytes(const wl_lstm_net *net) {
  return (size_t)net->parameters * sizeof(wl_real);
}

static size_t scratch_bytes(const wl_lstm_net *net) {
  return sizeof(reference_scratch) + (size_t)net->parameters * sizeof(double);
}

static void pack(const wl_lstm_net *net, const wl_real *phi, void *packed) {
  memcpy(packed, phi, packed_bytes(net));
}

/* Returns 0, because the reference kernel stores no activations. */
static int64_t activation_reals(const wl_lstm_net *net) {
  (void)net;
  return 0;
}

static void step(const wl_lstm_net *net, const void *packed, void *scratch,
                 const wl_lstm_step *live) {
  reference_scratch *s = scratch;
  for (int64_t at = 0; at < live->blocks * WL_LANES; at++) {
    const int64_t row = at / WL_LANES * WL_LANES * net->width + at % WL_LANES;
    load_state(net, live->s_in + row, s->tape[0].h, s->tape[0].c, &s->tape[0].sum);
    read_gradient(net, (double)live->g[at], &s->tape[0], &s->tape[1]);
    live->u[at] = (wl_real)forward(net, packed, (double)live->g[at], &s->tape[0], &s->tape[1]);
    store_state(net, s->tape[1].h, s->tape[1].c, s->tape[1].sum, live->s_out + row);
  }
}

static void backward(const wl_lstm_net *net, const void *packed, void *scratch,
                     const wl_rule_chunk *chunk, int64_t first, int64_t count, wl_real *partial) {
  reference_scratch *s = scratch;
  double *grad = (double *)(s + 1);
  memset(grad, 0, (size_t)net->parameters * sizeof *grad);
  for (int64_t at = first * WL_LANES; at < (first + count) * WL_LANES; at++)
    coordinate_backward(net, packed, s, chunk, at, grad);
  for (int64_t p = 0; p < net->parameters; p++) partial[p] = (wl_real)grad[p];
}

extern const wl_lstm_kernel wl_lstm_kernel_reference;
const wl_lstm_kernel wl_lstm_kernel_reference = {
    "reference", packed_bytes, scratch_bytes, activation_reals, pack, step, backward};
