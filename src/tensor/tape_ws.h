/* tape_ws.h - the workspace of a tape. Private to tensor. */
#ifndef WL_TENSOR_TAPE_WS_H
#define WL_TENSOR_TAPE_WS_H

#include "tensor/tape_impl.h"

/* Storage of one node; NULL where the node has none. */
typedef struct wl_cell {
  wl_real *value; /* [size], but theta and phi leaves lie in the caller's vectors */
  int32_t *labels;
  wl_real *grad;          /* operators that a parameter acts on the loss through */
  wl_real *dot, *graddot; /* the same, with tangent */
  void *saved;
} wl_cell;

struct wl_tape_ws {
  const wl_tape *tape; /* borrowed */
  wl_cell *cells;      /* [tape->count] */
  wl_op_call *calls; /* [tape->count] operators ready to be called, but for the caller's vectors */
  unsigned moving;   /* parameters along which the calls' dots were last set */
  unsigned char *arena;
  void *temp;                 /* [tape->temp_bytes] */
  const wl_real *theta, *phi; /* of the last forward, borrowed until the last pass at them */
};

/* True where a gradient must flow through the node. */
static inline bool wl_node_flows(const wl_tape_node *node) {
  return node->op && node->on_path && node->depends;
}

#endif
