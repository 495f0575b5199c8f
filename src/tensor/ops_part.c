/* ops_part.c - implements operators that select, combine or reorder parts of tensors.
 *
 *   embedding  y_i = W_{label_i}                    Wbar_{label_i} += ybar_i
 *   slice      y = selected rows or columns of x    xbar[part] += ybar
 *   concat     y = [a; b] along dimension 0         abar += ybar[first part]
 *   swap       y_{b,j,i,k} = x_{b,i,j,k}            xbar_{b,i,j,k} += ybar_{b,j,i,k} */
#include <math.h>
#include <string.h>

#include "tensor/tape_impl.h"

/* embedding: selects a row of the table (V,d) for each of N labels. If a label is outside [0, V),
 * the result is NaN, and the label contributes no gradient. */

static void look_up(const wl_op_call *c, const wl_real *table, wl_real *y) {
  const int64_t rows = c->in[0].node->shape[0], d = c->in[0].node->shape[1];
  for (int64_t i = 0; i < c->node->shape[0]; ++i) {
    const int64_t label = c->in[1].labels[i];
    if (label >= 0 && label < rows) memcpy(y + i * d, table + label * d, (size_t)d * sizeof *y);
    else
      for (int64_t k = 0; k < d; ++k) y[i * d + k] = (wl_real)NAN;
  }
}

static void add_to_table(const wl_op_call *c, const wl_real *gy, wl_real *table) {
  const int64_t rows = c->in[0].node->shape[0], d = c->in[0].node->shape[1];
  if (!c->in[0].keep) memset(table, 0, (size_t)(rows * d) * sizeof *table);
  for (int64_t i = 0; i < c->node->shape[0]; ++i) {
    const int64_t label = c->in[1].labels[i];
    for (int64_t k = 0; k < d && label >= 0 && label < rows; ++k)
      table[label * d + k] += gy[i * d + k];
  }
}

static void embedding_forward(const wl_op_call *c) { look_up(c, c->in[0].value, c->value); }
static void embedding_reverse(const wl_op_call *c) {
  if (c->in[0].grad) add_to_table(c, c->grad, c->in[0].grad);
}
static void embedding_tangent(const wl_op_call *c) { look_up(c, c->in[0].dot, c->dot); }
static void embedding_tangent_reverse(const wl_op_call *c) {
  if (c->in[0].graddot) add_to_table(c, c->graddot, c->in[0].graddot);
}

static double output_size(const wl_tape_node *y, const wl_tape_node *a, const wl_tape_node *b) {
  (void)a, (void)b;
  return (double)y->size;
}

const wl_tape_op wl_tape_op_embedding = {.name = "embedding",
                                         .signature = "(V,d) and N labels -> (N,d)",
                                         .arity = 2,
                                         .takes_labels = true,
                                         .forward = embedding_forward,
                                         .reverse = embedding_reverse,
                                         .tangent = embedding_tangent,
                                         .tangent_reverse = embedding_tangent_reverse,
                                         .flops = output_size};

/* slice: selects rows or columns of a matrix (m,n). The member node->column is the first row or
 * column, and node->window is 0 for rows and 1 for columns. The shape of y contains the number of
 * rows or columns. */

static const wl_real *slice_row(const wl_op_call *c, const wl_real *x, int64_t row) {
  const int64_t n = c->in[0].node->shape[1];
  return c->node->window == 0 ? x + (c->node->column + row) * n : x + row * n + c->node->column;
}

static void slice_apply(const wl_op_call *c, const wl_real *x, wl_real *y, bool keep) {
  const int64_t rows = c->node->shape[0], columns = c->node->shape[1];
  for (int64_t r = 0; r < rows; ++r) {
    const wl_real *from = slice_row(c, x, r);
    WL_FOR_EACH_PUT(k, columns, y + r * columns, keep, from[k]);
  }
}

static void slice_pull(const wl_op_call *c, const wl_real *gy, wl_real *gx, bool keep) {
  const int64_t rows = c->node->shape[0], columns = c->node->shape[1];
  if (!keep) memset(gx, 0, (size_t)c->in[0].node->size * sizeof *gx);
  for (int64_t r = 0; r < rows; ++r) {
    wl_real *to = gx + (slice_row(c, gx, r) - gx);
    for (int64_t k = 0; k < columns; ++k) to[k] += gy[r * columns + k];
  }
}

const wl_tape_op wl_tape_op_slice = {.name = "slice",
                                     .signature = "(m,n) -> (count,n) or (m,count)",
                                     .arity = 1,
                                     WL_OP_PASSES(linear),
                                     .flops = output_size,
                                     .apply = {slice_apply},
                                     .pull = {slice_pull}};

/* concat: joins two tensors along the first dimension */

static void concat_apply_first(const wl_op_call *c, const wl_real *a, wl_real *y, bool keep) {
  const int64_t n = c->in[0].node->size;
  WL_FOR_EACH_PUT(i, n, y, keep, a[i]);
  if (!keep) memset(y + n, 0, (size_t)(c->node->size - n) * sizeof *y);
}

static void concat_apply_second(const wl_op_call *c, const wl_real *b, wl_real *y, bool keep) {
  const int64_t n = c->in[0].node->size;
  WL_FOR_EACH_PUT(i, c->node->size - n, y + n, keep, b[i]);
  if (!keep) memset(y, 0, (size_t)n * sizeof *y);
}

static void concat_pull_first(const wl_op_call *c, const wl_real *gy, wl_real *ga, bool keep) {
  WL_FOR_EACH_PUT(i, c->in[0].node->size, ga, keep, gy[i]);
}

static void concat_pull_second(const wl_op_call *c, const wl_real *gy, wl_real *gb, bool keep) {
  const wl_real *from = gy + c->in[0].node->size;
  WL_FOR_EACH_PUT(i, c->in[1].node->size, gb, keep, from[i]);
}

const wl_tape_op wl_tape_op_concat = {.name = "concat",
                                      .signature = "(m,...)(n,...) -> (m+n,...)",
                                      .arity = 2,
                                      WL_OP_PASSES(linear),
                                      .apply = {concat_apply_first, concat_apply_second},
                                      .pull = {concat_pull_first, concat_pull_second}};

/* swap: exchanges the two middle dimensions of a tensor */

static void swap_sizes(const wl_tape_node *from, const wl_real *x, wl_real *y, bool keep) {
  const int64_t m = from->shape[1], n = from->shape[2], d = from->shape[3];
  for (int64_t b = 0; b < from->shape[0]; ++b)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const wl_real *row = x + ((b * m + i) * n + j) * d;
        WL_FOR_EACH_PUT(k, d, y + ((b * n + j) * m + i) * d, keep, row[k]);
      }
}

static void swap_apply(const wl_op_call *c, const wl_real *x, wl_real *y, bool keep) {
  swap_sizes(c->in[0].node, x, y, keep);
}
static void swap_pull(const wl_op_call *c, const wl_real *gy, wl_real *gx, bool keep) {
  swap_sizes(c->node, gy, gx, keep);
}

const wl_tape_op wl_tape_op_swap = {.name = "swap",
                                    .signature = "(B,m,n,d) -> (B,n,m,d)",
                                    .arity = 1,
                                    WL_OP_PASSES(linear),
                                    .apply = {swap_apply},
                                    .pull = {swap_pull}};

/* Builders. */

wl_node wl_op_embedding(wl_tape *t, wl_node table, wl_node labels) {
  const wl_tape_op *op = &wl_tape_op_embedding;
  if (!wl_tape_operands(t, op, table, labels)) return -1;
  if (t->nodes[table].ndim != 2) return wl_tape_misfit(t, op, table, labels);
  const wl_tape_node draft = wl_tape_draft(
      op, table, labels, 2, (const int64_t[]){t->nodes[labels].shape[0], t->nodes[table].shape[1]});
  return wl_tape_push(t, &draft);
}

static wl_node slice(wl_tape *t, wl_node a, int axis, int64_t first, int64_t count) {
  const wl_tape_op *op = &wl_tape_op_slice;
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  const wl_tape_node *x = &t->nodes[a];
  if (x->ndim != 2) return wl_tape_misfit(t, op, a, -1);
  if (first < 0 || count < 1 || first > x->shape[axis] - count)
    return wl_tape_refuse(
        t, WL_ERR_SOFTWARE,
        "operator slice: cannot select %lld rows or columns from number %lld onwards, because the "
        "tensor has only %lld",
        (long long)count, (long long)first, (long long)x->shape[axis]);
  wl_tape_node draft = wl_tape_draft(op, a, -1, 2, x->shape);
  draft.shape[axis] = count;
  draft.column = first;
  draft.window = axis;
  return wl_tape_push(t, &draft);
}

wl_node wl_op_rows(wl_tape *t, wl_node a, int64_t first, int64_t count) {
  return slice(t, a, 0, first, count);
}

wl_node wl_op_columns(wl_tape *t, wl_node a, int64_t first, int64_t count) {
  return slice(t, a, 1, first, count);
}

wl_node wl_op_concat(wl_tape *t, wl_node a, wl_node b) {
  const wl_tape_op *op = &wl_tape_op_concat;
  if (!wl_tape_operands(t, op, a, b)) return -1;
  const wl_tape_node *x = &t->nodes[a], *y = &t->nodes[b];
  bool fits = x->ndim == y->ndim && x->ndim > 0;
  for (int d = 1; fits && d < x->ndim; ++d) fits = x->shape[d] == y->shape[d];
  if (!fits) return wl_tape_misfit(t, op, a, b);
  wl_tape_node draft = wl_tape_draft(op, a, b, x->ndim, x->shape);
  draft.shape[0] += y->shape[0];
  return wl_tape_push(t, &draft);
}

wl_node wl_op_swap(wl_tape *t, wl_node a) {
  const wl_tape_op *op = &wl_tape_op_swap;
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  const int64_t *s = t->nodes[a].shape;
  if (t->nodes[a].ndim != 4) return wl_tape_misfit(t, op, a, -1);
  const wl_tape_node draft = wl_tape_draft(op, a, -1, 4, (const int64_t[]){s[0], s[2], s[1], s[3]});
  return wl_tape_push(t, &draft);
}
