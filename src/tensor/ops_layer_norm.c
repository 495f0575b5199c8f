/* ops_layer_norm.c - implements the operator for layer normalisation (Ba, Kiros and Hinton 2016).
 * For a tensor (B,n), the mean and the variance are computed for each row. For a tensor (B,C,H,W),
 * the mean and the variance are computed for each pixel, over the C channels.
 *
 *   m = mean x,  r = 1 / sqrt(mean (x - m)^2 + eps),  y = (x - m) r
 *
 * All means are over the channels. The derivatives have the same form as for batch normalisation
 * (ops_norm.c):
 *   J z = r (z - mean z - y mean(z y)),   r. = -r^2 mean(x. y),
 *   J. z = r. (z - mean z - y mean(z y)) - r (y. mean(z y) + y mean(z y.)) */
#include <math.h>

#include "tensor/channels.h"

/* The memory `saved` contains r [batch][inner], and the memory `temp` contains up to four arrays
 * [inner]. The numbers in both memories are of type double. */

/* Sets out[i] to the mean of x y over the channels of pixel i, for one image or row. If y is NULL,
 * the function computes the mean of x. */
static void channel_means(wl_channels s, const wl_real *x, const wl_real *y, double *out) {
  const double share = 1.0 / (double)s.channels;
  if (s.inner == 1) {
    out[0] = share * (y ? wl_sum_product(s.channels, x, y) : wl_sum(s.channels, x));
    return;
  }
  for (int64_t i = 0; i < s.inner; ++i) out[i] = 0.0;
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t i = 0; i < s.inner; ++i)
      out[i] += (double)x[c * s.inner + i] * (y ? (double)y[c * s.inner + i] : 1.0);
  for (int64_t i = 0; i < s.inner; ++i) out[i] *= share;
}

/* Runs `body` for all elements of one image or row. In `body`, e is the index of the element, and i
 * is the index of its pixel. A row has one pixel, so a single loop is sufficient for a row. */
#define FOR_PIXELS(s, e, i, body)                      \
  do {                                                 \
    if ((s).inner == 1) {                              \
      const int64_t i = 0;                             \
      for (int64_t e = 0; e < (s).channels; ++e) body; \
    } else {                                           \
      for (int64_t row = 0; row < (s).channels; ++row) \
        for (int64_t i = 0; i < (s).inner; ++i) {      \
          const int64_t e = row * (s).inner + i;       \
          body;                                        \
        }                                              \
    }                                                  \
  } while (0)

static void layer_norm_forward(const wl_op_call *call) {
  const wl_channels s = wl_channels_of(call->node);
  double *const moment = call->temp;
  for (int64_t b = 0; b < s.batch; ++b) {
    const wl_real *restrict x = call->in[0].value + b * s.channels * s.inner;
    wl_real *restrict y = call->value + b * s.channels * s.inner;
    double *const rate = (double *)call->saved + b * s.inner;
    channel_means(s, x, NULL, moment);
    FOR_PIXELS(s, e, i, y[e] = x[e] - (wl_real)moment[i]);
    channel_means(s, y, y, moment);
    for (int64_t i = 0; i < s.inner; ++i) rate[i] = 1.0 / sqrt(moment[i] + call->node->factor);
    FOR_PIXELS(s, e, i, y[e] *= (wl_real)rate[i]);
  }
}

/* Multiplies z by the Jacobian J. If `keep` is true, the product is added to `out`. */
static void jacobian(const wl_op_call *call, const wl_real *all_z, wl_real *all_out, bool keep) {
  const wl_channels s = wl_channels_of(call->node);
  double *const mean_z = call->temp, *const mean_zy = mean_z + s.inner;
  for (int64_t b = 0; b < s.batch; ++b) {
    const int64_t at = b * s.channels * s.inner;
    const wl_real *restrict z = all_z + at, *restrict y = call->value + at;
    wl_real *restrict out = all_out + at;
    const double *const rate = (const double *)call->saved + b * s.inner;
    channel_means(s, z, NULL, mean_z);
    channel_means(s, z, y, mean_zy);
#define J(e, i) ((wl_real)rate[i] * (z[e] - (wl_real)mean_z[i] - y[e] * (wl_real)mean_zy[i]))
    if (keep) FOR_PIXELS(s, e, i, out[e] += J(e, i));
    else FOR_PIXELS(s, e, i, out[e] = J(e, i));
#undef J
  }
}

/* Multiplies the gradient of y by the Jacobian's derivative along v, and adds the product to
 * `out`. */
static void add_jacobian_dot(const wl_op_call *call, wl_real *all_out) {
  const wl_channels s = wl_channels_of(call->node);
  double *const mean_z = call->temp, *const mean_zy = mean_z + s.inner;
  double *const mean_zdy = mean_zy + s.inner, *const rate_dot = mean_zdy + s.inner;
  for (int64_t b = 0; b < s.batch; ++b) {
    const int64_t at = b * s.channels * s.inner;
    const wl_real *restrict z = call->grad + at, *restrict y = call->value + at,
                            *restrict dy = call->dot + at;
    wl_real *restrict out = all_out + at;
    const double *const rate = (const double *)call->saved + b * s.inner;
    channel_means(s, z, NULL, mean_z);
    channel_means(s, z, y, mean_zy);
    channel_means(s, z, dy, mean_zdy);
    channel_means(s, call->in[0].dot + at, y, rate_dot);
    for (int64_t i = 0; i < s.inner; ++i) rate_dot[i] *= -rate[i] * rate[i];
    FOR_PIXELS(s, e, i, {
      out[e] += (wl_real)rate_dot[i] * (z[e] - (wl_real)mean_z[i] - y[e] * (wl_real)mean_zy[i]);
      out[e] -= (wl_real)rate[i] * (dy[e] * (wl_real)mean_zy[i] + y[e] * (wl_real)mean_zdy[i]);
    });
  }
}

static double layer_norm_flops(const wl_tape_node *y, const wl_tape_node *x,
                               const wl_tape_node *none) {
  (void)x, (void)none;
  return 8.0 * (double)y->size;
}

const wl_tape_op wl_tape_op_layer_norm = {.name = "layer_norm",
                                          .signature = "(B,C,H,W) or (B,n)",
                                          .arity = 1,
                                          .forward = layer_norm_forward,
                                          WL_SYMMETRIC_PASSES,
                                          .flops = layer_norm_flops};

wl_node wl_op_layer_norm(wl_tape *t, wl_node x, double eps) {
  const wl_tape_op *op = &wl_tape_op_layer_norm;
  if (!wl_tape_operands(t, op, x, -1)) return -1;
  if (!wl_has_channels(&t->nodes[x])) return wl_tape_misfit(t, op, x, -1);
  if (!(eps > 0))
    return wl_tape_refuse(t, WL_ERR_SOFTWARE,
                          "operator layer_norm: the argument eps is %g, but it must be positive",
                          eps);
  wl_tape_node draft = wl_tape_draft(op, x, -1, t->nodes[x].ndim, t->nodes[x].shape);
  draft.factor = eps;
  const wl_channels s = {draft.shape[0], draft.shape[1],
                         t->nodes[x].size / (draft.shape[0] * draft.shape[1])};
  draft.saved_bytes = (size_t)(s.batch * s.inner) * sizeof(double);
  draft.temp_bytes = 4 * (size_t)s.inner * sizeof(double);
  return wl_tape_push(t, &draft);
}
