/* tape.h - a tape: a network as a static list of tensor operators. Each operator has a forward, a reverse and a tangent
 * rule. Gradients and exact Hessian-vector products therefore need no code in a task.
 *
 * A tape is const after it is built. All values that change are in a workspace. Several threads can therefore use one
 * tape, each with a separate workspace. All tensors are row-major wl_real; labels are int32.
 *
 *   forward   L(theta, phi)
 *   reverse   dL/dtheta, dL/dphi
 *   tangent   along v = (v_theta, v_phi):  dL.v  and  d/de [dL/d(theta, phi)] (. + e v)
 *             = the Hessian-vector product on the joint vector, forward over reverse
 *             (Pearlmutter 1994). Exact wherever the operators are twice differentiable.
 *
 * The functions that build a tape return no error. The tape stores the first error (bad shape, no memory), and
 * wl_tape_finish returns this error. A new operator needs one entry in tape_ops.def and one set of static functions in
 * ops_*.c. */
#ifndef WL_TENSOR_TAPE_H
#define WL_TENSOR_TAPE_H

#include <stdbool.h>

#include "base/layout.h"
#include "base/real.h"

typedef struct wl_tape wl_tape;
typedef struct wl_tape_ws wl_tape_ws;
typedef int32_t wl_node; /* index of a tensor on its tape */

wl_status wl_tape_create(wl_tape **out);
void wl_tape_destroy(wl_tape **tape);

/* Leaves. Parameters are appended to the tape's layout of theta or phi in order of creation. Names are copied. */
wl_node wl_tape_theta(wl_tape *t, const char *name, int ndim, const int64_t *shape);
wl_node wl_tape_phi(wl_tape *t, const char *group, const char *name, int ndim,
                    const int64_t *shape);
wl_node wl_tape_input(wl_tape *t, const char *name, int ndim,
                      const int64_t *shape);                         /* wl_real data */
wl_node wl_tape_labels(wl_tape *t, const char *name, int64_t count); /* int32 data */

/* Operators. The comments give the shapes of the operands and, after the arrow, of the result. B is the batch. */
wl_node wl_op_matmul(wl_tape *t, wl_node a, wl_node b);         /* (m,k)(k,n) -> (m,n) */
wl_node wl_op_batched_matvec(wl_tape *t, wl_node w, wl_node x); /* (B,m,k)(B,k) -> (B,m) */
wl_node wl_op_add_bias(wl_tape *t, wl_node x, wl_node b);       /* (..., n)(n) -> (..., n) */
wl_node wl_op_add_channel(wl_tape *t, wl_node x, wl_node b);    /* (B,C,H,W)(C) */
wl_node wl_op_mul_channel(wl_tape *t, wl_node x, wl_node s);    /* (B,C,H,W)(C); or (B,n)(n) */
wl_node wl_op_add(wl_tape *t, wl_node a, wl_node b);            /* same shape */
wl_node wl_op_sub(wl_tape *t, wl_node a, wl_node b);
wl_node wl_op_mul(wl_tape *t, wl_node a, wl_node b);
wl_node wl_op_scale(wl_tape *t, wl_node a, double factor);
wl_node wl_op_shift(wl_tape *t, wl_node a, double term);
wl_node wl_op_square(wl_tape *t, wl_node a);
wl_node wl_op_exp(wl_tape *t, wl_node a);
wl_node wl_op_cos(wl_tape *t, wl_node a);
wl_node wl_op_sqrt(wl_tape *t, wl_node a); /* not differentiable at 0 */
wl_node wl_op_sigmoid(wl_tape *t, wl_node a);
wl_node wl_op_tanh(wl_tape *t, wl_node a);
wl_node wl_op_relu(wl_tape *t, wl_node a); /* derivative 0 at 0 */
wl_node wl_op_elu(wl_tape *t, wl_node a);  /* alpha = 1 */
wl_node wl_op_gelu(wl_tape *t, wl_node a); /* the tanh form */
wl_node wl_op_reshape(wl_tape *t, wl_node a, int ndim, const int64_t *shape);
wl_node wl_op_column(wl_tape *t, wl_node a, int64_t column); /* (B,n) -> (B): a[:, column] */
/* `count` rows of (m,n) from `first` */
wl_node wl_op_rows(wl_tape *t, wl_node a, int64_t first, int64_t count);
/* `count` columns of (m,n) from `first` */
wl_node wl_op_columns(wl_tape *t, wl_node a, int64_t first, int64_t count);
wl_node wl_op_concat(wl_tape *t, wl_node a, wl_node b); /* (m,...)(n,...) -> (m+n,...) */
wl_node wl_op_swap(wl_tape *t, wl_node a);              /* (B,m,n,d) -> (B,n,m,d) */
wl_node wl_op_embedding(wl_tape *t, wl_node table, wl_node labels); /* (V,d), N labels -> (N,d) */
wl_node wl_op_batched_matmul(wl_tape *t, wl_node a, wl_node b);     /* (N,m,k)(N,k,n) -> (N,m,n) */
wl_node wl_op_batched_matmul_nt(wl_tape *t, wl_node a, wl_node b);  /* (N,m,k)(N,n,k) -> (N,m,n) */
/* (N,T,T) -> (N,T,T). Row i is the softmax over columns 0 .. i; later columns are 0. */
wl_node wl_op_causal_softmax(wl_tape *t, wl_node a);
wl_node wl_op_sum(wl_tape *t, wl_node a);  /* -> () */
wl_node wl_op_mean(wl_tape *t, wl_node a); /* -> () */
wl_node wl_op_softmax_cross_entropy(wl_tape *t, wl_node logits,
                                    wl_node labels); /* (B,C) -> (), mean over B */
wl_node wl_op_conv2d(wl_tape *t, wl_node x, wl_node w, int stride,
                     int pad); /* (B,C,H,W)(O,C,kh,kw) -> (B,O,H',W') */
wl_node wl_op_max_pool(wl_tape *t, wl_node x, int size,
                       int stride); /* (B,C,H,W), no padding, floor */
wl_node wl_op_avg_pool(wl_tape *t, wl_node x, int size, int stride);
/* Batch normalisation: for each channel over (B,H,W), or for each column over B. The usual eps is 1e-5. The operator
 * uses the statistics of the batch unless wl_tape_set_statistics selects other statistics. Scale and shift are separate
 * operators. */
wl_node wl_op_batch_norm(wl_tape *t, wl_node x, double eps);
/* Layer normalisation over the channels of each pixel of (B,C,H,W), or over each row of (B,n). */
wl_node wl_op_layer_norm(wl_tape *t, wl_node x, double eps);

/* Finishes the tape. Returns the first error of the functions above. `loss` must be a scalar. wl_tape_accuracy compares
 * the arg-max of `logits` (B,C) with `labels`; -1 means no logits. */
wl_status wl_tape_finish(wl_tape *t, wl_node loss, wl_node logits, wl_node labels);

const wl_layout *wl_tape_theta_layout(const wl_tape *t);
const wl_layout *wl_tape_phi_layout(const wl_tape *t);
/* Returns the estimated number of floating-point operations of one forward and reverse pass. The number is used to
 * distribute work over ranks. */
double wl_tape_cost(const wl_tape *t);

/* Creates a workspace. With with_tangent, the workspace also has the arrays for wl_tape_tangent. */
wl_status wl_tape_ws_create(const wl_tape *t, bool with_tangent, wl_tape_ws **out);
void wl_tape_ws_destroy(wl_tape_ws **ws);
size_t wl_tape_ws_bytes(const wl_tape *t, bool with_tangent);

/* An input or label leaf. Code that writes the data of a loss to a file uses these leaves, in order of creation. The
 * pointers are borrowed and valid as long as the tape. */
typedef struct wl_tape_leaf {
  wl_node node;
  const char *name;
  bool labels; /* the data are int32; otherwise wl_real */
  int ndim;
  const int64_t *shape; /* [ndim] */
  int64_t size;
} wl_tape_leaf;
int wl_tape_leaf_count(const wl_tape *t);
wl_tape_leaf wl_tape_leaf_at(const wl_tape *t, int i); /* 0 <= i < count */

/* Returns the data array of an input or label leaf. The workspace owns the array. The caller writes the data before the
 * forward pass. */
wl_real *wl_tape_input_data(wl_tape_ws *ws, wl_node input);
int32_t *wl_tape_label_data(wl_tape_ws *ws, wl_node labels);
/* Returns a node's value after the forward pass. The workspace owns the value. */
const wl_real *wl_tape_value(const wl_tape_ws *ws, wl_node node);

/* The passes do not allocate memory. The reverse pass must come after the forward pass, and the tangent pass after the
 * reverse pass, with the same inputs. Outputs are overwritten; an output that is NULL is not computed. The loss is
 * accumulated in double. phi may be NULL if the tape has no phi leaves. All three passes read the caller's theta and
 * phi, and the caller must not change them until the last pass. A v that is NULL means zeros. */
void wl_tape_forward(const wl_tape *t, wl_tape_ws *ws, const wl_real *theta, const wl_real *phi,
                     double *loss);
void wl_tape_reverse(const wl_tape *t, wl_tape_ws *ws, wl_real *grad_theta, wl_real *grad_phi);
/* Returns the derivative of the loss along v. */
double wl_tape_tangent(const wl_tape *t, wl_tape_ws *ws, const wl_real *v_theta,
                       const wl_real *v_phi, wl_real *hv_theta, wl_real *hv_phi);
/* The statistics that batch normalisation uses. BATCH: the statistics of each batch. COLLECT: the same, and their sums
 * are also collected, starting at 0. HELD: the means of the collected statistics. HELD is only for forward passes
 * without a later reverse or tangent pass. wl_tape_set_statistics returns the number of operators that use the mode. */
typedef enum wl_statistics {
  WL_STATISTICS_BATCH,
  WL_STATISTICS_COLLECT,
  WL_STATISTICS_HELD
} wl_statistics;
int wl_tape_set_statistics(const wl_tape *t, wl_tape_ws *ws, wl_statistics mode);
/* Sets new addresses of theta and phi for the passes after the last forward pass. The values must be the same. */
void wl_tape_move(const wl_tape *t, wl_tape_ws *ws, const wl_real *theta, const wl_real *phi);
/* Returns the fraction of rows where the arg-max of the logits is the label. Call this function after the forward pass.
 * Returns NaN if the tape has no logits. */
double wl_tape_accuracy(const wl_tape *t, const wl_tape_ws *ws);

#endif
