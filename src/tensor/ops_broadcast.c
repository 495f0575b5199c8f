/* ops_broadcast.c - a vector added along the last dimension.
 *
 *   add_bias  y_{r,j} = x_{r,j} + b_j    xbar += ybar    bbar_j += sum_r ybar_{r,j} */
#include <string.h>

#include "tensor/tape_impl.h"

static void same(const wl_op_call *c, const wl_real *x, wl_real *out, bool keep) {
  WL_FOR_EACH_PUT(i, c->node->size, out, keep, x[i]);
}

static void bias_apply(const wl_op_call *c, const wl_real *restrict b, wl_real *restrict y, bool keep) {
  const int64_t n = c->in[1].node->size, rows = c->node->size / n;
  for (int64_t r = 0; r < rows; ++r) WL_FOR_EACH_PUT(j, n, y + r * n, keep, b[j]);
}

static void bias_pull(const wl_op_call *c, const wl_real *restrict gy, wl_real *restrict gb, bool keep) {
  const int64_t n = c->in[1].node->size, rows = c->node->size / n;
  if (!keep) memset(gb, 0, (size_t)n * sizeof *gb);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < n; ++j) gb[j] += gy[r * n + j];
}

const wl_tape_op wl_tape_op_add_bias = {.name = "add_bias",
                                        .signature = "(...,n)(n) -> (...,n)",
                                        .arity = 2,
                                        WL_OP_PASSES(linear),
                                        .apply = {same, bias_apply},
                                        .pull = {same, bias_pull}};

wl_node wl_op_add_bias(wl_tape *t, wl_node x, wl_node b) {
  const wl_tape_op *op = &wl_tape_op_add_bias;
  if (!wl_tape_operands(t, op, x, b)) return -1;
  const wl_tape_node *a = &t->nodes[x], *bias = &t->nodes[b];
  if (a->ndim < 1 || bias->ndim != 1 || a->shape[a->ndim - 1] != bias->shape[0]) return wl_tape_misfit(t, op, x, b);
  return wl_tape_push_like(t, op, x, b);
}
