/* rnnprop_kernel.c - computes one step of RNNprop and the adjoint of the step (rnnprop_kernel.h).
 * The code processes one vector of coordinates at a time. The file is compiled once for each
 * instruction set. */
#include "rule/rnnprop_kernel.h"

#include "rule/vector.h"

enum { MOST = WL_RNNPROP_MOST_HIDDEN, LAYERS = WL_RNNPROP_MOST_LAYERS };
static const wl_real DECAY = (wl_real)0.95, EPSILON = (wl_real)1e-8,
                     LOG2_E = (wl_real)1.4426950408889634;

/* These functions load and store one vector at an address that needs no alignment. */
INLINE vec load_row(const wl_real *p) { return load_some(p, VECTOR_LANES); }
INLINE void store_row(wl_real *p, vec x) { store_some(p, x, VECTOR_LANES); }

INLINE vec exponential(vec x) { return exp2_clipped(LOG2_E * x); }
INLINE vec sigmoid(vec x) { return (wl_real)1 / ((wl_real)1 + exponential(-x)); }
/* Returns tanh x, which is computed from e^-2|x|. The exponent -2|x| is never positive, so the
 * upper bound in exp2_clipped has no effect. */
INLINE vec hyperbolic(vec x) {
  const vec size = maximum(x, -x), e = exponential((wl_real)-2 * size);
  const vec y = ((wl_real)1 - e) / ((wl_real)1 + e);
  return choose((mask)(x < splat(0)), -y, y);
}
INLINE vec elu(vec x) {
  return choose((mask)(x > splat(0)), x, exponential(minimum(splat(0), x)) - (wl_real)1);
}

/* The values of one step that the adjoint of the step reads. */
typedef struct activations {
  vec g, m, v, denominator, x[2]; /* m and v: new moments; x: inputs of the network */
  vec dense[MOST];
  vec i[LAYERS][MOST], j[LAYERS][MOST], f[LAYERS][MOST], o[LAYERS][MOST];
  vec c[LAYERS][MOST], tanh_c[LAYERS][MOST], h[LAYERS][MOST]; /* new values of c, tanh c and h */
  vec out; /* if `plain` is true, the first output; if `plain` is false, tanh of the first output */
  vec factor; /* rate e^o2, which scales Adam's direction, where o2 is the second output */
} activations;

/* Returns the first row of a layer's h in the state. The rows of c follow the rows of h. */
INLINE int64_t row_of(const wl_rnnprop_net *net, int layer) {
  int64_t row = 2;
  for (int l = 0; l < layer; l++) row += 2 * net->hidden[l];
  return row;
}

INLINE vec dot(const wl_real *weight, int count, const vec *x, vec sum) {
  for (int k = 0; k < count; k++) sum += weight[k] * x[k];
  return sum;
}

INLINE void take_inputs(wl_rnnprop_time time, const wl_real *g, const wl_real *state,
                        activations *a) {
  a->g = load_row(g);
  a->m = DECAY * load_row(state) + ((wl_real)1 - DECAY) * a->g;
  a->v = DECAY * load_row(state + WL_LANES) + ((wl_real)1 - DECAY) * (a->g * a->g);
  a->denominator = root(time.v * a->v) + EPSILON;
  a->x[0] = a->g / a->denominator;
  a->x[1] = time.m * a->m / a->denominator;
}

static void cell(const wl_rnnprop_net *net, const wl_real *phi, int layer, const vec *below,
                 const wl_real *state, activations *a) {
  const int H = net->hidden[layer], in = wl_rnnprop_inputs(net, layer);
  const wl_real *const weight = phi + net->weight[layer], *const bias = phi + net->bias[layer],
                       *const old = state + row_of(net, layer) * WL_LANES;
  vec h[MOST];
  for (int u = 0; u < H; u++) h[u] = load_row(old + u * WL_LANES);
  for (int u = 0; u < H; u++) {
    vec z[4];
    UNROLL for (int gate = 0; gate < 4; gate++) {
      const wl_real *const row = weight + (gate * H + u) * (in + H);
      z[gate] = dot(row + in, H, h, dot(row, in, below, splat(bias[gate * H + u])));
    }
    a->i[layer][u] = sigmoid(z[0]);
    a->j[layer][u] = hyperbolic(z[1]);
    a->f[layer][u] = sigmoid(z[2] + (wl_real)1);
    a->o[layer][u] = sigmoid(z[3]);
    a->c[layer][u] =
        a->f[layer][u] * load_row(old + (H + u) * WL_LANES) + a->i[layer][u] * a->j[layer][u];
    a->tanh_c[layer][u] = hyperbolic(a->c[layer][u]);
    a->h[layer][u] = a->o[layer][u] * a->tanh_c[layer][u];
  }
}

/* Returns the inputs that a layer reads from the previous layer. */
INLINE const vec *below_of(const wl_rnnprop_net *net, int layer, const activations *a) {
  return layer > 0 ? a->h[layer - 1] : net->plain ? a->x : a->dense;
}

static void forward(const wl_rnnprop_net *net, const wl_real *phi, wl_rnnprop_time time,
                    const wl_real *g, const wl_real *state, activations *a) {
  take_inputs(time, g, state, a);
  for (int u = 0; !net->plain && u < net->hidden[0]; u++)
    a->dense[u] = elu(dot(phi + net->in_weight + 2 * u, 2, a->x, splat(phi[net->in_bias + u])));
  for (int l = 0; l < net->layers; l++) cell(net, phi, l, below_of(net, l, a), state, a);
  const int last = net->layers - 1, H = net->hidden[last];
  a->out = dot(phi + net->out_weight, H, a->h[last], splat(phi[net->out_bias]));
  if (!net->plain) a->out = hyperbolic(a->out);
  if (net->heads == 2)
    a->factor = (wl_real)net->rate * exponential(dot(phi + net->out_weight + H, H, a->h[last],
                                                     splat(phi[net->out_bias + 1])));
}

static void step(const wl_rnnprop_input *in, wl_real *s_out, wl_real *u) {
  const wl_rnnprop_net *const net = in->net;
  activations a;
  for (int at = 0; at < WL_LANES; at += VECTOR_LANES) {
    forward(net, in->phi, in->time, in->g + at, in->state + at, &a);
    store_row(s_out + at, a.m);
    store_row(s_out + WL_LANES + at, a.v);
    for (int l = 0; l < net->layers; l++)
      for (int k = 0; k < net->hidden[l]; k++) {
        wl_real *const row = s_out + (row_of(net, l) + k) * WL_LANES + at;
        store_row(row, a.h[l][k]);
        store_row(row + net->hidden[l] * WL_LANES, a.c[l][k]);
      }
    vec move = (wl_real)-net->output_scale * a.out;
    if (net->heads == 2) move -= a.factor * a.x[1];
    store_row(u + at, move);
  }
}

INLINE void add(wl_real *p, vec x) { store_row(p, load_row(p) + x); }

/* Computes z_bar [4], the adjoints of the pre-activations of one unit's gates. Replaces the adjoint
 * of the new c in *c_bar by the adjoint of the old c. */
INLINE void gate_bars(const activations *a, int layer, int u, vec old_c, vec h_bar, vec *c_bar,
                      vec *z_bar) {
  const vec i = a->i[layer][u], j = a->j[layer][u], f = a->f[layer][u], o = a->o[layer][u],
            t = a->tanh_c[layer][u], one = splat(1);
  const vec c = *c_bar + h_bar * o * (one - t * t);
  z_bar[0] = c * j * i * (one - i);
  z_bar[1] = c * i * (one - j * j);
  z_bar[2] = c * old_c * f * (one - f);
  z_bar[3] = h_bar * t * o * (one - o);
  *c_bar = c * f;
}

/* Computes the adjoint of one layer. The argument h_bar [H] is the contribution of the next layer
 * to the adjoint of h. The array bars->mu contains the contribution of the next step to the adjoint
 * of h. The function writes the adjoint of the layer's inputs to below_bar [in]. */
static void cell_backward(const wl_rnnprop_input *input, int layer, const activations *a,
                          const vec *h_bar, vec *below_bar, const wl_rnnprop_bars *bars) {
  const wl_rnnprop_net *const net = input->net;
  const wl_real *const phi = input->phi, *const state = input->state;
  wl_real *const mu = bars->mu, *const phi_bar = bars->phi_bar;
  const int H = net->hidden[layer], in = wl_rnnprop_inputs(net, layer);
  const vec *const below = below_of(net, layer, a);
  const int64_t row = row_of(net, layer) * WL_LANES;
  vec old_h_bar[MOST];
  for (int k = 0; k < H; k++) old_h_bar[k] = splat(0);
  for (int k = 0; k < in; k++) below_bar[k] = splat(0);
  for (int u = 0; u < H; u++) {
    wl_real *const mu_h = mu + row + u * WL_LANES, *const mu_c = mu_h + H * WL_LANES;
    vec c_bar = load_row(mu_c), z_bar[4];
    gate_bars(a, layer, u, load_row(state + row + (H + u) * WL_LANES), h_bar[u] + load_row(mu_h),
              &c_bar, z_bar);
    store_row(mu_c, c_bar);
    for (int gate = 0; gate < 4; gate++) {
      const int64_t at = gate * H + u;
      const wl_real *const weight = phi + net->weight[layer] + at * (in + H);
      wl_real *const bar = phi_bar + (net->weight[layer] + at * (in + H)) * WL_LANES;
      add(phi_bar + (net->bias[layer] + at) * WL_LANES, z_bar[gate]);
      for (int k = 0; k < in; k++) {
        below_bar[k] += weight[k] * z_bar[gate];
        add(bar + k * WL_LANES, z_bar[gate] * below[k]);
      }
      for (int k = 0; k < H; k++) {
        old_h_bar[k] += weight[in + k] * z_bar[gate];
        add(bar + (in + k) * WL_LANES, z_bar[gate] * load_row(state + row + k * WL_LANES));
      }
    }
  }
  for (int k = 0; k < H; k++) store_row(mu + row + k * WL_LANES, old_h_bar[k]);
}

/* Computes the adjoint of g from the adjoints of the inputs. Replaces the adjoints of the new m and
 * v in mu by the adjoints of the old m and v. */
static void input_backward(wl_rnnprop_time time, const activations *a, const vec *x_bar,
                           wl_real *mu, wl_real *gbar) {
  const vec inverse = (wl_real)1 / a->denominator;
  const vec root_of = a->denominator - EPSILON;
  const vec denominator_bar = -(x_bar[0] * a->x[0] + x_bar[1] * a->x[1]) * inverse;
  const vec slope = choose((mask)(a->v > splat(0)), (wl_real)0.5 * time.v / root_of, splat(0));
  const vec m_bar = load_row(mu) + time.m * x_bar[1] * inverse;
  const vec v_bar = load_row(mu + WL_LANES) + denominator_bar * slope;
  store_row(gbar, x_bar[0] * inverse + ((wl_real)1 - DECAY) * (m_bar + (wl_real)2 * a->g * v_bar));
  store_row(mu, DECAY * m_bar);
  store_row(mu + WL_LANES, DECAY * v_bar);
}

/* Computes the adjoint of the dense layer. The argument `bar` is the adjoint of the layer's
 * outputs. The function adds the adjoint of the inputs to x_bar. */
static void dense_backward(const wl_rnnprop_net *net, const wl_real *phi, const activations *a,
                           const vec *bar, vec *x_bar, wl_real *phi_bar) {
  for (int u = 0; u < net->hidden[0]; u++) {
    const vec y = a->dense[u],
              z_bar = bar[u] * choose((mask)(y > splat(0)), splat(1), y + (wl_real)1);
    add(phi_bar + (net->in_bias + u) * WL_LANES, z_bar);
    UNROLL for (int k = 0; k < 2; k++) {
      x_bar[k] += phi[net->in_weight + 2 * u + k] * z_bar;
      add(phi_bar + (net->in_weight + 2 * u + k) * WL_LANES, z_bar * a->x[k]);
    }
  }
}

static void backward_of(const wl_rnnprop_input *in, const wl_rnnprop_bars *bars) {
  const wl_rnnprop_net *const net = in->net;
  const wl_real *const phi = in->phi;
  wl_real *const phi_bar = bars->phi_bar;
  activations a;
  vec bar[2][MOST], x_bar[2] = {{0}, {0}};
  forward(net, phi, in->time, in->g, in->state, &a);
  const int last = net->layers - 1, H = net->hidden[last];
  const vec u_bar = load_row(bars->lam);
  vec out_bar[2] = {(wl_real)-net->output_scale * u_bar, {0}};
  if (!net->plain) out_bar[0] *= splat(1) - a.out * a.out;
  if (net->heads == 2) {
    out_bar[1] = -a.factor * a.x[1] * u_bar;
    x_bar[1] = -a.factor * u_bar;
  }
  for (int k = 0; k < H; k++) bar[last % 2][k] = splat(0);
  for (int head = 0; head < net->heads; head++) {
    const int64_t row = net->out_weight + head * H;
    add(phi_bar + (net->out_bias + head) * WL_LANES, out_bar[head]);
    for (int k = 0; k < H; k++) {
      bar[last % 2][k] += phi[row + k] * out_bar[head];
      add(phi_bar + (row + k) * WL_LANES, out_bar[head] * a.h[last][k]);
    }
  }
  for (int l = last; l >= 0; l--) cell_backward(in, l, &a, bar[l % 2], bar[(l + 1) % 2], bars);
  if (net->plain) UNROLL for (int k = 0; k < 2; k++) x_bar[k] += bar[1][k];
  else dense_backward(net, phi, &a, bar[1], x_bar, phi_bar);
  input_backward(in->time, &a, x_bar, bars->mu, bars->gbar);
}

static void backward(const wl_rnnprop_input *in, const wl_rnnprop_bars *bars) {
  for (int at = 0; at < WL_LANES; at += VECTOR_LANES)
    backward_of(
        &(wl_rnnprop_input){in->net, in->phi, in->time, in->g + at, in->state + at},
        &(wl_rnnprop_bars){bars->lam + at, bars->mu + at, bars->gbar + at, bars->phi_bar + at});
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
extern const wl_rnnprop_kernel JOIN(wl_rnnprop_kernel_, WL_VARIANT);
const wl_rnnprop_kernel JOIN(wl_rnnprop_kernel_, WL_VARIANT) = {step, backward};
