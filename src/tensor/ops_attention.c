/* ops_attention.c - implements the operators that attention needs. The operators multiply the
 * matrices of two batches, or apply softmax to each matrix of a batch.
 *
 *   batched_matmul     Y_n = A_n B_n      Abar_n += Ybar_n B_n^T,  Bbar_n += A_n^T Ybar_n
 *   batched_matmul_nt  Y_n = A_n B_n^T    Abar_n += Ybar_n B_n,    Bbar_n += Ybar_n^T A_n
 *   causal_softmax     y_ij = exp x_ij / sum_{k <= i} exp x_ik for j <= i, and y_ij = 0 for j > i
 *     J z = y (z - <y, z>),   J. z = y. (z - <y, z>) - y <y., z>
 *
 * J is the Jacobian of causal_softmax for one row, and J. is its derivative along v
 * (tape_impl.h). */
#include "tensor/kernels.h"
#include "tensor/sums.h"
#include "tensor/tape_impl.h"

/* batched products */

/* Defines a function that multiplies two batches of matrices with one kernel: out_n = first_n
 * second_n for every n. The matrix out_n has the shape (rows,columns). If `keep` is true, the
 * product is added to out_n. */
#define BATCHED(name, kernel, rows, columns, inner, first, second)                                \
  static void name(const wl_op_call *c, const wl_real *p, const wl_real *q, wl_real *out,         \
                   bool keep) {                                                                   \
    const int64_t m = c->node->shape[1], n = c->node->shape[2], k = c->in[0].node->shape[2];      \
    for (int64_t b = 0; b < c->node->shape[0]; ++b)                                               \
      wl_kernels()->kernel(rows, columns, inner, first + b * (rows) * (inner),                    \
                           second + b * (inner) * (columns), out + b * (rows) * (columns), keep); \
  }
BATCHED(product_nn, nn, m, n, k, p, q) /* A B */
BATCHED(pull_nn_a, nt, m, k, n, p, q)  /* Ybar B^T */
BATCHED(pull_nn_b, tn, k, n, m, p, q)  /* A^T Ybar */
BATCHED(product_nt, nt, m, n, k, p, q) /* A B^T */
BATCHED(pull_nt_a, nn, m, k, n, p, q)  /* Ybar B */
BATCHED(pull_nt_b, tn, n, k, m, q, p)  /* Ybar^T A, where p is A and q is Ybar */

static double batched_flops(const wl_tape_node *y, const wl_tape_node *a, const wl_tape_node *b) {
  (void)b;
  return 2.0 * (double)y->size * (double)a->shape[2];
}

const wl_tape_op wl_tape_op_batched_matmul = {.name = "batched_matmul",
                                              .signature = "(N,m,k)(N,k,n) -> (N,m,n)",
                                              .arity = 2,
                                              WL_OP_PASSES(bilinear),
                                              .flops = batched_flops,
                                              .product = product_nn,
                                              .pull_a = pull_nn_a,
                                              .pull_b = pull_nn_b};

const wl_tape_op wl_tape_op_batched_matmul_nt = {.name = "batched_matmul_nt",
                                                 .signature = "(N,m,k)(N,n,k) -> (N,m,n)",
                                                 .arity = 2,
                                                 WL_OP_PASSES(bilinear),
                                                 .flops = batched_flops,
                                                 .product = product_nt,
                                                 .pull_a = pull_nt_a,
                                                 .pull_b = pull_nt_b};

/* causal softmax of each row of a tensor (N,T,T) */

static void causal_softmax_forward(const wl_op_call *c) {
  const int64_t rows = c->node->shape[0] * c->node->shape[1], n = c->node->shape[2];
  wl_real *below = c->temp;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t seen = r % n + 1;
    const wl_real *x = c->in[0].value + r * n;
    wl_real *y = c->value + r * n, top = x[0];
    for (int64_t j = 1; j < seen; ++j) top = x[j] > top ? x[j] : top;
    for (int64_t j = 0; j < seen; ++j) below[j] = x[j] - top;
    wl_kernels()->exp(seen, below, y);
    const wl_real factor = (wl_real)(1.0 / wl_sum(seen, y));
    for (int64_t j = 0; j < seen; ++j) y[j] *= factor;
    for (int64_t j = seen; j < n; ++j) y[j] = 0;
  }
}

/* Multiplies z by the Jacobian J. If `keep` is true, the product is added to `out`. */
static void jacobian(const wl_op_call *c, const wl_real *z, wl_real *out, bool keep) {
  const int64_t rows = c->node->shape[0] * c->node->shape[1], n = c->node->shape[2];
  for (int64_t r = 0; r < rows; ++r) {
    const wl_real *y = c->value + r * n, *from = z + r * n;
    const wl_real mean = (wl_real)wl_sum_product(r % n + 1, y, from);
    WL_FOR_EACH_PUT(j, n, out + r * n, keep, y[j] * (from[j] - mean));
  }
}

/* Multiplies the gradient of y by the Jacobian's derivative along v, and adds the product to
 * `out`. */
static void add_jacobian_dot(const wl_op_call *c, wl_real *out) {
  const int64_t rows = c->node->shape[0] * c->node->shape[1], n = c->node->shape[2];
  for (int64_t r = 0; r < rows; ++r) {
    const wl_real *y = c->value + r * n, *dy = c->dot + r * n, *z = c->grad + r * n;
    const wl_real mean = (wl_real)wl_sum_product(r % n + 1, y, z),
                  mean_dot = (wl_real)wl_sum_product(r % n + 1, dy, z);
    for (int64_t j = 0; j <= r % n; ++j) out[r * n + j] += dy[j] * (z[j] - mean) - y[j] * mean_dot;
  }
}

static double causal_softmax_flops(const wl_tape_node *y, const wl_tape_node *a,
                                   const wl_tape_node *b) {
  (void)a, (void)b;
  return 15.0 * (double)y->size;
}

const wl_tape_op wl_tape_op_causal_softmax = {.name = "causal_softmax",
                                              .signature = "(N,T,T)",
                                              .arity = 1,
                                              .forward = causal_softmax_forward,
                                              WL_SYMMETRIC_PASSES,
                                              .flops = causal_softmax_flops};

/* Builders. */

static wl_node batched(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b, int inner) {
  if (!wl_tape_operands(t, op, a, b)) return -1;
  const wl_tape_node *x = &t->nodes[a], *y = &t->nodes[b];
  if (x->ndim != 3 || y->ndim != 3 || x->shape[0] != y->shape[0] || x->shape[2] != y->shape[inner])
    return wl_tape_misfit(t, op, a, b);
  const wl_tape_node draft =
      wl_tape_draft(op, a, b, 3, (const int64_t[]){x->shape[0], x->shape[1], y->shape[3 - inner]});
  return wl_tape_push(t, &draft);
}

wl_node wl_op_batched_matmul(wl_tape *t, wl_node a, wl_node b) {
  return batched(t, &wl_tape_op_batched_matmul, a, b, 1);
}

wl_node wl_op_batched_matmul_nt(wl_tape *t, wl_node a, wl_node b) {
  return batched(t, &wl_tape_op_batched_matmul_nt, a, b, 2);
}

wl_node wl_op_causal_softmax(wl_tape *t, wl_node a) {
  const wl_tape_op *op = &wl_tape_op_causal_softmax;
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  const wl_tape_node *x = &t->nodes[a];
  if (x->ndim != 3 || x->shape[1] != x->shape[2]) return wl_tape_misfit(t, op, a, -1);
  wl_tape_node draft = wl_tape_draft(op, a, -1, 3, x->shape);
  draft.temp_bytes = (size_t)x->shape[2] * sizeof(wl_real);
  return wl_tape_push(t, &draft);
}
