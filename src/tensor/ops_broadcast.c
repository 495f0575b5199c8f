/* ops_broadcast.c - implements three operators of a tensor and a vector: the addition along the
 * last dimension, the addition along the channels, and the multiplication along the channels.
 *
 *   add_bias     y_{r,j}   = x_{r,j} + b_j        xbar += ybar        bbar_j += sum_r ybar_{r,j}
 *   add_channel  y_{b,c,i} = x_{b,c,i} + b_c      xbar += ybar        bbar_c += sum_{b,i} ybar
 *   mul_channel  y_{b,c,i} = x_{b,c,i} s_c        xbar += ybar s_c    sbar_c += sum_{b,i} ybar x */
#include <string.h>

#include "tensor/channels.h"
#include "tensor/tape_impl.h"

/* add_bias */

static void bias_apply(const wl_op_call *c, const wl_real *restrict b, wl_real *restrict y,
                       bool keep) {
  const int64_t n = c->in[1].node->size, rows = c->node->size / n;
  for (int64_t r = 0; r < rows; ++r) WL_FOR_EACH_PUT(j, n, y + r * n, keep, b[j]);
}

static void bias_forward(const wl_op_call *c) {
  const int64_t n = c->in[1].node->size, rows = c->node->size / n;
  const wl_real *restrict x = c->in[0].value, *restrict b = c->in[1].value;
  wl_real *restrict y = c->value;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < n; ++j) y[r * n + j] = x[r * n + j] + b[j];
}

static void bias_pull(const wl_op_call *c, const wl_real *restrict gy, wl_real *restrict gb,
                      bool keep) {
  const int64_t n = c->in[1].node->size, rows = c->node->size / n;
  if (!keep) memset(gb, 0, (size_t)n * sizeof *gb);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < n; ++j) gb[j] += gy[r * n + j];
}

const wl_tape_op wl_tape_op_add_bias = {.name = "add_bias",
                                        .signature = "(...,n)(n) -> (...,n)",
                                        .arity = 2,
                                        .forward = bias_forward,
                                        .reverse = wl_linear_reverse,
                                        .tangent = wl_linear_tangent,
                                        .tangent_reverse = wl_linear_tangent_reverse,
                                        .same = true,
                                        .apply = {wl_linear_copy, bias_apply},
                                        .pull = {wl_linear_copy, bias_pull}};

/* add_channel */

static void channel_apply(const wl_op_call *call, const wl_real *restrict b, wl_real *restrict y,
                          bool keep) {
  const wl_channels s = wl_channels_of(call->node);
  WL_PUT_BY_CHANNEL(s, i, c, y, keep, b[c]);
}

static void channel_forward(const wl_op_call *call) {
  const wl_channels s = wl_channels_of(call->node);
  const wl_real *restrict x = call->in[0].value, *restrict b = call->in[1].value;
  wl_real *restrict y = call->value;
  WL_FOR_EACH_OF_CHANNEL(s, i, c, y[i] = x[i] + b[c]);
}

static void channel_pull(const wl_op_call *call, const wl_real *restrict gy, wl_real *restrict gb,
                         bool keep) {
  const wl_channels s = wl_channels_of(call->node);
  double *const sums = call->temp;
  wl_channel_sums(s, gy, 1.0, sums);
  WL_FOR_EACH_PUT(c, s.channels, gb, keep, (wl_real)sums[c]);
}

const wl_tape_op wl_tape_op_add_channel = {.name = "add_channel",
                                           .signature = "(B,C,H,W)(C) or (B,C)(C)",
                                           .arity = 2,
                                           .forward = channel_forward,
                                           .reverse = wl_linear_reverse,
                                           .tangent = wl_linear_tangent,
                                           .tangent_reverse = wl_linear_tangent_reverse,
                                           .same = true,
                                           .apply = {wl_linear_copy, channel_apply},
                                           .pull = {wl_linear_copy, channel_pull}};

/* mul_channel */

static void channel_product(const wl_op_call *call, const wl_real *restrict x,
                            const wl_real *restrict factors, wl_real *restrict y, bool keep) {
  const wl_channels s = wl_channels_of(call->node);
  WL_PUT_BY_CHANNEL(s, i, c, y, keep, factors[c] * x[i]);
}

static void channel_pull_factors(const wl_op_call *call, const wl_real *restrict x,
                                 const wl_real *restrict gy, wl_real *restrict gs, bool keep) {
  const wl_channels s = wl_channels_of(call->node);
  double *const sums = call->temp;
  wl_channel_products(s, x, gy, 1.0, sums);
  WL_FOR_EACH_PUT(c, s.channels, gs, keep, (wl_real)sums[c]);
}

const wl_tape_op wl_tape_op_mul_channel = {.name = "mul_channel",
                                           .signature = "(B,C,H,W)(C) or (B,C)(C)",
                                           .arity = 2,
                                           WL_OP_PASSES(bilinear),
                                           .product = channel_product,
                                           .pull_a = channel_product,
                                           .pull_b = channel_pull_factors};

/* Builders. */

wl_node wl_op_add_bias(wl_tape *t, wl_node x, wl_node b) {
  const wl_tape_op *op = &wl_tape_op_add_bias;
  if (!wl_tape_operands(t, op, x, b)) return -1;
  const wl_tape_node *a = &t->nodes[x], *bias = &t->nodes[b];
  if (a->ndim < 1 || bias->ndim != 1 || a->shape[a->ndim - 1] != bias->shape[0])
    return wl_tape_misfit(t, op, x, b);
  return wl_tape_push_like(t, op, x, b);
}

static wl_node along_channels(wl_tape *t, const wl_tape_op *op, wl_node x, wl_node b) {
  if (!wl_tape_operands(t, op, x, b)) return -1;
  const wl_tape_node *a = &t->nodes[x], *vector = &t->nodes[b];
  if (!wl_has_channels(a) || vector->ndim != 1 || a->shape[1] != vector->shape[0])
    return wl_tape_misfit(t, op, x, b);
  wl_tape_node draft = wl_tape_draft(op, x, b, a->ndim, a->shape);
  draft.temp_bytes = (size_t)a->shape[1] * sizeof(double);
  return wl_tape_push(t, &draft);
}

wl_node wl_op_add_channel(wl_tape *t, wl_node x, wl_node b) {
  return along_channels(t, &wl_tape_op_add_channel, x, b);
}
wl_node wl_op_mul_channel(wl_tape *t, wl_node x, wl_node s) {
  return along_channels(t, &wl_tape_op_mul_channel, x, s);
}
