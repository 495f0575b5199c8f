/* tape_impl.h - defines the structures that tape.h declares, and the structure of an operator. Only
 * files in src/tensor include this header.
 *
 * The file of an operator y = f(a, b) defines one wl_tape_op with four passes. Most operators are
 * of one of four kinds. Operators of the same kind use the same functions for the passes. In the
 * table, xbar is the gradient of x, and x. is the derivative of x along v (x dot):
 *
 *   pass              unary y = f(x)              linear y = A a + B b   bilinear y = f(a, b)
 *   reverse           xbar += f' ybar             abar += A^T ybar       abar += f_a^T(ybar, b)
 *   tangent           y. = f' x.                  y. = A a. + B b.       y. = f(a., b) + f(a, b.)
 *   tangent reverse   x.bar += f' y.bar           a.bar += A^T y.bar     a.bar += f_a^T(y.bar, b)
 *                            + f'' x. ybar                                      + f_a^T(ybar, b.)
 *
 * The fourth kind is an operator y = f(x) with a symmetric Jacobian J, such as softmax and the
 * normalisations. The passes of the fourth kind are xbar += J ybar, y. = J x. and x.bar += J y.bar
 * + J. ybar.
 *
 * A consumer of a node is an operator that has the node as an operand. In the reverse pass, the
 * first consumer writes the node's gradient, and the other consumers add to this gradient.
 * Therefore, gradients need not be set to zero before the reverse pass. The function wl_tape_finish
 * determines which consumer writes the gradient, and stores the result in the members `keep` of the
 * consumers. */
#ifndef WL_TENSOR_TAPE_IMPL_H
#define WL_TENSOR_TAPE_IMPL_H

#include <stdbool.h>

#include "tensor/tape.h"

enum { WL_TAPE_THETA = 1, WL_TAPE_PHI = 2 }; /* the bits of the member wl_tape_node.depends */

typedef enum wl_leaf {
  WL_LEAF_NONE,
  WL_LEAF_THETA,
  WL_LEAF_PHI,
  WL_LEAF_INPUT,
  WL_LEAF_LABELS
} wl_leaf;

typedef struct wl_tape_op wl_tape_op;

typedef struct wl_tape_node {
  const wl_tape_op *op; /* NULL: the node is a leaf */
  wl_leaf leaf;
  char name[WL_NAME_SIZE]; /* name of an input or label leaf */
  wl_node in[2];           /* indices of the operands; -1: there is no such operand */
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  int64_t size; /* number of elements in the tensor */
  /* for theta and phi leaves: index of the leaf's first element in theta or phi */
  int64_t offset;
  /* bits WL_TAPE_THETA and WL_TAPE_PHI, which are set if the node depends on theta and on phi */
  unsigned depends;
  bool on_path; /* true: the loss depends on the node */
  /* true: the node adds to the gradient array of the operand; false: the node overwrites this
   * array */
  bool keep[2];
  bool lends; /* true: the node and its first operand share one gradient array */
  /* true: the node uses the gradient array of a consumer whose member `lends` is true */
  bool borrows;
  size_t saved_bytes; /* number of bytes that the forward pass stores for the other passes */
  /* number of bytes of scratch memory in a pass; all nodes use the same scratch memory */
  size_t temp_bytes;
  /* the following members are settings of the operator */
  /* factor of the operator scale, term of the operator shift, or eps of a normalisation */
  double factor;
  int64_t column;
  int window, stride, pad;
} wl_tape_node;

struct wl_tape {
  int count, capacity;
  wl_tape_node *nodes; /* [count] the nodes; operands precede their consumers */
  wl_layout theta, phi;
  size_t temp_bytes; /* maximum of temp_bytes over all nodes */
  wl_node loss, logits, labels;
  double cost;
  /* code of the first error that occurred while the tape was built; `message` contains the
   * error's message */
  wl_status status;
  char message[512];
};

/* The arrays of an operand in a pass. */
typedef struct wl_operand {
  const wl_tape_node *node;
  const wl_real *value;  /* [node->size] value of the operand */
  const int32_t *labels; /* labels of a label leaf, which has no `value` */
  /* gradient of the operand, which the reverse pass computes; NULL: this gradient is not needed */
  wl_real *grad;
  const wl_real *dot; /* derivative of `value` along v; NULL: the derivative is zero */
  wl_real
      /* derivative of `grad` along v, which the tangent-reverse pass computes; NULL: this
       * derivative is not needed */
      *graddot;
  /* true: the passes add to grad and graddot; false: the passes overwrite these arrays */
  bool keep;
} wl_operand;

/* The arguments of an operator's pass. */
typedef struct wl_op_call {
  const wl_tape_node *node;
  wl_operand in[2];
  wl_real *value;      /* value of the result y, which the forward pass writes */
  const wl_real *grad; /* gradient of y */
  wl_real *dot;        /* derivative of y along v, which the tangent pass writes */
  const wl_real *graddot;
  void *saved; /* [node->saved_bytes] values that the forward pass stores */
  void *temp;  /* [node->temp_bytes] scratch memory */
} wl_op_call;

typedef void (*wl_op_pass)(const wl_op_call *call);
/* Computes out = M x for a matrix M of the operator. If `keep` is true, M x is added to `out`. */
typedef void (*wl_op_map)(const wl_op_call *call, const wl_real *x, wl_real *out, bool keep);
/* Computes the operator's product of p and q. If `keep` is true, the product is added to `out`. */
typedef void (*wl_op_product)(const wl_op_call *call, const wl_real *p, const wl_real *q,
                              wl_real *out, bool keep);

struct wl_tape_op {
  const char *name;
  /* string for messages: the shapes of the operands and of the result */
  const char *signature;
  int arity;
  bool takes_labels; /* true: the second operand is a label leaf */
  wl_op_pass forward, reverse, tangent, tangent_reverse;
  /* Returns the number of floating-point operations of the forward pass. The computation of each
   * gradient needs about the same number of operations. If the pointer is NULL, the forward pass
   * needs one operation for each element of the result. */
  double (*flops)(const wl_tape_node *y, const wl_tape_node *a, const wl_tape_node *b);
  /* for a linear operator: functions that multiply by A and B, and by the transposes of A and B */
  wl_op_map apply[2], pull[2];
  bool same; /* for a linear operator: true if A is the identity */
  /* for a bilinear operator: functions that compute f(a, b), f_a^T(ybar, b) and f_b^T(a, ybar) */
  wl_op_product product, pull_a, pull_b;
  /* for an operator with a symmetric Jacobian: function that computes J z */
  wl_op_map jacobian;
  /* For an operator with a symmetric Jacobian: adds J. z to `out`, where z is ybar and J. is the
   * derivative of J along v. */
  void (*add_jacobian_dot)(const wl_op_call *call, wl_real *out);
};

#define WL_TAPE_OP(name) extern const wl_tape_op wl_tape_op_##name;
#include "tensor/tape_ops.def"
#undef WL_TAPE_OP
/* The table of all operators; the table ends with NULL. */
extern const wl_tape_op *const wl_tape_op_table[];

/* Computes out = x. If `keep` is true, x is added to `out`. If A or B is the identity, the
 * operator's members `apply` and `pull` are this function. */
void wl_linear_copy(const wl_op_call *call, const wl_real *x, wl_real *out, bool keep);
void wl_linear_forward(const wl_op_call *call);
void wl_linear_reverse(const wl_op_call *call);
void wl_linear_tangent(const wl_op_call *call);
void wl_linear_tangent_reverse(const wl_op_call *call);
void wl_bilinear_forward(const wl_op_call *call);
void wl_bilinear_reverse(const wl_op_call *call);
void wl_bilinear_tangent(const wl_op_call *call);
void wl_bilinear_tangent_reverse(const wl_op_call *call);
void wl_symmetric_reverse(const wl_op_call *call);
void wl_symmetric_tangent(const wl_op_call *call);
void wl_symmetric_tangent_reverse(const wl_op_call *call);

/* The members of wl_tape_op for the passes of a linear or bilinear operator. `kind` is `linear` or
 * `bilinear`. The functions are in ops.c. */
#define WL_OP_PASSES(kind)                                                                        \
  .forward = wl_##kind##_forward, .reverse = wl_##kind##_reverse, .tangent = wl_##kind##_tangent, \
  .tangent_reverse = wl_##kind##_tangent_reverse

/* The members of wl_tape_op for the passes of an operator with one operand and a symmetric
 * Jacobian. The forward pass is not included. */
#define WL_SYMMETRIC_PASSES                                              \
  .reverse = wl_symmetric_reverse, .tangent = wl_symmetric_tangent,      \
  .tangent_reverse = wl_symmetric_tangent_reverse, .jacobian = jacobian, \
  .add_jacobian_dot = add_jacobian_dot

/* Computes out[i] = expr for i from 0 to n - 1. If `keep` is true, expr is added to out[i]. */
#define WL_FOR_EACH_PUT(i, n, out, keep, expr)              \
  do {                                                      \
    if (keep)                                               \
      for (int64_t i = 0; i < (n); ++i) (out)[i] += (expr); \
    else                                                    \
      for (int64_t i = 0; i < (n); ++i) (out)[i] = (expr);  \
  } while (0)

/* Functions for building a tape. A function that adds an operator checks the operands, creates a
 * node and appends the node to the tape. The function wl_tape_operands checks the operands. If a or
 * b is not a valid operand, this function stores an error and returns false. The function
 * wl_tape_misfit stores an error about shapes that do not fit, and returns -1. */
bool wl_tape_operands(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b);
wl_node wl_tape_misfit(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b);
wl_node wl_tape_refuse(wl_tape *t, wl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
wl_tape_node wl_tape_draft(const wl_tape_op *op, wl_node a, wl_node b, int ndim,
                           const int64_t *shape);
wl_node wl_tape_push(wl_tape *t, const wl_tape_node *draft);
/* Appends a node y = op(a) or y = op(a, b) to the tape. The node has the shape of a, and its
 * settings are zero. */
wl_node wl_tape_push_like(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b);

#endif
