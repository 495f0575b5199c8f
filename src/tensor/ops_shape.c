/* ops_shape.c - implements the operators reshape, column, sum and mean, which are linear operators
 * with one operand. The sums are computed in double precision.
 *
 *   reshape  y = x              xbar += ybar
 *   column   y_b = x_{b,j}      xbar_{b,j} += ybar_b
 *   sum      y = sum_i x_i      xbar_i += ybar
 *   mean     y = sum_i x_i / n  xbar_i += ybar / n */
#include <string.h>

#include "tensor/sums.h"
#include "tensor/tape_impl.h"

const wl_tape_op wl_tape_op_reshape = {.name = "reshape",
                                       .signature = "a shape with the same number of elements",
                                       .arity = 1,
                                       WL_OP_PASSES(linear),
                                       .same = true,
                                       .apply = {wl_linear_copy},
                                       .pull = {wl_linear_copy}};

static void column_apply(const wl_op_call *c, const wl_real *x, wl_real *y, bool keep) {
  const int64_t width = c->in[0].node->shape[1], j = c->node->column;
  WL_FOR_EACH_PUT(b, c->node->size, y, keep, x[b * width + j]);
}

static void column_pull(const wl_op_call *c, const wl_real *gy, wl_real *gx, bool keep) {
  const int64_t width = c->in[0].node->shape[1], j = c->node->column;
  if (!keep) memset(gx, 0, (size_t)c->in[0].node->size * sizeof *gx);
  for (int64_t b = 0; b < c->node->size; ++b) gx[b * width + j] += gy[b];
}

const wl_tape_op wl_tape_op_column = {.name = "column",
                                      .signature = "(B,n) -> (B)",
                                      .arity = 1,
                                      WL_OP_PASSES(linear),
                                      .apply = {column_apply},
                                      .pull = {column_pull}};

static void sum_apply(const wl_op_call *c, const wl_real *x, wl_real *y, bool keep) {
  y[0] = (wl_real)((keep ? (double)y[0] : 0.0) + wl_sum(c->in[0].node->size, x));
}

static void sum_pull(const wl_op_call *c, const wl_real *gy, wl_real *gx, bool keep) {
  const wl_real g = gy[0];
  WL_FOR_EACH_PUT(i, c->in[0].node->size, gx, keep, g);
}

const wl_tape_op wl_tape_op_sum = {.name = "sum",
                                   .signature = "(...) -> ()",
                                   .arity = 1,
                                   WL_OP_PASSES(linear),
                                   .apply = {sum_apply},
                                   .pull = {sum_pull}};

static void mean_apply(const wl_op_call *c, const wl_real *x, wl_real *y, bool keep) {
  const int64_t n = c->in[0].node->size;
  y[0] = (wl_real)((keep ? (double)y[0] : 0.0) + wl_sum(n, x) / (double)n);
}

static void mean_pull(const wl_op_call *c, const wl_real *gy, wl_real *gx, bool keep) {
  const wl_real g = (wl_real)((double)gy[0] / (double)c->in[0].node->size);
  WL_FOR_EACH_PUT(i, c->in[0].node->size, gx, keep, g);
}

const wl_tape_op wl_tape_op_mean = {.name = "mean",
                                    .signature = "(...) -> ()",
                                    .arity = 1,
                                    WL_OP_PASSES(linear),
                                    .apply = {mean_apply},
                                    .pull = {mean_pull}};

/* Builders. */

wl_node wl_op_reshape(wl_tape *t, wl_node a, int ndim, const int64_t *shape) {
  const wl_tape_op *op = &wl_tape_op_reshape;
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  if (ndim < 0 || ndim > WL_MAX_DIMS)
    return wl_tape_refuse(
        t, WL_ERR_SOFTWARE,
        "operator reshape: the shape has %d dimensions, but the largest possible number is %d",
        ndim, WL_MAX_DIMS);
  const wl_tape_node draft = wl_tape_draft(op, a, -1, ndim, shape);
  const wl_node y = wl_tape_push(t, &draft);
  if (y >= 0 && t->nodes[y].size != t->nodes[a].size) return wl_tape_misfit(t, op, a, y);
  return y;
}

wl_node wl_op_column(wl_tape *t, wl_node a, int64_t column) {
  const wl_tape_op *op = &wl_tape_op_column;
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  const wl_tape_node *x = &t->nodes[a];
  if (x->ndim != 2) return wl_tape_misfit(t, op, a, -1);
  if (column < 0 || column >= x->shape[1])
    return wl_tape_refuse(
        t, WL_ERR_SOFTWARE,
        "operator column: column %lld does not exist, because the tensor has %lld columns",
        (long long)column, (long long)x->shape[1]);
  wl_tape_node draft = wl_tape_draft(op, a, -1, 1, x->shape);
  draft.column = column;
  return wl_tape_push(t, &draft);
}

static wl_node to_scalar(wl_tape *t, const wl_tape_op *op, wl_node a) {
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  const wl_tape_node draft = wl_tape_draft(op, a, -1, 0, NULL);
  return wl_tape_push(t, &draft);
}

wl_node wl_op_sum(wl_tape *t, wl_node a) { return to_scalar(t, &wl_tape_op_sum, a); }
wl_node wl_op_mean(wl_tape *t, wl_node a) { return to_scalar(t, &wl_tape_op_mean, a); }
