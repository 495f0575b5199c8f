/* controller_kernel.c - implements the functions over coordinates that controller_kernel.h
 * declares. The file is compiled once for each instruction set. */
#include "rule/controller_kernel.h"

#include "rule/vector.h"

INLINE double add_lanes(vec a) {
  double sum = 0;
  for (int l = 0; l < VECTOR_LANES; l++) sum += (double)a[l];
  return sum;
}

static void moments(const wl_controller_pass *pass, int64_t first, int64_t count, double *sums) {
  vec sum[WL_CONTROLLER_SUMS] = {{0}};
  for (int64_t i = first; i < first + count; i += VECTOR_LANES) {
    const int64_t left = first + count - i;
    const vec g = load_some(pass->g + i, left), p = load_some(pass->p + i, left);
    const vec m = (wl_real)0.9 * load_some(pass->m + i, left) + (wl_real)0.1 * g;
    const vec s = (wl_real)0.99 * load_some(pass->s + i, left) + (wl_real)0.01 * g;
    const vec v = (wl_real)0.99 * load_some(pass->v + i, left) + (wl_real)0.01 * (g * g);
    store_some(pass->m_out + i, m, left);
    store_some(pass->s_out + i, s, left);
    store_some(pass->v_out + i, v, left);
    sum[WL_SUM_GM] += g * m;
    sum[WL_SUM_GG] += g * g;
    sum[WL_SUM_MM] += m * m;
    sum[WL_SUM_MS] += m * s;
    sum[WL_SUM_SS] += s * s;
    sum[WL_SUM_PM] += p * m;
    sum[WL_SUM_PP] += p * p;
    sum[WL_SUM_V] += v;
  }
  for (int j = 0; j < WL_CONTROLLER_SUMS; j++) sums[j] = add_lanes(sum[j]);
}

/* Returns 1 / (sqrt v + e). The function corrects the bias of its argument v. */
INLINE vec reciprocal(vec v, const wl_controller_scalars *c) {
  return (wl_real)1 / (root((wl_real)c->v * v) + (wl_real)c->epsilon);
}

static double ratios(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                     int64_t count) {
  vec sum = {0};
  for (int64_t i = first; i < first + count; i += VECTOR_LANES) {
    const int64_t left = first + count - i;
    const vec ratio =
        (wl_real)c->m * load_some(pass->m + i, left) * reciprocal(load_some(pass->v + i, left), c);
    sum += ratio * ratio;
  }
  return add_lanes(sum);
}

INLINE vec blend(vec g, vec m, vec s, const wl_controller_scalars *c) {
  return m + (wl_real)c->k1 * (g - m) + (wl_real)c->k2 * (s - m);
}

static void blends(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                   int64_t count) {
  for (int64_t i = first; i < first + count; i += VECTOR_LANES) {
    const int64_t left = first + count - i;
    const vec g = load_some(pass->g + i, left);
    const vec m = (wl_real)c->m * load_some(pass->m + i, left);
    const vec s = (wl_real)c->s * load_some(pass->s + i, left);
    vec z = blend(g, m, s, c);
    if (c->floor > 0)
      z /= root(root((wl_real)c->v * load_some(pass->v + i, left)) + (wl_real)c->floor);
    store_some(pass->z + i, z, left);
  }
}

enum { ROW = WL_CONTROLLER_HIDDEN / VECTOR_LANES };

/* Computes out = W x + b, where `w` points to the packed W and b. Returns the address of the next
 * packed layer. */
INLINE const wl_real *dense(const wl_real *w, int inputs, const wl_real *x, vec *out) {
  const wl_real *const bias = w + inputs * WL_CONTROLLER_HIDDEN;
  UNROLL for (int v = 0; v < ROW; v++) out[v] = load(bias + v * VECTOR_LANES);
  for (int k = 0; k < inputs; k++, w += WL_CONTROLLER_HIDDEN)
    UNROLL for (int v = 0; v < ROW; v++) out[v] += x[k] * load(w + v * VECTOR_LANES);
  return bias + WL_CONTROLLER_HIDDEN;
}

/* Computes tanh x = 1 - 2 / (e^(2x) + 1) for each element of x. For large x, the function exp2_all
 * limits the exponent, and the result is 1. */
INLINE void tanh_all(vec *x, wl_real *out) {
  const wl_real twice_log2e = (wl_real)2.8853900817779268;
  UNROLL for (int v = 0; v < ROW; v++) x[v] *= twice_log2e;
  exp2_all(x, ROW);
  UNROLL for (int v = 0; v < ROW; v++)
      store(out + v * VECTOR_LANES, (wl_real)1 - (wl_real)2 / (x[v] + (wl_real)1));
}

static void net(const wl_real *packed, const double *input, double *output) {
  wl_real x[WL_CONTROLLER_INPUTS], out[WL_CONTROLLER_HIDDEN] __attribute__((aligned(64)));
  vec layer[ROW];
  for (int i = 0; i < WL_CONTROLLER_INPUTS; i++) x[i] = (wl_real)input[i];
  packed = dense(packed, WL_CONTROLLER_INPUTS, x, layer);
  tanh_all(layer, out);
  packed = dense(packed, WL_CONTROLLER_HIDDEN, out, layer);
  tanh_all(layer, out);
  dense(packed, WL_CONTROLLER_HIDDEN, out, layer);
  UNROLL for (int v = 0; v < ROW; v++) store(out + v * VECTOR_LANES, layer[v]);
  for (int i = 0; i < WL_CONTROLLER_OUTPUTS; i++) output[i] = (double)out[i];
}

INLINE void update(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t i,
                   int64_t left, const bool orthogonal) {
  const vec g = load_some(pass->g + i, left);
  const vec m = (wl_real)c->m * load_some(pass->m + i, left);
  const vec s = (wl_real)c->s * load_some(pass->s + i, left);
  const vec scaled = (wl_real)c->c1 * blend(g, m, s, c) + (wl_real)c->c2 * s;
  vec u = scaled * reciprocal(load_some(pass->v + i, left), c);
  if (orthogonal) u += (wl_real)c->c0 * load_some(pass->z + i, left);
  store_some(pass->u + i, u, left);
}

static void updates(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                    int64_t count) {
  const int64_t end = first + count;
  if (pass->z)
    for (int64_t i = first; i < end; i += VECTOR_LANES) update(pass, c, i, end - i, true);
  else
    for (int64_t i = first; i < end; i += VECTOR_LANES) update(pass, c, i, end - i, false);
}

/* ---- Correction of each coordinate ---------------------------------------------------------- */

enum { UNITS = WL_CORRECTION_UNITS, OWN_INPUTS = WL_CORRECTION_INPUTS };
#define LOG2_E ((wl_real)1.4426950408889634)

/* Returns tanh x. The argument `power` is 2^(2 x log2 e). */
INLINE vec tanh_of(vec power) { return (wl_real)1 - (wl_real)2 / (power + (wl_real)1); }

/* Computes one unit of the LSTM from the unit's pre-activations z. Reads the old c from c_in,
 * writes the new c to c_out, and returns the new h. */
INLINE vec lstm_unit(vec *z, const wl_real *c_in, wl_real *c_out, int64_t left) {
  z[0] *= -LOG2_E;
  z[1] *= 2 * LOG2_E;
  z[2] = -LOG2_E * (z[2] + (wl_real)1);
  z[3] *= -LOG2_E;
  exp2_all(z, 4);
  const vec c = load_some(c_in, left) / ((wl_real)1 + z[2]) + tanh_of(z[1]) / ((wl_real)1 + z[0]);
  store_some(c_out, c, left);
  return tanh_of(exp2_clipped(2 * LOG2_E * c)) / ((wl_real)1 + z[3]);
}

INLINE void correct_vector(const wl_controller_pass *pass, const wl_controller_scalars *c,
                           const wl_correction *net, int64_t i, int64_t left, const bool lstm) {
  enum { MOST_INPUTS = OWN_INPUTS + UNITS };
  const int inputs = lstm ? MOST_INPUTS : OWN_INPUTS, gates = lstm ? 4 : 1;
  const vec inverse = reciprocal(load_some(pass->v + i, left), c);
  vec x[MOST_INPUTS] = {load_some(pass->g + i, left) * inverse,
                        (wl_real)c->m * load_some(pass->m + i, left) * inverse,
                        (wl_real)c->s * load_some(pass->s + i, left) * inverse, splat(net->time)};
  for (int k = 0; lstm && k < UNITS; k++)
    x[OWN_INPUTS + k] = load_some(net->in + k * net->stride + i, left);
  vec o = splat(net->head[UNITS]);
  for (int k = 0; k < UNITS; k++) {
    vec z[4], h;
    for (int q = 0; q < gates; q++) {
      const int row = q * UNITS + k;
      z[q] = splat(net->bias[row]);
      for (int j = 0; j < inputs; j++) z[q] += net->weight[row * inputs + j] * x[j];
    }
    const int64_t cell = (UNITS + k) * net->stride + i;
    if (lstm) {
      h = lstm_unit(z, net->in + cell, net->out + cell, left);
      store_some(net->out + k * net->stride + i, h, left);
    } else {
      h = tanh_of(exp2_clipped(2 * LOG2_E * z[0]));
    }
    o += net->head[k] * h;
  }
  const vec bounded = (wl_real)3 * tanh_of(exp2_clipped(2 * LOG2_E / 3 * o));
  store_some(pass->u + i, load_some(pass->u + i, left) * exp2_clipped(LOG2_E * bounded), left);
}

static void correct(const wl_controller_pass *pass, const wl_controller_scalars *c,
                    const wl_correction *net, int64_t first, int64_t count) {
  const int64_t end = first + count;
  if (net->lstm)
    for (int64_t i = first; i < end; i += VECTOR_LANES)
      correct_vector(pass, c, net, i, end - i, true);
  else
    for (int64_t i = first; i < end; i += VECTOR_LANES)
      correct_vector(pass, c, net, i, end - i, false);
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
extern const wl_controller_kernel JOIN(wl_controller_kernel_, WL_VARIANT);
const wl_controller_kernel JOIN(wl_controller_kernel_, WL_VARIANT) = {moments, ratios,  blends,
                                                                      net,     updates, correct};
