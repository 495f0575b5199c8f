/* tape_ws.h - the workspace of a tape. Private to tensor. */
#ifndef WL_TENSOR_TAPE_WS_H
#define WL_TENSOR_TAPE_WS_H

#include "tensor/tape_impl.h"

/* Storage of one node; NULL: the node has none. */
typedef struct wl_cell {
  wl_real *value; /* [size]; NULL for theta and phi leaves, which are in the caller's vectors */
  int32_t *labels;
  wl_real *grad;          /* NULL except for operators on a path from a parameter to the loss */
  wl_real *dot, *graddot; /* NULL where grad is NULL, or if the workspace has no tangent */
  void *saved;
} wl_cell;

struct wl_tape_ws {
  const wl_tape *tape; /* borrowed */
  wl_cell *cells;      /* [tape->count] */
  wl_op_call *calls; /* [tape->count] prepared calls of the operators, without the caller's vectors */
  unsigned moving;   /* parameters for which the calls' dots were last set */
  unsigned char *arena;
  void *temp;                 /* [tape->temp_bytes] */
  /* arguments of the last forward pass; borrowed until the last pass that uses its values */
  const wl_real *theta, *phi;
};

/* Whether the node is an operator on a path from a parameter to the loss. */
static inline bool wl_node_flows(const wl_tape_node *node) {
  return node->op && node->on_path && node->depends;
}

#endif
