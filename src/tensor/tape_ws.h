/* tape_ws.h - defines the workspace of a tape. Only files in src/tensor include this header. */
#ifndef WL_TENSOR_TAPE_WS_H
#define WL_TENSOR_TAPE_WS_H

#include "tensor/tape_impl.h"

/* The arrays of one node. A pointer is NULL if the node does not have the array. */
typedef struct wl_cell {
  /* [size] value; NULL for theta and phi leaves, whose values are in arrays of the caller */
  wl_real *value;
  int32_t *labels;
  /* gradient; only operators on a path from a parameter to the loss have this array */
  wl_real *grad;
  /* derivatives of value and grad along v; NULL if grad is NULL or if the workspace is not for
   * tangent passes */
  wl_real *dot, *graddot;
  void *saved;
} wl_cell;

struct wl_tape_ws {
  const wl_tape *tape; /* borrowed */
  wl_cell *cells;      /* [tape->count] arrays of each node */
  /* [tape->count] arguments of each operator's passes; each pass sets the addresses of the caller's
   * arrays */
  wl_op_call *calls;
  unsigned moving; /* value of `moving` with which set_moving was last called */
  unsigned char *arena;
  void *temp; /* [tape->temp_bytes] scratch memory of the operators */
  /* arguments of the last forward pass, which the later passes also read; borrowed */
  const wl_real *theta, *phi;
};

/* Returns true if the node is an operator on a path from a parameter to the loss. */
static inline bool wl_node_flows(const wl_tape_node *node) {
  return node->op && node->on_path && node->depends;
}

#endif
