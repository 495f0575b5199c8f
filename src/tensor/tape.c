/* tape.c - builds a tape: adds leaves and operators, and completes the tape.
 *
 * The function wl_tape_finish marks the nodes on which the loss depends. A consumer of a node is an
 * operator that has the node as an operand. For the gradient of each node, wl_tape_finish chooses
 * the consumer that writes the gradient. All other consumers of a node add to its gradient. The
 * function wl_tape_finish also computes the tape's estimated number of floating-point operations.
 * After wl_tape_finish, the tape does not change. */
#include "tensor/tape_impl.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const wl_tape_op *const wl_tape_op_table[] = {
#define WL_TAPE_OP(name) &wl_tape_op_##name,
#include "tensor/tape_ops.def"
#undef WL_TAPE_OP
    NULL};

wl_status wl_tape_create(wl_tape **out) {
  WL_TRY(WL_NEW(*out, 1));
  (*out)->loss = (*out)->logits = (*out)->labels = -1;
  return WL_OK;
}

void wl_tape_destroy(wl_tape **tape) {
  if (!tape || !*tape) return;
  wl_layout_clear(&(*tape)->theta);
  wl_layout_clear(&(*tape)->phi);
  wl_free((*tape)->nodes);
  wl_free(*tape);
  *tape = NULL;
}

/* If the tape has no earlier error, stores the error in the tape. */

wl_node wl_tape_refuse(wl_tape *t, wl_status status, const char *format, ...) {
  if (t->status != WL_OK) return -1;
  t->status = status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(t->message, sizeof t->message, format, arguments);
  va_end(arguments);
  return -1;
}

/* Writes the shape of a node to the string `text`, for example "(128,784)". The shape of a scalar
 * is written as "()". */
static void shape_text(const wl_tape_node *node, size_t size, char *text) {
  size_t used = (size_t)snprintf(text, size, "(");
  for (int d = 0; d < node->ndim && used < size; ++d)
    used += (size_t)snprintf(text + used, size - used, "%s%lld", d ? "," : "",
                             (long long)node->shape[d]);
  if (used < size) snprintf(text + used, size - used, ")");
}

wl_node wl_tape_misfit(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b) {
  char left[96], right[96] = "";
  shape_text(&t->nodes[a], sizeof left, left);
  if (b >= 0) shape_text(&t->nodes[b], sizeof right, right);
  return wl_tape_refuse(t, WL_ERR_SOFTWARE,
                        "operator %s: the shapes %s%s%s do not fit; the operator needs %s",
                        op->name, left, b >= 0 ? " and " : "", right, op->signature);
}

static bool operand_suits(wl_tape *t, const wl_tape_op *op, int which, wl_node operand) {
  if (operand < 0 || operand >= t->count) {
    wl_tape_refuse(t, WL_ERR_SOFTWARE,
                   "operator %s: operand %d (%d) is not on the tape; the operator needs %s",
                   op->name, which + 1, (int)operand, op->signature);
    return false;
  }
  const bool want_labels = which == 1 && op->takes_labels;
  if ((t->nodes[operand].leaf == WL_LEAF_LABELS) != want_labels) {
    wl_tape_refuse(t, WL_ERR_SOFTWARE,
                   "operator %s: operand %d must %sbe a label leaf; the operator needs %s",
                   op->name, which + 1, want_labels ? "" : "not ", op->signature);
    return false;
  }
  return true;
}

bool wl_tape_operands(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b) {
  if (t->status != WL_OK) return false;
  return operand_suits(t, op, 0, a) && (op->arity == 1 || operand_suits(t, op, 1, b));
}

/* Nodes. */

wl_tape_node wl_tape_draft(const wl_tape_op *op, wl_node a, wl_node b, int ndim,
                           const int64_t *shape) {
  wl_tape_node node = {.op = op, .in = {a, b}, .ndim = ndim};
  for (int d = 0; d < ndim && d < WL_MAX_DIMS; ++d) node.shape[d] = shape[d];
  return node;
}

/* Returns the number of elements in a tensor with this shape. If the shape is invalid, the function
 * returns -1. Each size must fit in an int, because BLAS receives sizes of type int. */
static int64_t shape_size(int ndim, const int64_t *shape) {
  if (ndim < 0 || ndim > WL_MAX_DIMS) return -1;
  int64_t size = 1;
  for (int d = 0; d < ndim; ++d)
    if (shape[d] < 1 || shape[d] > INT_MAX || __builtin_mul_overflow(size, shape[d], &size))
      return -1;
  return size <= INT64_MAX / 64 ? size : -1;
}

static unsigned depends_on(const wl_tape *t, const wl_tape_node *node) {
  if (node->leaf == WL_LEAF_THETA) return WL_TAPE_THETA;
  if (node->leaf == WL_LEAF_PHI) return WL_TAPE_PHI;
  unsigned bits = 0;
  for (int k = 0; node->op && k < node->op->arity; ++k) bits |= t->nodes[node->in[k]].depends;
  return bits;
}

wl_node wl_tape_push(wl_tape *t, const wl_tape_node *draft) {
  if (t->status != WL_OK) return -1;
  const int64_t size = shape_size(draft->ndim, draft->shape);
  if (size < 0)
    return wl_tape_refuse(
        t, WL_ERR_SOFTWARE,
        "%s: the shape with %d dimensions is invalid; a shape needs 0 to 4 dimensions, and each "
        "size must be in the range [1, 2^31)",
        draft->op ? draft->op->name : "leaf", draft->ndim);
  const wl_status status = WL_GROW(t->nodes, t->count, t->capacity);
  if (status != WL_OK) return wl_tape_refuse(t, status, "%s", wl_last_error());
  wl_tape_node *node = &t->nodes[t->count];
  *node = *draft;
  node->size = size;
  node->depends = depends_on(t, node);
  if (node->temp_bytes > t->temp_bytes) t->temp_bytes = node->temp_bytes;
  return t->count++;
}

wl_node wl_tape_push_like(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b) {
  const wl_tape_node draft = wl_tape_draft(op, a, b, t->nodes[a].ndim, t->nodes[a].shape);
  return wl_tape_push(t, &draft);
}

/* Leaves. */

static wl_node push_leaf(wl_tape *t, wl_leaf kind, int64_t offset, int ndim, const int64_t *shape) {
  wl_tape_node draft = wl_tape_draft(NULL, -1, -1, ndim, shape);
  draft.leaf = kind;
  draft.offset = offset;
  return wl_tape_push(t, &draft);
}

static wl_node push_parameter(wl_tape *t, wl_leaf kind, const char *group, const char *name,
                              int ndim, const int64_t *shape) {
  if (t->status != WL_OK) return -1;
  int64_t offset = 0;
  wl_layout *layout = kind == WL_LEAF_THETA ? &t->theta : &t->phi;
  const wl_status status = wl_layout_add(layout, group, name, ndim, shape, &offset);
  if (status != WL_OK) return wl_tape_refuse(t, status, "%s", wl_last_error());
  return push_leaf(t, kind, offset, ndim, shape);
}

wl_node wl_tape_theta(wl_tape *t, const char *name, int ndim, const int64_t *shape) {
  return push_parameter(t, WL_LEAF_THETA, "", name, ndim, shape);
}

wl_node wl_tape_phi(wl_tape *t, const char *group, const char *name, int ndim,
                    const int64_t *shape) {
  return push_parameter(t, WL_LEAF_PHI, group, name, ndim, shape);
}

static wl_node push_data(wl_tape *t, wl_leaf kind, const char *name, int ndim,
                         const int64_t *shape) {
  if (t->status != WL_OK) return -1;
  if (shape_size(ndim, shape) < 0)
    return wl_tape_refuse(
        t, WL_ERR_SOFTWARE,
        "input '%s': the shape with %d dimensions is invalid; a shape needs 0 to 4 dimensions, and "
        "each size must be in the range [1, 2^31)",
        name, ndim);
  const wl_node leaf = push_leaf(t, kind, 0, ndim, shape);
  if (leaf >= 0) snprintf(t->nodes[leaf].name, WL_NAME_SIZE, "%s", name);
  return leaf;
}

wl_node wl_tape_input(wl_tape *t, const char *name, int ndim, const int64_t *shape) {
  return push_data(t, WL_LEAF_INPUT, name, ndim, shape);
}

wl_node wl_tape_labels(wl_tape *t, const char *name, int64_t count) {
  return push_data(t, WL_LEAF_LABELS, name, 1, &count);
}

static bool holds_data(const wl_tape_node *node) {
  return node->leaf == WL_LEAF_INPUT || node->leaf == WL_LEAF_LABELS;
}

int wl_tape_leaf_count(const wl_tape *t) {
  int count = 0;
  for (int i = 0; i < t->count; ++i) count += holds_data(&t->nodes[i]);
  return count;
}

wl_tape_leaf wl_tape_leaf_at(const wl_tape *t, int i) {
  wl_node node = 0;
  while (!holds_data(&t->nodes[node]) || i-- > 0) ++node;
  const wl_tape_node *n = &t->nodes[node];
  return (wl_tape_leaf){node, n->name, n->leaf == WL_LEAF_LABELS, n->ndim, n->shape, n->size};
}

/* Finishing. */

static wl_status check_ends(const wl_tape *t, wl_node loss, wl_node logits, wl_node labels) {
  if (loss < 0 || loss >= t->count || !t->nodes[loss].op || t->nodes[loss].size != 1)
    return WL_FAIL(WL_ERR_SOFTWARE, "tape: the loss must be a scalar that an operator computes");
  if (logits < 0) return WL_OK;
  if (logits >= t->count || labels < 0 || labels >= t->count ||
      t->nodes[labels].leaf != WL_LEAF_LABELS || t->nodes[logits].leaf == WL_LEAF_LABELS ||
      t->nodes[logits].ndim != 2 || t->nodes[logits].shape[0] != t->nodes[labels].shape[0])
    return WL_FAIL(WL_ERR_SOFTWARE,
                   "tape: the accuracy needs logits of shape (B,C) and a label leaf with B labels");
  return WL_OK;
}

/* Marks the nodes on which the loss depends. For each gradient, the function also marks the
 * consumer that writes the gradient. The function visits the nodes from the loss to the first
 * node. */
static void mark_path(wl_tape *t) {
  t->nodes[t->loss].on_path = true;
  for (int i = t->loss; i >= 0; --i) {
    wl_tape_node *node = &t->nodes[i];
    for (int k = 0; node->on_path && node->op && k < node->op->arity; ++k) {
      wl_tape_node *operand = &t->nodes[node->in[k]];
      node->keep[k] = operand->on_path;
      operand->on_path = true;
    }
  }
}

/* Chooses the nodes that share a gradient array with their first operand. A node can share the
 * array under two conditions: the derivative of the node with respect to the operand is the
 * identity, and the node writes the operand's gradient. The operand's other consumers add to the
 * array after the reverse pass of the node. */
static void share_gradients(wl_tape *t) {
  for (int i = 0; i < t->count; ++i) {
    wl_tape_node *const node = &t->nodes[i];
    if (!node->op || !node->on_path || !node->op->same || node->keep[0]) continue;
    wl_tape_node *const operand = &t->nodes[node->in[0]];
    node->lends = operand->borrows = operand->op && operand->depends;
  }
}

static double node_cost(const wl_tape *t, const wl_tape_node *node) {
  if (!node->op) return 0.0;
  const wl_tape_node *a = &t->nodes[node->in[0]];
  const wl_tape_node *b = node->op->arity > 1 ? &t->nodes[node->in[1]] : NULL;
  const double forward = node->op->flops ? node->op->flops(node, a, b)
                                         : (double)(a->size > node->size ? a->size : node->size);
  const int gradients = (a->depends != 0) + (b && b->depends != 0);
  return forward * (node->on_path ? 1 + gradients : 1);
}

wl_status wl_tape_finish(wl_tape *t, wl_node loss, wl_node logits, wl_node labels) {
  if (t->status != WL_OK) return WL_FAIL(t->status, "%s", t->message);
  WL_TRY(check_ends(t, loss, logits, labels));
  t->loss = loss;
  t->logits = logits < 0 ? -1 : logits;
  t->labels = logits < 0 ? -1 : labels;
  mark_path(t);
  share_gradients(t);
  t->cost = 0.0;
  for (int i = 0; i < t->count; ++i) t->cost += node_cost(t, &t->nodes[i]);
  return WL_OK;
}

const wl_layout *wl_tape_theta_layout(const wl_tape *t) { return &t->theta; }
const wl_layout *wl_tape_phi_layout(const wl_tape *t) { return &t->phi; }
double wl_tape_cost(const wl_tape *t) { return t->cost; }
