/* tape_ws.h - the workspace of a tape. Private to src/tensor. */
#ifndef WL_TENSOR_TAPE_WS_H
#define WL_TENSOR_TAPE_WS_H

#include "tensor/tape_impl.h"

/* The arrays of one node; NULL: the node does not have this array. */
typedef struct wl_cell {
  wl_real *value; /* [size]; NULL for theta and phi leaves, which are in the caller's vectors */
  int32_t *labels;
  wl_real *grad;          /* NULL except for operators on a path from a parameter to the loss */
  wl_real *dot, *graddot; /* NULL if grad is NULL or the workspace has no tangent */
  void *saved;
} wl_cell;

struct wl_tape_ws {
  const wl_tape *tape; /* borrowed */
  wl_cell *cells;      /* [tape->count] */
  wl_op_call *calls; /* [tape->count] prepared calls of the operators, without the caller's vectors */
  unsigned moving;   /* the parameters for which the dots of the calls were set */
  unsigned char *arena;
  void *temp;                 /* [tape->temp_bytes] */
  /* arguments of the last forward pass; borrowed until the last pass that uses them */
  const wl_real *theta, *phi;
};

/* Returns true if the node is an operator on a path from a parameter to the loss. */
static inline bool wl_node_flows(const wl_tape_node *node) {
  return node->op && node->on_path && node->depends;
}

#endif
