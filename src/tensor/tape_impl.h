/* tape_impl.h - the structs of tape.h and the definition of an operator. Private to src/tensor.
 *
 * An operator y = f(a, b) defines one wl_tape_op with four passes. Most operators are of one of four kinds. Operators
 * of the same kind use the same passes. In the table, xbar is the gradient of x, and x. (x dot) is the derivative along
 * v:
 *
 *   pass              unary y = f(x)              linear y = A a + B b   bilinear y = f(a, b)
 *   reverse           xbar += f' ybar             abar += A^T ybar       abar += f_a^T(ybar, b)
 *   tangent           y. = f' x.                  y. = A a. + B b.       y. = f(a., b) + f(a, b.)
 *   tangent reverse   x.bar += f' y.bar           a.bar += A^T y.bar     a.bar += f_a^T(y.bar, b)
 *                            + f'' x. ybar                                      + f_a^T(ybar, b.)
 *
 * The fourth kind is an operator y = f(x) with a symmetric Jacobian J (normalisations, softmax): xbar += J ybar, y. = J
 * x., x.bar += J y.bar + J. ybar.
 *
 * In the reverse pass, the first consumer of a node writes the node's gradient, and the other consumers add to this
 * gradient. wl_tape_finish determines which consumer writes (`keep`). Therefore no gradient needs to be set to zero. */
#ifndef WL_TENSOR_TAPE_IMPL_H
#define WL_TENSOR_TAPE_IMPL_H

#include <stdbool.h>

#include "tensor/tape.h"

enum { WL_TAPE_THETA = 1, WL_TAPE_PHI = 2 }; /* bits of wl_tape_node.depends */

typedef enum wl_leaf {
  WL_LEAF_NONE,
  WL_LEAF_THETA,
  WL_LEAF_PHI,
  WL_LEAF_INPUT,
  WL_LEAF_LABELS
} wl_leaf;

typedef struct wl_tape_op wl_tape_op;

typedef struct wl_tape_node {
  const wl_tape_op *op; /* NULL: a leaf */
  wl_leaf leaf;
  char name[WL_NAME_SIZE]; /* input and label leaves */
  wl_node in[2];           /* operands, -1: none */
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  int64_t size;     /* number of elements */
  int64_t offset;   /* theta and phi leaves: first element in the flat vector */
  unsigned depends; /* WL_TAPE_THETA, WL_TAPE_PHI: the parameters on which the node depends */
  bool on_path;     /* the loss depends on the node */
  bool keep[2];     /* the node adds to the operand's gradient array instead of overwriting this array */
  bool lends; /* the node and its first operand share one gradient array */
  bool borrows;       /* the gradient array is the array of a consumer with `lends` */
  size_t saved_bytes; /* bytes that forward stores for the other passes: arg-max, probabilities */
  size_t temp_bytes;  /* bytes of scratch within one pass; all nodes share the scratch */
  /* settings of the operator */
  double factor; /* scale: factor; shift: term; batch_norm: eps */
  int64_t column;
  int window, stride, pad;
} wl_tape_node;

struct wl_tape {
  int count, capacity;
  wl_tape_node *nodes; /* [count]; operands come before their consumers */
  wl_layout theta, phi;
  size_t temp_bytes; /* largest temp_bytes of the nodes */
  wl_node loss, logits, labels;
  double cost;
  wl_status status; /* first error while the tape is built, with its message */
  char message[512];
};

/* A tensor during a pass. */
typedef struct wl_operand {
  const wl_tape_node *node;
  const wl_real *value;  /* [node->size] */
  const int32_t *labels; /* for label leaves, used instead of value */
  wl_real *grad;         /* gradient, which reverse computes; NULL: not computed */
  const wl_real *dot;    /* derivative of value along v, an input; NULL: zero */
  wl_real
      *graddot; /* derivative of grad along v, which tangent reverse computes; NULL: not computed */
  bool keep;             /* the passes add to grad and graddot; false: they overwrite the arrays */
} wl_operand;

/* One operator during a pass. */
typedef struct wl_op_call {
  const wl_tape_node *node;
  wl_operand in[2];
  wl_real *value;      /* value of y, written by forward */
  const wl_real *grad; /* gradient of y */
  wl_real *dot;        /* derivative of y along v, written by tangent */
  const wl_real *graddot;
  void *saved; /* [node->saved_bytes] */
  void *temp;  /* [node->temp_bytes] */
} wl_op_call;

typedef void (*wl_op_pass)(const wl_op_call *call);
/* Computes out = M x, or out += M x with `keep`. */
typedef void (*wl_op_map)(const wl_op_call *call, const wl_real *x, wl_real *out, bool keep);
/* Computes out = p * q, or out += p * q with `keep`. * is the operator's product. */
typedef void (*wl_op_product)(const wl_op_call *call, const wl_real *p, const wl_real *q,
                              wl_real *out, bool keep);

struct wl_tape_op {
  const char *name;
  const char *signature; /* shapes, for messages */
  int arity;
  bool takes_labels; /* the second operand is a label leaf */
  wl_op_pass forward, reverse, tangent, tangent_reverse;
  /* Returns the number of floating-point operations of the forward pass; each gradient costs about the same. NULL: one
   * operation for each element. */
  double (*flops)(const wl_tape_node *y, const wl_tape_node *a, const wl_tape_node *b);
  wl_op_map apply[2], pull[2];           /* linear: A, B and their transposes */
  bool same;                             /* linear: A is the identity */
  wl_op_product product, pull_a, pull_b; /* bilinear: f(a, b); f_a^T(ybar, b); f_b^T(a, ybar) */
  wl_op_map jacobian;                    /* symmetric: J z */
  /* symmetric: computes out += J. z with z = ybar. J. is the derivative of J along the operand's dot. */
  void (*add_jacobian_dot)(const wl_op_call *call, wl_real *out);
};

#define WL_TAPE_OP(name) extern const wl_tape_op wl_tape_op_##name;
#include "tensor/tape_ops.def"
#undef WL_TAPE_OP
/* All operators; the last entry is NULL. */
extern const wl_tape_op *const wl_tape_op_table[];

/* Computes out = x, or out += x with `keep`: `apply` and `pull` of the identity. */
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

/* The passes of a linear or bilinear operator, from ops.c. `kind` is linear or bilinear. */
#define WL_OP_PASSES(kind)                                                                        \
  .forward = wl_##kind##_forward, .reverse = wl_##kind##_reverse, .tangent = wl_##kind##_tangent, \
  .tangent_reverse = wl_##kind##_tangent_reverse

/* The passes, except forward, of an operator with one operand and a symmetric Jacobian. */
#define WL_SYMMETRIC_PASSES                                              \
  .reverse = wl_symmetric_reverse, .tangent = wl_symmetric_tangent,      \
  .tangent_reverse = wl_symmetric_tangent_reverse, .jacobian = jacobian, \
  .add_jacobian_dot = add_jacobian_dot

/* Computes out[i] = expr, or out[i] += expr with `keep`, for i in [0, n). */
#define WL_FOR_EACH_PUT(i, n, out, keep, expr)              \
  do {                                                      \
    if (keep)                                               \
      for (int64_t i = 0; i < (n); ++i) (out)[i] += (expr); \
    else                                                    \
      for (int64_t i = 0; i < (n); ++i) (out)[i] = (expr);  \
  } while (0)

/* Building. A function that adds an operator checks the operands, creates a node and appends the node to the tape.
 * wl_tape_operands returns false and stores an error if a or b is not a valid operand. wl_tape_misfit stores the error
 * "shapes do not fit" and returns -1. */
bool wl_tape_operands(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b);
wl_node wl_tape_misfit(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b);
wl_node wl_tape_refuse(wl_tape *t, wl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
wl_tape_node wl_tape_draft(const wl_tape_op *op, wl_node a, wl_node b, int ndim,
                           const int64_t *shape);
wl_node wl_tape_push(wl_tape *t, const wl_tape_node *draft);
/* Appends y = op(a) or op(a, b) with the shape of a and no other settings. */
wl_node wl_tape_push_like(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b);

#endif
