/* tape_ws.c - creates the workspace of a tape. One aligned block of memory, the arena, contains the
 * values, gradients and tangents of all nodes.
 *
 * The function lay_out is called twice: the first call counts the bytes, and the second call
 * assigns the addresses. */
#include "tensor/tape_ws.h"

#include <string.h>

/* Reserves `bytes` bytes of the arena at the offset *used, and advances *used. Returns the aligned
 * address. If `arena` is NULL, the function returns NULL. */
static void *carve(unsigned char *arena, size_t *used, size_t bytes) {
  void *const at = arena ? arena + *used : NULL;
  *used += (bytes + WL_ALIGN - 1) / WL_ALIGN * WL_ALIGN;
  return at;
}

static wl_cell with_dot(wl_cell cell, const wl_tape_node *node, bool with_tangent,
                        unsigned char *arena, size_t *used) {
  if (with_tangent && wl_node_flows(node))
    cell.dot = carve(arena, used, (size_t)node->size * sizeof(wl_real));
  return cell;
}

static wl_cell carve_cell(const wl_tape_node *node, bool with_tangent, unsigned char *arena,
                          size_t *used) {
  const size_t bytes = (size_t)node->size * sizeof(wl_real);
  wl_cell cell = {0};
  if (node->leaf == WL_LEAF_LABELS)
    cell.labels = carve(arena, used, (size_t)node->size * sizeof *cell.labels);
  if (node->op || node->leaf == WL_LEAF_INPUT) cell.value = carve(arena, used, bytes);
  if (node->saved_bytes) cell.saved = carve(arena, used, node->saved_bytes);
  if (!wl_node_flows(node) || node->borrows) return with_dot(cell, node, with_tangent, arena, used);
  cell.grad = carve(arena, used, bytes);
  if (with_tangent) cell.graddot = carve(arena, used, bytes);
  return with_dot(cell, node, with_tangent, arena, used);
}

/* Returns the number of bytes in the arena. If `arena` is not NULL, the function also sets
 * ws->cells and ws->temp. */
static size_t lay_out(const wl_tape *t, bool with_tangent, unsigned char *arena, wl_tape_ws *ws) {
  size_t used = 0;
  for (int i = 0; i < t->count; ++i) {
    const wl_cell cell = carve_cell(&t->nodes[i], with_tangent, arena, &used);
    if (arena) ws->cells[i] = cell;
  }
  void *const temp = carve(arena, &used, t->temp_bytes);
  if (arena) ws->temp = temp;
  return used;
}

/* Assigns the shared gradient arrays. The function visits the nodes from the last to the first,
 * because a node that borrows a gradient array may also lend this array. */
static void lend_gradients(wl_tape_ws *ws) {
  for (int i = ws->tape->count - 1; i >= 0; --i) {
    const wl_tape_node *const node = &ws->tape->nodes[i];
    if (!node->lends) continue;
    ws->cells[node->in[0]].grad = ws->cells[i].grad;
    ws->cells[node->in[0]].graddot = ws->cells[i].graddot;
  }
}

static wl_operand operand_of(const wl_tape_ws *ws, wl_node i, bool keep) {
  const wl_cell *const cell = &ws->cells[i];
  return (wl_operand){.node = &ws->tape->nodes[i],
                      .value = cell->value,
                      .labels = cell->labels,
                      .grad = cell->grad,
                      .graddot = cell->graddot,
                      .keep = keep};
}

/* Returns a wl_op_call in which the members that are the same in all passes are set. */
static wl_op_call call_of(const wl_tape_ws *ws, wl_node i) {
  const wl_tape_node *const node = &ws->tape->nodes[i];
  const wl_cell *const cell = &ws->cells[i];
  wl_op_call call = {.node = node,
                     .value = cell->value,
                     .grad = cell->grad,
                     .dot = cell->dot,
                     .graddot = cell->graddot,
                     .saved = cell->saved,
                     .temp = ws->temp};
  for (int k = 0; node->op && k < node->op->arity; ++k)
    call.in[k] = operand_of(ws, node->in[k], node->keep[k]);
  return call;
}

wl_status wl_tape_ws_create(const wl_tape *t, bool with_tangent, wl_tape_ws **out) {
  WL_CHECK(t->loss >= 0);
  wl_tape_ws *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  ws->tape = t;
  wl_status status = WL_OK;
  WL_TRY_GOTO(status, WL_NEW(ws->cells, t->count), fail);
  WL_TRY_GOTO(status, WL_NEW(ws->calls, t->count), fail);
  WL_TRY_GOTO(status, WL_NEW(ws->arena, lay_out(t, with_tangent, NULL, NULL)), fail);
  lay_out(t, with_tangent, ws->arena, ws);
  lend_gradients(ws);
  for (int i = 0; i < t->count; ++i) ws->calls[i] = call_of(ws, i);
  *out = ws;
  return WL_OK;
fail:
  wl_tape_ws_destroy(&ws);
  return status;
}

void wl_tape_ws_destroy(wl_tape_ws **ws) {
  if (!ws || !*ws) return;
  wl_free((*ws)->cells);
  wl_free((*ws)->calls);
  wl_free((*ws)->arena);
  wl_free(*ws);
  *ws = NULL;
}

size_t wl_tape_ws_bytes(const wl_tape *t, bool with_tangent) {
  return sizeof(wl_tape_ws) + (size_t)t->count * (sizeof(wl_cell) + sizeof(wl_op_call)) +
         lay_out(t, with_tangent, NULL, NULL);
}

wl_real *wl_tape_input_data(wl_tape_ws *ws, wl_node input) { return ws->cells[input].value; }

int32_t *wl_tape_label_data(wl_tape_ws *ws, wl_node labels) { return ws->cells[labels].labels; }

const wl_real *wl_tape_value(const wl_tape_ws *ws, wl_node node) {
  const wl_tape_node *const n = &ws->tape->nodes[node];
  if (n->leaf == WL_LEAF_THETA) return ws->theta ? ws->theta + n->offset : NULL;
  if (n->leaf == WL_LEAF_PHI) return ws->phi ? ws->phi + n->offset : NULL;
  return ws->cells[node].value;
}
