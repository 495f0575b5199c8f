/* ops_matmul.c - implements the operators for matrix products, which are bilinear.
 *
 *   matmul          Y = A B      abar += ybar B^T            bbar += A^T ybar
 *   batched_matvec  y_b = W_b x_b  Wbar_b += ybar_b x_b^T    xbar_b += W_b^T ybar_b */
#include "tensor/gemm.h"
#include "tensor/kernels.h"
#include "tensor/tape_impl.h"

/* Returns the sizes m, n and k of a matrix product. */
static wl_mnk sizes(const wl_op_call *c) {
  return (wl_mnk){c->node->shape[0], c->node->shape[1], c->in[0].node->shape[1]};
}

static double matmul_flops(const wl_tape_node *y, const wl_tape_node *a, const wl_tape_node *b) {
  (void)b;
  return 2.0 * (double)y->size * (double)a->shape[a->ndim - 1];
}

/* matmul */

static void matmul_product(const wl_op_call *c, const wl_real *a, const wl_real *b, wl_real *y,
                           bool keep) {
  const wl_mnk s = sizes(c);
  wl_gemm_nn(s, a, b, y, keep);
}

static void matmul_pull_a(const wl_op_call *c, const wl_real *gy, const wl_real *b, wl_real *ga,
                          bool keep) {
  const wl_mnk s = sizes(c);
  wl_gemm_nt((wl_mnk){s.m, s.k, s.n}, gy, b, ga, keep);
}

static void matmul_pull_b(const wl_op_call *c, const wl_real *a, const wl_real *gy, wl_real *gb,
                          bool keep) {
  const wl_mnk s = sizes(c);
  wl_gemm_tn((wl_mnk){s.k, s.n, s.m}, a, gy, gb, keep);
}

const wl_tape_op wl_tape_op_matmul = {.name = "matmul",
                                      .signature = "(m,k)(k,n) -> (m,n)",
                                      .arity = 2,
                                      WL_OP_PASSES(bilinear),
                                      .flops = matmul_flops,
                                      .product = matmul_product,
                                      .pull_a = matmul_pull_a,
                                      .pull_b = matmul_pull_b};

/* batched_matvec multiplies B small matrices by vectors; the shapes are W (B,m,k), x (B,k) and y
 * (B,m) */

static void matvec_product(const wl_op_call *c, const wl_real *w, const wl_real *x, wl_real *y,
                           bool keep) {
  const int64_t m = c->node->shape[1], k = c->in[1].node->shape[1];
  const wl_gemm_kernel product = wl_kernels()->nt;
  for (int64_t b = 0; b < c->node->shape[0]; ++b)
    product(m, 1, k, w + b * m * k, x + b * k, y + b * m, keep);
}

static void matvec_pull_w(const wl_op_call *c, const wl_real *gy, const wl_real *x, wl_real *gw,
                          bool keep) {
  const int64_t m = c->node->shape[1], k = c->in[1].node->shape[1];
  const wl_gemm_kernel product = wl_kernels()->nn;
  for (int64_t b = 0; b < c->node->shape[0]; ++b)
    product(m, k, 1, gy + b * m, x + b * k, gw + b * m * k, keep);
}

static void matvec_pull_x(const wl_op_call *c, const wl_real *w, const wl_real *gy, wl_real *gx,
                          bool keep) {
  const int64_t m = c->node->shape[1], k = c->in[1].node->shape[1];
  const wl_gemm_kernel product = wl_kernels()->nn;
  for (int64_t b = 0; b < c->node->shape[0]; ++b)
    product(1, k, m, gy + b * m, w + b * m * k, gx + b * k, keep);
}

const wl_tape_op wl_tape_op_batched_matvec = {.name = "batched_matvec",
                                              .signature = "(B,m,k)(B,k) -> (B,m)",
                                              .arity = 2,
                                              WL_OP_PASSES(bilinear),
                                              .flops = matmul_flops,
                                              .product = matvec_product,
                                              .pull_a = matvec_pull_w,
                                              .pull_b = matvec_pull_x};

/* Builders. */

wl_node wl_op_matmul(wl_tape *t, wl_node a, wl_node b) {
  const wl_tape_op *op = &wl_tape_op_matmul;
  if (!wl_tape_operands(t, op, a, b)) return -1;
  const wl_tape_node *x = &t->nodes[a], *y = &t->nodes[b];
  if (x->ndim != 2 || y->ndim != 2 || x->shape[1] != y->shape[0])
    return wl_tape_misfit(t, op, a, b);
  const wl_tape_node draft =
      wl_tape_draft(op, a, b, 2, (const int64_t[]){x->shape[0], y->shape[1]});
  return wl_tape_push(t, &draft);
}

wl_node wl_op_batched_matvec(wl_tape *t, wl_node w, wl_node x) {
  const wl_tape_op *op = &wl_tape_op_batched_matvec;
  if (!wl_tape_operands(t, op, w, x)) return -1;
  const wl_tape_node *a = &t->nodes[w], *b = &t->nodes[x];
  if (a->ndim != 3 || b->ndim != 2 || a->shape[0] != b->shape[0] || a->shape[2] != b->shape[1])
    return wl_tape_misfit(t, op, w, x);
  const wl_tape_node draft = wl_tape_draft(op, w, x, 2, a->shape);
  return wl_tape_push(t, &draft);
}
