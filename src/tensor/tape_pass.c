/* tape_pass.c - runs the forward, the reverse and the tangent pass over a tape (Pearlmutter 1994).
 *
 * The forward pass computes the values of the nodes in the order of the tape. The reverse pass
 * starts with dL/dL = 1 and computes the gradients in reverse order. The array `dot` of a node is
 * the derivative of the node's value along v, and the array `graddot` is the derivative of the
 * node's gradient along v. The tangent pass starts with v as the derivative of the parameters, and
 * computes the derivatives of the values in the order of the nodes. The tangent pass then starts
 * with 0, the derivative of dL/dL, and computes the derivatives of the gradients in reverse order.
 * The derivatives of the parameters' gradients are the Hessian-vector product.
 *
 * The parameters and their gradients are in arrays of the caller. */
#include <math.h>
#include <string.h>

#include "tensor/tape_ws.h"

/* Returns the address of a parameter leaf in the caller's vector theta or phi. If the vector is
 * NULL, the function returns NULL. */
static wl_real *part_of(const wl_tape_node *leaf, wl_real *theta, wl_real *phi) {
  wl_real *const vector = leaf->leaf == WL_LEAF_THETA ? theta : phi;
  return vector ? vector + leaf->offset : NULL;
}

static const wl_real *const_part_of(const wl_tape_node *leaf, const wl_real *theta,
                                    const wl_real *phi) {
  const wl_real *const vector = leaf->leaf == WL_LEAF_THETA ? theta : phi;
  return vector ? vector + leaf->offset : NULL;
}

static bool is_parameter(const wl_tape_node *node) {
  return node->leaf == WL_LEAF_THETA || node->leaf == WL_LEAF_PHI;
}

/* For each operand of a call: executes the statement after the macro if the operand is a parameter.
 * The values, the gradients and the derivatives of parameters along v are in arrays of the
 * caller. */
#define WL_FOR_PARAMETERS(call, operand)                                                 \
  for (wl_operand *operand = (call)->in; operand < (call)->in + (call)->node->op->arity; \
       ++operand)                                                                        \
    if (is_parameter(operand->node))

/* Sets the pointers `dot` of all operands to the operands' derivatives along v. If an operand does
 * not depend on the parameters in `moving`, its derivative is zero, and the pointer is NULL. */
static void set_moving(const wl_tape *t, wl_tape_ws *ws, unsigned moving) {
  if (ws->moving == moving) return;
  ws->moving = moving;
  for (int i = 0; i < t->count; ++i)
    for (int k = 0; t->nodes[i].op && k < t->nodes[i].op->arity; ++k) {
      const wl_node operand = t->nodes[i].in[k];
      ws->calls[i].in[k].dot = t->nodes[operand].depends & moving ? ws->cells[operand].dot : NULL;
    }
}

/* Sets the gradients to 0 for all parameters on which the loss does not depend. */
static void clear_unused(const wl_tape *t, wl_real *theta, wl_real *phi) {
  for (int i = 0; i < t->count; ++i) {
    const wl_tape_node *const node = &t->nodes[i];
    wl_real *const slot = node->on_path || !is_parameter(node) ? NULL : part_of(node, theta, phi);
    if (slot) memset(slot, 0, (size_t)node->size * sizeof *slot);
  }
}

void wl_tape_forward(const wl_tape *t, wl_tape_ws *ws, const wl_real *theta, const wl_real *phi,
                     double *loss) {
  ws->theta = theta;
  ws->phi = phi;
  for (int i = 0; i < t->count; ++i) {
    if (!t->nodes[i].op) continue;
    wl_op_call *const call = &ws->calls[i];
    WL_FOR_PARAMETERS(call, p) p->value = const_part_of(p->node, theta, phi);
    t->nodes[i].op->forward(call);
  }
  if (loss) *loss = (double)ws->cells[t->loss].value[0];
}

void wl_tape_move(const wl_tape *t, wl_tape_ws *ws, const wl_real *theta, const wl_real *phi) {
  ws->theta = theta;
  ws->phi = phi;
  for (int i = 0; i < t->count; ++i)
    if (t->nodes[i].op)
      WL_FOR_PARAMETERS(&ws->calls[i], p) p->value = const_part_of(p->node, theta, phi);
}

void wl_tape_reverse(const wl_tape *t, wl_tape_ws *ws, wl_real *grad_theta, wl_real *grad_phi) {
  clear_unused(t, grad_theta, grad_phi);
  if (!t->nodes[t->loss].depends) return;
  ws->cells[t->loss].grad[0] = 1;
  for (int i = t->loss; i >= 0; --i) {
    if (!wl_node_flows(&t->nodes[i])) continue;
    wl_op_call *const call = &ws->calls[i];
    WL_FOR_PARAMETERS(call, p) p->grad = part_of(p->node, grad_theta, grad_phi);
    t->nodes[i].op->reverse(call);
  }
}

double wl_tape_tangent(const wl_tape *t, wl_tape_ws *ws, const wl_real *v_theta,
                       const wl_real *v_phi, wl_real *hv_theta, wl_real *hv_phi) {
  const unsigned moving = (v_theta ? WL_TAPE_THETA : 0u) | (v_phi ? WL_TAPE_PHI : 0u);
  set_moving(t, ws, moving);
  clear_unused(t, hv_theta, hv_phi);
  for (int i = 0; i <= t->loss; ++i) {
    if (!wl_node_flows(&t->nodes[i])) continue;
    wl_op_call *const call = &ws->calls[i];
    WL_FOR_PARAMETERS(call, p) {
      p->dot = const_part_of(p->node, v_theta, v_phi);
      p->graddot = part_of(p->node, hv_theta, hv_phi);
    }
    if (t->nodes[i].depends & moving) t->nodes[i].op->tangent(call);
  }
  const double loss_dot =
      t->nodes[t->loss].depends & moving ? (double)ws->cells[t->loss].dot[0] : 0.0;
  if (!t->nodes[t->loss].depends || (!hv_theta && !hv_phi)) return loss_dot;
  ws->cells[t->loss].graddot[0] = 0;
  for (int i = t->loss; i >= 0; --i)
    if (wl_node_flows(&t->nodes[i])) t->nodes[i].op->tangent_reverse(&ws->calls[i]);
  return loss_dot;
}

double wl_tape_accuracy(const wl_tape *t, const wl_tape_ws *ws) {
  if (t->logits < 0) return NAN;
  const int64_t rows = t->nodes[t->logits].shape[0], columns = t->nodes[t->logits].shape[1];
  const wl_real *const logits = wl_tape_value(ws, t->logits);
  const int32_t *const labels = ws->cells[t->labels].labels;
  int64_t hits = 0;
  for (int64_t b = 0; b < rows; ++b) {
    const wl_real *const row = logits + b * columns;
    int64_t best = 0;
    for (int64_t c = 1; c < columns; ++c)
      if (row[c] > row[best]) best = c;
    /* a row that contains a NaN counts as a wrong answer */
    hits += best == labels[b] && row[best] == row[best];
  }
  return (double)hits / (double)rows;
}
