/* ops.c - implements the passes of linear operators, of bilinear operators and of operators with a
 * symmetric Jacobian. The file tape_impl.h contains the formulas. */
#include "tensor/tape_impl.h"

void wl_linear_copy(const wl_op_call *c, const wl_real *x, wl_real *out, bool keep) {
  WL_FOR_EACH_PUT(i, c->node->size, out, keep, x[i]);
}

void wl_linear_forward(const wl_op_call *c) {
  for (int k = 0; k < c->node->op->arity; ++k)
    c->node->op->apply[k](c, c->in[k].value, c->value, k > 0);
}

void wl_linear_reverse(const wl_op_call *c) {
  for (int k = 0; k < c->node->op->arity; ++k)
    if (c->in[k].grad && !(k == 0 && c->node->lends))
      c->node->op->pull[k](c, c->grad, c->in[k].grad, c->in[k].keep);
}

void wl_linear_tangent(const wl_op_call *c) {
  bool keep = false;
  for (int k = 0; k < c->node->op->arity; ++k) {
    if (!c->in[k].dot) continue;
    c->node->op->apply[k](c, c->in[k].dot, c->dot, keep);
    keep = true;
  }
}

void wl_linear_tangent_reverse(const wl_op_call *c) {
  for (int k = 0; k < c->node->op->arity; ++k)
    if (c->in[k].graddot && !(k == 0 && c->node->lends))
      c->node->op->pull[k](c, c->graddot, c->in[k].graddot, c->in[k].keep);
}

void wl_bilinear_forward(const wl_op_call *c) {
  c->node->op->product(c, c->in[0].value, c->in[1].value, c->value, false);
}

void wl_bilinear_reverse(const wl_op_call *c) {
  const wl_operand *a = &c->in[0], *b = &c->in[1];
  if (a->grad) c->node->op->pull_a(c, c->grad, b->value, a->grad, a->keep);
  if (b->grad) c->node->op->pull_b(c, a->value, c->grad, b->grad, b->keep);
}

void wl_bilinear_tangent(const wl_op_call *c) {
  const wl_operand *a = &c->in[0], *b = &c->in[1];
  if (a->dot) c->node->op->product(c, a->dot, b->value, c->dot, false);
  if (b->dot) c->node->op->product(c, a->value, b->dot, c->dot, a->dot != NULL);
}

void wl_bilinear_tangent_reverse(const wl_op_call *c) {
  const wl_tape_op *op = c->node->op;
  const wl_operand *a = &c->in[0], *b = &c->in[1];
  if (a->graddot) {
    op->pull_a(c, c->graddot, b->value, a->graddot, a->keep);
    if (b->dot) op->pull_a(c, c->grad, b->dot, a->graddot, true);
  }
  if (b->graddot) {
    op->pull_b(c, a->value, c->graddot, b->graddot, b->keep);
    if (a->dot) op->pull_b(c, a->dot, c->grad, b->graddot, true);
  }
}

void wl_symmetric_reverse(const wl_op_call *c) {
  const wl_operand *x = &c->in[0];
  if (x->grad) c->node->op->jacobian(c, c->grad, x->grad, x->keep);
}

void wl_symmetric_tangent(const wl_op_call *c) {
  c->node->op->jacobian(c, c->in[0].dot, c->dot, false);
}

void wl_symmetric_tangent_reverse(const wl_op_call *c) {
  const wl_operand *x = &c->in[0];
  if (!x->graddot) return;
  c->node->op->jacobian(c, c->graddot, x->graddot, x->keep);
  if (x->dot) c->node->op->add_jacobian_dot(c, x->graddot);
}
