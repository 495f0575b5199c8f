/* ops_loss.c - implements the operator for the softmax cross-entropy. The loss is the mean over the
 * batch; the sum over the batch is computed in double precision.
 *
 *   L = 1/B sum_b [log sum_c e^{x_bc} - x_{b,label_b}],   p = softmax(x)
 *   reverse          xbar_bc  += Lbar (p_bc - [c = label_b]) / B
 *   tangent          L.        = 1/B sum_bc (p_bc - [c = label_b]) x._bc
 *   tangent reverse  x.bar_bc += L.bar (p_bc - [c = label_b]) / B + Lbar p._bc / B,
 *                    p._bc = p_bc (x._bc - sum_c' p_bc' x._bc')
 *
 * The term [c = label_b] is 1 if c equals the label, and otherwise 0. If a label is outside [0, C),
 * the loss is NaN, and the term [c = label_b] is 0. */
#include <math.h>

#include "tensor/kernels.h"
#include "tensor/sums.h"
#include "tensor/tape_impl.h"

/* The memory `saved` contains p (B,C), and the memory `temp` contains x minus the maximum of each
 * row (B,C). */

static void subtract_top(int64_t classes, const wl_real *x, wl_real *below) {
  wl_real top = x[0];
  for (int64_t c = 1; c < classes; ++c) top = x[c] > top ? x[c] : top;
  for (int64_t c = 0; c < classes; ++c) below[c] = x[c] - top;
}

static void softmax_forward(const wl_op_call *call) {
  const int64_t rows = call->in[0].node->shape[0], classes = call->in[0].node->shape[1];
  wl_real *below = call->temp;
  for (int64_t b = 0; b < rows; ++b)
    subtract_top(classes, call->in[0].value + b * classes, below + b * classes);
  wl_kernels()->exp(rows * classes, below, call->saved);
  double loss = 0.0;
  for (int64_t b = 0; b < rows; ++b) {
    wl_real *p = (wl_real *)call->saved + b * classes;
    const int32_t label = call->in[1].labels[b];
    const double sum = wl_sum(classes, p);
    for (int64_t c = 0; c < classes; ++c) p[c] = (wl_real)((double)p[c] / sum);
    loss += log(sum) -
            (label >= 0 && label < classes ? (double)below[b * classes + label] : (double)NAN);
  }
  call->value[0] = (wl_real)(loss / (double)rows);
}

/* Computes out (B,C) = factor * (p - [c = label_b]). If `keep` is true, this value is added to
 * `out`. */
static void put_residual(const wl_op_call *c, wl_real factor, wl_real *out, bool keep) {
  const int64_t rows = c->in[0].node->shape[0], classes = c->in[0].node->shape[1];
  const wl_real *p = c->saved;
  WL_FOR_EACH_PUT(i, rows * classes, out, keep, factor * p[i]);
  for (int64_t b = 0; b < rows; ++b) {
    const int32_t label = c->in[1].labels[b];
    if (label >= 0 && label < classes) out[b * classes + label] -= factor;
  }
}

static void softmax_reverse(const wl_op_call *c) {
  const double rows = (double)c->in[0].node->shape[0];
  if (c->in[0].grad)
    put_residual(c, (wl_real)((double)c->grad[0] / rows), c->in[0].grad, c->in[0].keep);
}

static void softmax_tangent(const wl_op_call *c) {
  const int64_t rows = c->in[0].node->shape[0], classes = c->in[0].node->shape[1];
  const wl_real *p = c->saved;
  double sum = 0.0;
  for (int64_t b = 0; b < rows; ++b) {
    const int32_t label = c->in[1].labels[b];
    const wl_real *dx = c->in[0].dot + b * classes;
    sum += wl_sum_product(classes, p + b * classes, dx);
    if (label >= 0 && label < classes) sum -= (double)dx[label];
  }
  c->dot[0] = (wl_real)(sum / (double)rows);
}

static void softmax_tangent_reverse(const wl_op_call *c) {
  wl_real *hx = c->in[0].graddot;
  if (!hx) return;
  const int64_t rows = c->in[0].node->shape[0], classes = c->in[0].node->shape[1];
  put_residual(c, (wl_real)((double)c->graddot[0] / (double)rows), hx, c->in[0].keep);
  if (!c->in[0].dot) return;
  const wl_real factor = (wl_real)((double)c->grad[0] / (double)rows);
  for (int64_t b = 0; b < rows; ++b) {
    const wl_real *p = (const wl_real *)c->saved + b * classes, *dx = c->in[0].dot + b * classes;
    const wl_real mean = (wl_real)wl_sum_product(classes, p, dx);
    for (int64_t k = 0; k < classes; ++k) hx[b * classes + k] += factor * p[k] * (dx[k] - mean);
  }
}

static double softmax_flops(const wl_tape_node *y, const wl_tape_node *x,
                            const wl_tape_node *labels) {
  (void)y, (void)labels;
  return 25.0 * (double)x->size;
}

const wl_tape_op wl_tape_op_softmax_cross_entropy = {.name = "softmax_cross_entropy",
                                                     .signature = "(B,C) and B labels -> ()",
                                                     .arity = 2,
                                                     .takes_labels = true,
                                                     .forward = softmax_forward,
                                                     .reverse = softmax_reverse,
                                                     .tangent = softmax_tangent,
                                                     .tangent_reverse = softmax_tangent_reverse,
                                                     .flops = softmax_flops};

/* Builders. */

wl_node wl_op_softmax_cross_entropy(wl_tape *t, wl_node logits, wl_node labels) {
  const wl_tape_op *op = &wl_tape_op_softmax_cross_entropy;
  if (!wl_tape_operands(t, op, logits, labels)) return -1;
  const wl_tape_node *x = &t->nodes[logits];
  if (x->ndim != 2 || x->shape[0] != t->nodes[labels].shape[0])
    return wl_tape_misfit(t, op, logits, labels);
  wl_tape_node draft = wl_tape_draft(op, logits, labels, 0, NULL);
  draft.saved_bytes = draft.temp_bytes = (size_t)x->size * sizeof(wl_real);
  return wl_tape_push(t, &draft);
}
