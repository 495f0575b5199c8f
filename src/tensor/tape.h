/* tape.h - declares the tape, which describes a loss as a static list of tensor operators. Each
 * operator implements a forward, a reverse and a tangent pass. A task therefore needs no code for
 * gradients or for exact Hessian-vector products.
 *
 * After a tape is built, the tape does not change. All values that change are in a workspace.
 * Several threads can therefore use one tape, if each thread has a separate workspace. Tensors are
 * row-major arrays of wl_real, and labels are of type int32. The passes over a tape compute:
 *
 *   forward   L(theta, phi)
 *   reverse   dL/dtheta, dL/dphi
 *   tangent   dL . v,   d/de [dL/d(theta, phi)] at (theta, phi) + e v
 *
 * The tangent pass computes the derivative of the loss along a vector v = (v_theta, v_phi), and the
 * Hessian-vector product for the joint vector (theta, phi). The tangent pass differentiates the
 * reverse pass in forward mode (Pearlmutter 1994). The result is exact wherever the operators are
 * twice differentiable.
 *
 * The functions that build a tape return no error. The tape stores the first error, such as an
 * invalid shape, and wl_tape_finish returns this error. A new operator needs one entry in
 * tape_ops.def and a set of static functions in a file ops_*.c. */
#ifndef WL_TENSOR_TAPE_H
#define WL_TENSOR_TAPE_H

#include <stdbool.h>

#include "base/layout.h"
#include "base/real.h"

typedef struct wl_tape wl_tape;
typedef struct wl_tape_ws wl_tape_ws;
typedef int32_t wl_node; /* index of a node on its tape; a node is a tensor */

wl_status wl_tape_create(wl_tape **out);
void wl_tape_destroy(wl_tape **tape);

/* These functions add a leaf, which is a node without operands. Parameters are appended to the
 * tape's layout of theta or phi, in the order of the calls. Names are copied. */
wl_node wl_tape_theta(wl_tape *t, const char *name, int ndim, const int64_t *shape);
wl_node wl_tape_phi(wl_tape *t, const char *group, const char *name, int ndim,
                    const int64_t *shape);
/* adds a leaf for data of type wl_real */
wl_node wl_tape_input(wl_tape *t, const char *name, int ndim, const int64_t *shape);
/* adds a leaf for data of type int32 */
wl_node wl_tape_labels(wl_tape *t, const char *name, int64_t count);

/* These functions add an operator. Each comment contains the shapes of the operands and, after the
 * arrow, the shape of the result. B is the batch size. */
wl_node wl_op_matmul(wl_tape *t, wl_node a, wl_node b);         /* (m,k)(k,n) -> (m,n) */
wl_node wl_op_batched_matvec(wl_tape *t, wl_node w, wl_node x); /* (B,m,k)(B,k) -> (B,m) */
wl_node wl_op_add_bias(wl_tape *t, wl_node x, wl_node b);       /* (..., n)(n) -> (..., n) */
wl_node wl_op_add_channel(wl_tape *t, wl_node x, wl_node b);    /* (B,C,H,W)(C) */
wl_node wl_op_mul_channel(wl_tape *t, wl_node x, wl_node s);    /* (B,C,H,W)(C); or (B,n)(n) */
/* for add, sub and mul, both operands have the same shape */
wl_node wl_op_add(wl_tape *t, wl_node a, wl_node b);
wl_node wl_op_sub(wl_tape *t, wl_node a, wl_node b);
wl_node wl_op_mul(wl_tape *t, wl_node a, wl_node b);
wl_node wl_op_scale(wl_tape *t, wl_node a, double factor);
wl_node wl_op_shift(wl_tape *t, wl_node a, double term);
wl_node wl_op_square(wl_tape *t, wl_node a);
wl_node wl_op_exp(wl_tape *t, wl_node a);
wl_node wl_op_cos(wl_tape *t, wl_node a);
wl_node wl_op_sqrt(wl_tape *t, wl_node a); /* the derivative at a = 0 is infinite */
wl_node wl_op_sigmoid(wl_tape *t, wl_node a);
wl_node wl_op_tanh(wl_tape *t, wl_node a);
wl_node wl_op_relu(wl_tape *t, wl_node a); /* the derivative at a = 0 is set to 0 */
wl_node wl_op_elu(wl_tape *t, wl_node a);  /* ELU with alpha = 1 */
wl_node wl_op_gelu(wl_tape *t, wl_node a); /* computes the approximation of GELU with tanh */
wl_node wl_op_reshape(wl_tape *t, wl_node a, int ndim, const int64_t *shape);
wl_node wl_op_column(wl_tape *t, wl_node a, int64_t column); /* (B,n) -> (B): a[:, column] */
/* selects `count` rows of a matrix (m,n), from the row `first` onwards */
wl_node wl_op_rows(wl_tape *t, wl_node a, int64_t first, int64_t count);
/* selects `count` columns of a matrix (m,n), from the column `first` onwards */
wl_node wl_op_columns(wl_tape *t, wl_node a, int64_t first, int64_t count);
wl_node wl_op_concat(wl_tape *t, wl_node a, wl_node b); /* (m,...)(n,...) -> (m+n,...) */
wl_node wl_op_swap(wl_tape *t, wl_node a);              /* (B,m,n,d) -> (B,n,m,d) */
wl_node wl_op_embedding(wl_tape *t, wl_node table, wl_node labels); /* (V,d), N labels -> (N,d) */
wl_node wl_op_batched_matmul(wl_tape *t, wl_node a, wl_node b);     /* (N,m,k)(N,k,n) -> (N,m,n) */
wl_node wl_op_batched_matmul_nt(wl_tape *t, wl_node a, wl_node b);  /* (N,m,k)(N,n,k) -> (N,m,n) */
/* (N,T,T) -> (N,T,T). Row i of the result is the softmax over the columns 0 to i, and later columns
 * are zero. */
wl_node wl_op_causal_softmax(wl_tape *t, wl_node a);
wl_node wl_op_sum(wl_tape *t, wl_node a);  /* -> () */
wl_node wl_op_mean(wl_tape *t, wl_node a); /* -> () */
/* (B,C) and B labels -> (); the result is the mean over the batch */
wl_node wl_op_softmax_cross_entropy(wl_tape *t, wl_node logits, wl_node labels);
/* (B,C,H,W)(O,C,kh,kw) -> (B,O,H',W') */
wl_node wl_op_conv2d(wl_tape *t, wl_node x, wl_node w, int stride, int pad);
/* (B,C,H,W) -> (B,C,H',W'); there is no padding, and H' and W' are rounded down */
wl_node wl_op_max_pool(wl_tape *t, wl_node x, int size, int stride);
wl_node wl_op_avg_pool(wl_tape *t, wl_node x, int size, int stride);
/* Adds batch normalisation. Each channel of a tensor (B,C,H,W), or each column of a tensor (B,n),
 * is normalised over all other dimensions. The usual value of eps is 1e-5. The operator uses the
 * statistics of the batch. Other statistics can be selected with wl_tape_set_statistics. Scale and
 * shift are separate operators. */
wl_node wl_op_batch_norm(wl_tape *t, wl_node x, double eps);
/* Adds layer normalisation. Each pixel of a tensor (B,C,H,W) is normalised over its channels, and
 * each row of a tensor (B,n) is normalised over its elements. */
wl_node wl_op_layer_norm(wl_tape *t, wl_node x, double eps);

/* Completes the tape. Returns the first error of the functions that built the tape. `loss` must be
 * the node of a scalar that an operator computes. The function wl_tape_accuracy uses `logits` (B,C)
 * and `labels`. If there are no logits, `logits` is -1. */
wl_status wl_tape_finish(wl_tape *t, wl_node loss, wl_node logits, wl_node labels);

const wl_layout *wl_tape_theta_layout(const wl_tape *t);
const wl_layout *wl_tape_phi_layout(const wl_tape *t);
/* Returns the estimated number of floating-point operations of one forward and one reverse pass.
 * The program uses this number to distribute work over ranks. */
double wl_tape_cost(const wl_tape *t);

/* Creates a workspace. If `with_tangent` is true, the workspace also contains the arrays for
 * wl_tape_tangent. */
wl_status wl_tape_ws_create(const wl_tape *t, bool with_tangent, wl_tape_ws **out);
void wl_tape_ws_destroy(wl_tape_ws **ws);
size_t wl_tape_ws_bytes(const wl_tape *t, bool with_tangent);

/* The properties of an input or label leaf. Code that writes the inputs and labels of a loss to a
 * file visits these leaves in the order of their creation. The pointers are borrowed and valid as
 * long as the tape exists. */
typedef struct wl_tape_leaf {
  wl_node node;
  const char *name;
  bool labels; /* true: the data are of type int32; false: the data are of type wl_real */
  int ndim;
  const int64_t *shape; /* [ndim] */
  int64_t size;
} wl_tape_leaf;
int wl_tape_leaf_count(const wl_tape *t);
/* `i` must be at least 0 and less than wl_tape_leaf_count() */
wl_tape_leaf wl_tape_leaf_at(const wl_tape *t, int i);

/* These functions return the data array of an input leaf or of a label leaf. The workspace owns the
 * array. The caller must write the data before the forward pass. */
wl_real *wl_tape_input_data(wl_tape_ws *ws, wl_node input);
int32_t *wl_tape_label_data(wl_tape_ws *ws, wl_node labels);
/* Returns the value of a node after the forward pass. The workspace owns the array. */
const wl_real *wl_tape_value(const wl_tape_ws *ws, wl_node node);

/* These functions run the three passes. The reverse pass must follow the forward pass, and the
 * tangent pass must follow the reverse pass, with the same inputs. The passes overwrite their
 * outputs. An output is not computed if its pointer is NULL. If the tape has no phi leaves, phi may
 * be NULL. All three passes read the caller's theta and phi, so the caller must not change these
 * arrays before the last pass. If v_theta or v_phi is NULL, the passes treat this vector as zero.
 * The loss is summed in double precision. The passes allocate no memory. */
void wl_tape_forward(const wl_tape *t, wl_tape_ws *ws, const wl_real *theta, const wl_real *phi,
                     double *loss);
void wl_tape_reverse(const wl_tape *t, wl_tape_ws *ws, wl_real *grad_theta, wl_real *grad_phi);
/* Runs the tangent pass. Returns the derivative of the loss along v = (v_theta, v_phi). */
double wl_tape_tangent(const wl_tape *t, wl_tape_ws *ws, const wl_real *v_theta,
                       const wl_real *v_phi, wl_real *hv_theta, wl_real *hv_phi);
/* The statistics that batch normalisation uses. With BATCH, the operators use the statistics of
 * each batch. With COLLECT, the operators also add the statistics of each batch to sums, which
 * start at zero. With HELD, the operators use the means of the collected statistics. After a
 * forward pass with HELD, the reverse and the tangent pass are not allowed. The function
 * wl_tape_set_statistics returns the number of batch normalisation operators on the tape. */
typedef enum wl_statistics {
  WL_STATISTICS_BATCH,
  WL_STATISTICS_COLLECT,
  WL_STATISTICS_HELD
} wl_statistics;
int wl_tape_set_statistics(const wl_tape *t, wl_tape_ws *ws, wl_statistics mode);
/* Sets new addresses of theta and phi for the reverse and tangent passes that follow the last
 * forward pass. The new arrays must contain the same values as the old arrays. */
void wl_tape_move(const wl_tape *t, wl_tape_ws *ws, const wl_real *theta, const wl_real *phi);
/* Returns the fraction of rows in which the largest logit belongs to the label. Call this function
 * only after a forward pass. If the tape has no logits, the function returns NaN. */
double wl_tape_accuracy(const wl_tape *t, const wl_tape_ws *ws);

#endif
