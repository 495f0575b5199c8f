/* ops_norm.c - implements the operator for batch normalisation (Ioffe and Szegedy 2015). Each
 * channel is normalised with its mean and variance over the batch. A channel of a tensor (B,C,H,W)
 * has M = B * H * W elements, and a channel of a tensor (B,C) has M = B elements.
 *
 *   m = mean x,  r = 1 / sqrt(mean (x - m)^2 + eps),  y = (x - m) r
 *
 * If the statistics are held (Algorithm 2 of Ioffe and Szegedy), the operator uses means over
 * several collected batches instead: the mean of m, and the mean of the variance times M / (M - 1).
 * Held statistics can be used only in forward passes.
 *
 * The Jacobian is symmetric: J z = r (z - mean z - y mean(z y)). The passes are
 *   reverse          xbar  += J ybar
 *   tangent          y.     = J x.
 *   tangent reverse  x.bar += J y.bar + J. ybar
 *
 * Here r. = -r^2 mean(x. y), and J. is the derivative of J along v:
 *   J. z = r. (z - mean z - y mean(z y)) - r (y. mean(z y) + y mean(z y.)) */
#include <math.h>
#include <string.h>

#include "tensor/channels.h"
#include "tensor/tape_impl.h"
#include "tensor/tape_ws.h"

/* The contents of the memory `saved`. The memory `temp` contains up to four arrays of type double.
 * Each array has one number for each channel. */
typedef struct norm_memory {
  int64_t mode;    /* the statistics that the operator uses, a value of wl_statistics */
  int64_t batches; /* number of collected batches */
  /* three arrays with one number for each channel: r, the sum of m over the collected batches, and
   * the sum of the variance over the collected batches */
  double vectors[];
} norm_memory;

static double *rates(const wl_op_call *call) { return ((norm_memory *)call->saved)->vectors; }

static void center(wl_channels s, const wl_real *restrict x, const double *restrict mean,
                   wl_real *restrict y) {
  WL_FOR_EACH_OF_CHANNEL(s, i, c, y[i] = x[i] - (wl_real)mean[c]);
}

/* Multiplies each channel of y by the channel's number r. */
static void scale(wl_channels s, const double *restrict rate, wl_real *restrict y) {
  WL_FOR_EACH_OF_CHANNEL(s, i, c, y[i] *= (wl_real)rate[c]);
}

static void add_to(double *sum, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sum[i] += x[i];
}

static void normalise_by_batch(const wl_op_call *call, wl_channels s, norm_memory *memory) {
  const double share = 1.0 / (double)(s.batch * s.inner);
  double *const moment = call->temp, *const rate = memory->vectors;
  const bool collect = memory->mode == WL_STATISTICS_COLLECT;
  wl_channel_sums(s, call->in[0].value, share, moment);
  center(s, call->in[0].value, moment, call->value);
  if (collect) add_to(rate + s.channels, moment, s.channels);
  wl_channel_products(s, call->value, call->value, share, moment);
  if (collect) add_to(rate + 2 * s.channels, moment, s.channels);
  memory->batches += collect;
  for (int64_t c = 0; c < s.channels; ++c) rate[c] = 1.0 / sqrt(moment[c] + call->node->factor);
}

static void normalise_by_held(const wl_op_call *call, wl_channels s, norm_memory *memory) {
  const double share = 1.0 / (double)memory->batches, elements = (double)(s.batch * s.inner);
  const double unbiased = elements > 1.0 ? elements / (elements - 1.0) : 1.0;
  double *const mean = call->temp, *const rate = memory->vectors;
  for (int64_t c = 0; c < s.channels; ++c) {
    mean[c] = share * rate[s.channels + c];
    rate[c] = 1.0 / sqrt(share * unbiased * rate[2 * s.channels + c] + call->node->factor);
  }
  center(s, call->in[0].value, mean, call->value);
}

static void batch_norm_forward(const wl_op_call *call) {
  const wl_channels s = wl_channels_of(call->node);
  norm_memory *const memory = call->saved;
  if (memory->mode == WL_STATISTICS_HELD) normalise_by_held(call, s, memory);
  else normalise_by_batch(call, s, memory);
  scale(s, memory->vectors, call->value);
}

/* Multiplies z by the Jacobian J. If `keep` is true, the product is added to `out`. */
static void jacobian(const wl_op_call *call, const wl_real *restrict z, wl_real *restrict out,
                     bool keep) {
  const wl_channels s = wl_channels_of(call->node);
  const double share = 1.0 / (double)(s.batch * s.inner), *restrict rate = rates(call);
  const wl_real *restrict y = call->value;
  double *const mean_z = call->temp, *const mean_zy = mean_z + s.channels;
  wl_channel_sums(s, z, share, mean_z);
  wl_channel_products(s, z, y, share, mean_zy);
  const double *restrict m = mean_z, *restrict p = mean_zy;
  WL_PUT_BY_CHANNEL(s, i, c, out, keep,
                    (wl_real)rate[c] * (z[i] - (wl_real)m[c] - y[i] * (wl_real)p[c]));
}

/* Multiplies the gradient of y by the Jacobian's derivative along v, and adds the product to
 * `out`. */
static void add_jacobian_dot(const wl_op_call *call, wl_real *restrict out) {
  const wl_channels s = wl_channels_of(call->node);
  const double share = 1.0 / (double)(s.batch * s.inner), *restrict rate = rates(call);
  const wl_real *restrict y = call->value, *restrict dy = call->dot, *restrict z = call->grad;
  double *const mean_z = call->temp, *const mean_zy = mean_z + s.channels;
  double *const mean_zdy = mean_zy + s.channels, *const mean_dxy = mean_zdy + s.channels;
  wl_channel_sums(s, z, share, mean_z);
  wl_channel_products(s, z, y, share, mean_zy);
  wl_channel_products(s, z, dy, share, mean_zdy);
  wl_channel_products(s, call->in[0].dot, y, share, mean_dxy);
  const double *restrict m = mean_z, *restrict p = mean_zy, *restrict q = mean_zdy;
  const double *restrict dr = mean_dxy;
  for (int64_t c = 0; c < s.channels; ++c) mean_dxy[c] *= -rate[c] * rate[c];
  WL_FOR_EACH_OF_CHANNEL(
      s, i, c,
      out[i] += (wl_real)dr[c] * (z[i] - (wl_real)m[c] - y[i] * (wl_real)p[c]) -
                (wl_real)rate[c] * (dy[i] * (wl_real)p[c] + y[i] * (wl_real)q[c]));
}

static double batch_norm_flops(const wl_tape_node *y, const wl_tape_node *x,
                               const wl_tape_node *none) {
  (void)x, (void)none;
  return 8.0 * (double)y->size;
}

const wl_tape_op wl_tape_op_batch_norm = {.name = "batch_norm",
                                          .signature = "(B,C,H,W) or (B,C)",
                                          .arity = 1,
                                          .forward = batch_norm_forward,
                                          WL_SYMMETRIC_PASSES,
                                          .flops = batch_norm_flops};

wl_node wl_op_batch_norm(wl_tape *t, wl_node x, double eps) {
  const wl_tape_op *op = &wl_tape_op_batch_norm;
  if (!wl_tape_operands(t, op, x, -1)) return -1;
  if (!wl_has_channels(&t->nodes[x])) return wl_tape_misfit(t, op, x, -1);
  if (!(eps > 0))
    return wl_tape_refuse(t, WL_ERR_SOFTWARE,
                          "operator batch_norm: the argument eps is %g, but it must be positive",
                          eps);
  wl_tape_node draft = wl_tape_draft(op, x, -1, t->nodes[x].ndim, t->nodes[x].shape);
  draft.factor = eps;
  const size_t vector = (size_t)draft.shape[1] * sizeof(double);
  draft.saved_bytes = sizeof(norm_memory) + 3 * vector;
  draft.temp_bytes = 4 * vector;
  return wl_tape_push(t, &draft);
}

int wl_tape_set_statistics(const wl_tape *t, wl_tape_ws *ws, wl_statistics mode) {
  int count = 0;
  for (int i = 0; i < t->count; ++i) {
    if (t->nodes[i].op != &wl_tape_op_batch_norm) continue;
    norm_memory *const memory = ws->cells[i].saved;
    if (mode == WL_STATISTICS_COLLECT) memset(memory, 0, t->nodes[i].saved_bytes);
    memory->mode = mode;
    count++;
  }
  return count;
}
