/* tape_pass.c - the passes over a tape: forward, reverse, tangent (Pearlmutter 1994).
 *
 *   forward   values in order of the nodes
 *   reverse   gradients against it, starting from dL/dL = 1
 *   tangent   dots in order, starting from v at the parameters; then the dots of the gradients
 *             against it, starting from 0, which end as H v at the parameters
 *
 * Parameters are read and their gradients written where the caller has them. */
#include <math.h>
#include <string.h>

#include "tensor/tape_ws.h"

/* What one pass works on: the caller's vectors, and which of them are wanted. */
typedef struct pass {
  const wl_tape *tape;
  const wl_tape_ws *ws;
  wl_real *grad[2];        /* theta, phi; reverse */
  const wl_real *v[2];     /* tangent */
  wl_real *hv[2];          /* tangent reverse */
  unsigned moving;         /* bits of the parameters with a v */
} pass;

static const wl_real *dot_of(const pass *p, int i) {
  const wl_tape_node *const node = &p->tape->nodes[i];
  if (!(node->depends & p->moving)) return NULL;
  if (node->leaf == WL_LEAF_THETA) return p->v[0] + node->offset;
  if (node->leaf == WL_LEAF_PHI) return p->v[1] + node->offset;
  return p->ws->cells[i].dot;
}

/* The gradient storage of node i: the caller's for a parameter, else the cell's. */
static wl_real *slot_of(const wl_tape_node *node, wl_real *const vectors[2], wl_real *own) {
  if (node->leaf == WL_LEAF_THETA) return vectors[0] ? vectors[0] + node->offset : NULL;
  if (node->leaf == WL_LEAF_PHI) return vectors[1] ? vectors[1] + node->offset : NULL;
  return own;
}

static wl_operand operand_of(const pass *p, int i, bool keep) {
  const wl_tape_node *const node = &p->tape->nodes[i];
  const wl_cell *const cell = &p->ws->cells[i];
  return (wl_operand){.node = node,
                      .value = wl_tape_value(p->ws, i),
                      .labels = cell->labels,
                      .grad = slot_of(node, p->grad, cell->grad),
                      .dot = dot_of(p, i),
                      .graddot = slot_of(node, p->hv, cell->graddot),
                      .keep = keep};
}

static wl_op_call call_of(const pass *p, int i) {
  const wl_tape_node *const node = &p->tape->nodes[i];
  const wl_cell *const cell = &p->ws->cells[i];
  wl_op_call call = {.node = node,
                     .value = cell->value,
                     .grad = cell->grad,
                     .dot = cell->dot,
                     .graddot = cell->graddot,
                     .saved = cell->saved,
                     .temp = p->ws->temp};
  for (int k = 0; k < node->op->arity; ++k) call.in[k] = operand_of(p, node->in[k], node->keep[k]);
  return call;
}

/* Zeros where a parameter does not act on the loss. */
static void clear_unused(const wl_tape *t, wl_real *const vectors[2]) {
  for (int i = 0; i < t->count; ++i) {
    const wl_tape_node *const node = &t->nodes[i];
    wl_real *const slot = node->on_path ? NULL : slot_of(node, vectors, NULL);
    if (slot) memset(slot, 0, (size_t)node->size * sizeof *slot);
  }
}

void wl_tape_forward(const wl_tape *t, wl_tape_ws *ws, const wl_real *theta, const wl_real *phi, double *loss) {
  ws->theta = theta;
  ws->phi = phi;
  const pass p = {.tape = t, .ws = ws};
  for (int i = 0; i < t->count; ++i) {
    if (!t->nodes[i].op) continue;
    const wl_op_call call = call_of(&p, i);
    t->nodes[i].op->forward(&call);
  }
  if (loss) *loss = (double)ws->cells[t->loss].value[0];
}

void wl_tape_reverse(const wl_tape *t, wl_tape_ws *ws, wl_real *grad_theta, wl_real *grad_phi) {
  const pass p = {.tape = t, .ws = ws, .grad = {grad_theta, grad_phi}};
  clear_unused(t, p.grad);
  if (!t->nodes[t->loss].depends) return;
  ws->cells[t->loss].grad[0] = 1;
  for (int i = t->loss; i >= 0; --i) {
    if (!wl_node_flows(&t->nodes[i])) continue;
    const wl_op_call call = call_of(&p, i);
    t->nodes[i].op->reverse(&call);
  }
}

void wl_tape_tangent(const wl_tape *t, wl_tape_ws *ws, const wl_real *v_theta, const wl_real *v_phi,
                     double *loss_dot, wl_real *hv_theta, wl_real *hv_phi) {
  const unsigned moving = (v_theta ? WL_TAPE_THETA : 0u) | (v_phi ? WL_TAPE_PHI : 0u);
  const pass p = {.tape = t, .ws = ws, .v = {v_theta, v_phi}, .hv = {hv_theta, hv_phi}, .moving = moving};
  clear_unused(t, p.hv);
  for (int i = 0; i <= t->loss; ++i) {
    if (!wl_node_flows(&t->nodes[i]) || !(t->nodes[i].depends & moving)) continue;
    const wl_op_call call = call_of(&p, i);
    t->nodes[i].op->tangent(&call);
  }
  const wl_real *const end = dot_of(&p, t->loss);
  if (loss_dot) *loss_dot = end ? (double)end[0] : 0.0;
  if (!t->nodes[t->loss].depends || (!hv_theta && !hv_phi)) return;
  ws->cells[t->loss].graddot[0] = 0;
  for (int i = t->loss; i >= 0; --i) {
    if (!wl_node_flows(&t->nodes[i])) continue;
    const wl_op_call call = call_of(&p, i);
    t->nodes[i].op->tangent_reverse(&call);
  }
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
    hits += best == labels[b] && row[best] == row[best]; /* a row of NaN is a miss */
  }
  return (double)hits / (double)rows;
}
