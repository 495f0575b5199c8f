/* ops_elementwise.c - implements the unary operators y_i = f(x_i), and the operators that add,
 * subtract or multiply two tensors of the same shape.
 *
 * A unary operator is defined by its function f and by the first and second derivatives of f. The
 * macro WL_UNARY defines the passes:
 *
 *   reverse          xbar  += f'(x) ybar
 *   tangent          y.     = f'(x) x.
 *   tangent reverse  x.bar += f'(x) y.bar + f''(x) x. ybar
 *
 * The derivatives are expressions that may contain x, y = f(x), the node's factor and values that
 * the forward pass stored.
 *
 * The operator gelu computes x (1 + T) / 2 with T = tanh u and u = sqrt(2 / pi) (x + 0.044715 x^3)
 * (Hendrycks and Gimpel 2016). This form of gelu is the default in JAX; in PyTorch,
 * the argument approximate='tanh' selects this form. The forward pass stores T. */
#include <math.h>
#include <string.h>

#include "tensor/kernels.h"
#include "tensor/tape_impl.h"

/* Defines the reverse and tangent passes of a unary operator. FIRST and SECOND are the operator's
 * first and second derivatives, as expressions in x, y, factor and kept[i]. */
#define WL_UNARY(op_name, forward_pass, FIRST, SECOND, cost)                                      \
  static void op_name##_reverse(const wl_op_call *c) {                                            \
    const wl_real *restrict xs = c->in[0].value, *restrict ys = c->value, *restrict gy = c->grad; \
    const wl_real factor = (wl_real)c->node->factor, *restrict kept = c->saved;                   \
    wl_real *restrict out = c->in[0].grad;                                                        \
    if (!out) return;                                                                             \
    WL_UNARY_LOOP(c->in[0].keep, gy[i] * (FIRST));                                                \
  }                                                                                               \
  static void op_name##_tangent(const wl_op_call *c) {                                            \
    const wl_real *restrict xs = c->in[0].value, *restrict ys = c->value,                         \
                            *restrict dx = c->in[0].dot;                                          \
    const wl_real factor = (wl_real)c->node->factor, *restrict kept = c->saved;                   \
    wl_real *restrict out = c->dot;                                                               \
    WL_UNARY_LOOP(false, dx[i] * (FIRST));                                                        \
  }                                                                                               \
  static void op_name##_tangent_reverse(const wl_op_call *c) {                                    \
    const wl_real *restrict xs = c->in[0].value, *restrict ys = c->value, *restrict gy = c->grad, \
                            *restrict hy = c->graddot, *restrict dx = c->in[0].dot;               \
    const wl_real factor = (wl_real)c->node->factor, *restrict kept = c->saved;                   \
    wl_real *restrict out = c->in[0].graddot;                                                     \
    if (!out) return;                                                                             \
    if (dx) WL_UNARY_LOOP(c->in[0].keep, hy[i] * (FIRST) + dx[i] * (SECOND)*gy[i]);               \
    else WL_UNARY_LOOP(c->in[0].keep, hy[i] * (FIRST));                                           \
  }                                                                                               \
  static double op_name##_flops(const wl_tape_node *node, const wl_tape_node *a,                  \
                                const wl_tape_node *b) {                                          \
    (void)a, (void)b;                                                                             \
    return (cost) * (double)node->size;                                                           \
  }                                                                                               \
  const wl_tape_op wl_tape_op_##op_name = {.name = #op_name,                                      \
                                           .signature = "(...) -> (...)",                         \
                                           .arity = 1,                                            \
                                           .forward = forward_pass,                               \
                                           .reverse = op_name##_reverse,                          \
                                           .tangent = op_name##_tangent,                          \
                                           .tangent_reverse = op_name##_tangent_reverse,          \
                                           .flops = op_name##_flops};

/* Loops over all elements in one pass of a unary operator. The expression may use x, y, factor and
 * kept[i]. */
#define WL_UNARY_LOOP(keep_flag, expr)            \
  do {                                            \
    const bool keep = (keep_flag);                \
    for (int64_t i = 0; i < c->node->size; ++i) { \
      const wl_real x = xs[i], y = ys[i];         \
      (void)x, (void)y, (void)factor, (void)kept; \
      out[i] = keep ? out[i] + (expr) : (expr);   \
    }                                             \
  } while (0)

static const wl_real GELU_SLOPE = (wl_real)0.79788456080286535588; /* the number sqrt(2 / pi) */
static const wl_real GELU_CUBE = (wl_real)0.044715;

static void scale_forward(const wl_op_call *c) {
  const wl_real factor = (wl_real)c->node->factor;
  for (int64_t i = 0; i < c->node->size; ++i) c->value[i] = factor * c->in[0].value[i];
}

static void shift_forward(const wl_op_call *c) {
  const wl_real term = (wl_real)c->node->factor;
  for (int64_t i = 0; i < c->node->size; ++i) c->value[i] = c->in[0].value[i] + term;
}

static void square_forward(const wl_op_call *c) {
  for (int64_t i = 0; i < c->node->size; ++i) c->value[i] = c->in[0].value[i] * c->in[0].value[i];
}

static void relu_forward(const wl_op_call *c) {
  for (int64_t i = 0; i < c->node->size; ++i) /* if x is NaN, y is NaN */
    c->value[i] = c->in[0].value[i] <= 0 ? 0 : c->in[0].value[i];
}

static void exp_forward(const wl_op_call *c) {
  wl_kernels()->exp(c->node->size, c->in[0].value, c->value);
}

static void sigmoid_forward(const wl_op_call *c) {
  wl_kernels()->sigmoid(c->node->size, c->in[0].value, c->value);
}

static void tanh_forward(const wl_op_call *c) {
  wl_kernels()->tanh(c->node->size, c->in[0].value, c->value);
}

static void elu_forward(const wl_op_call *c) {
  wl_kernels()->elu(c->node->size, c->in[0].value, c->value);
}

/* Computes y = cos x, and stores sin x for the derivatives. */
static void cos_forward(const wl_op_call *c) {
  wl_real *restrict sines = c->saved;
  for (int64_t i = 0; i < c->node->size; ++i) {
    c->value[i] = (wl_real)cos((double)c->in[0].value[i]);
    sines[i] = (wl_real)sin((double)c->in[0].value[i]);
  }
}

static void sqrt_forward(const wl_op_call *c) {
  for (int64_t i = 0; i < c->node->size; ++i)
    c->value[i] = (wl_real)sqrt((double)c->in[0].value[i]);
}

/* Computes gelu, and stores T = tanh u for the derivatives. During the computation, the output
 * array contains u. */
static void gelu_forward(const wl_op_call *c) {
  const int64_t n = c->node->size;
  const wl_real *restrict x = c->in[0].value;
  wl_real *restrict y = c->value, *restrict t = c->saved;
  for (int64_t i = 0; i < n; ++i) y[i] = GELU_SLOPE * (x[i] + GELU_CUBE * x[i] * x[i] * x[i]);
  wl_kernels()->tanh(n, y, t);
  for (int64_t i = 0; i < n; ++i) y[i] = (wl_real)0.5 * x[i] * (1 + t[i]);
}

/* Returns the first derivative of gelu, (1 + T + x (1 - T^2) u') / 2. */
static inline wl_real gelu_first(wl_real x, wl_real t) {
  const wl_real slope = GELU_SLOPE * (1 + 3 * GELU_CUBE * x * x);
  return (wl_real)0.5 * (1 + t + x * (1 - t * t) * slope);
}

/* Returns the second derivative of gelu, (1 - T^2) (u' + x (u'' / 2 - T u'^2)). */
static inline wl_real gelu_second(wl_real x, wl_real t) {
  const wl_real slope = GELU_SLOPE * (1 + 3 * GELU_CUBE * x * x);
  return (1 - t * t) * (slope + x * (3 * GELU_SLOPE * GELU_CUBE * x - t * slope * slope));
}

WL_UNARY(scale, scale_forward, factor, (wl_real)0, 1.0)
WL_UNARY(shift, shift_forward, (wl_real)1, (wl_real)0, 1.0)
WL_UNARY(square, square_forward, 2 * x, (wl_real)2, 1.0)
WL_UNARY(exp, exp_forward, y, y, 20.0)
WL_UNARY(sigmoid, sigmoid_forward, (1 - y) * y, (1 - y) * y * (1 - 2 * y), 20.0)
WL_UNARY(tanh, tanh_forward, 1 - y * y, -2 * y * (1 - y * y), 20.0)
WL_UNARY(relu, relu_forward, (wl_real)(x > 0), (wl_real)0, 1.0)
WL_UNARY(elu, elu_forward, x > 0 ? 1 : y + 1, x > 0 ? 0 : y + 1, 20.0)
WL_UNARY(cos, cos_forward, -kept[i], -y, 40.0)
WL_UNARY(sqrt, sqrt_forward, (wl_real)0.5 / y, (wl_real)-0.25 / (y * y * y), 5.0)
WL_UNARY(gelu, gelu_forward, gelu_first(x, kept[i]), gelu_second(x, kept[i]), 25.0)

/* add, sub */

static void negated(const wl_op_call *c, const wl_real *x, wl_real *out, bool keep) {
  WL_FOR_EACH_PUT(i, c->node->size, out, keep, -x[i]);
}

const wl_tape_op wl_tape_op_add = {.name = "add",
                                   .signature = "two tensors of the same shape",
                                   .arity = 2,
                                   WL_OP_PASSES(linear),
                                   .same = true,
                                   .apply = {wl_linear_copy, wl_linear_copy},
                                   .pull = {wl_linear_copy, wl_linear_copy}};

const wl_tape_op wl_tape_op_sub = {.name = "sub",
                                   .signature = "two tensors of the same shape",
                                   .arity = 2,
                                   WL_OP_PASSES(linear),
                                   .same = true,
                                   .apply = {wl_linear_copy, negated},
                                   .pull = {wl_linear_copy, negated}};

/* mul: the derivative with respect to each operand is a diagonal matrix, so all passes use one
 * function */

static void times(const wl_op_call *c, const wl_real *p, const wl_real *q, wl_real *out,
                  bool keep) {
  WL_FOR_EACH_PUT(i, c->node->size, out, keep, p[i] * q[i]);
}

const wl_tape_op wl_tape_op_mul = {.name = "mul",
                                   .signature = "two tensors of the same shape",
                                   .arity = 2,
                                   WL_OP_PASSES(bilinear),
                                   .product = times,
                                   .pull_a = times,
                                   .pull_b = times};

/* Builders. */

static wl_node unary(wl_tape *t, const wl_tape_op *op, wl_node a, double factor) {
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  wl_tape_node draft = wl_tape_draft(op, a, -1, t->nodes[a].ndim, t->nodes[a].shape);
  draft.factor = factor;
  return wl_tape_push(t, &draft);
}

static wl_node binary(wl_tape *t, const wl_tape_op *op, wl_node a, wl_node b) {
  if (!wl_tape_operands(t, op, a, b)) return -1;
  const wl_tape_node *x = &t->nodes[a], *y = &t->nodes[b];
  if (x->ndim != y->ndim || memcmp(x->shape, y->shape, sizeof x->shape) != 0)
    return wl_tape_misfit(t, op, a, b);
  return wl_tape_push_like(t, op, a, b);
}

wl_node wl_op_add(wl_tape *t, wl_node a, wl_node b) { return binary(t, &wl_tape_op_add, a, b); }
wl_node wl_op_sub(wl_tape *t, wl_node a, wl_node b) { return binary(t, &wl_tape_op_sub, a, b); }
wl_node wl_op_mul(wl_tape *t, wl_node a, wl_node b) { return binary(t, &wl_tape_op_mul, a, b); }
wl_node wl_op_scale(wl_tape *t, wl_node a, double factor) {
  return unary(t, &wl_tape_op_scale, a, factor);
}
wl_node wl_op_shift(wl_tape *t, wl_node a, double term) {
  return unary(t, &wl_tape_op_shift, a, term);
}
wl_node wl_op_square(wl_tape *t, wl_node a) { return unary(t, &wl_tape_op_square, a, 0); }
wl_node wl_op_exp(wl_tape *t, wl_node a) { return unary(t, &wl_tape_op_exp, a, 0); }
wl_node wl_op_sigmoid(wl_tape *t, wl_node a) { return unary(t, &wl_tape_op_sigmoid, a, 0); }
wl_node wl_op_tanh(wl_tape *t, wl_node a) { return unary(t, &wl_tape_op_tanh, a, 0); }
wl_node wl_op_relu(wl_tape *t, wl_node a) { return unary(t, &wl_tape_op_relu, a, 0); }
wl_node wl_op_elu(wl_tape *t, wl_node a) { return unary(t, &wl_tape_op_elu, a, 0); }
wl_node wl_op_sqrt(wl_tape *t, wl_node a) { return unary(t, &wl_tape_op_sqrt, a, 0); }

static wl_node unary_that_keeps(wl_tape *t, const wl_tape_op *op, wl_node a) {
  if (!wl_tape_operands(t, op, a, -1)) return -1;
  wl_tape_node draft = wl_tape_draft(op, a, -1, t->nodes[a].ndim, t->nodes[a].shape);
  draft.saved_bytes = (size_t)t->nodes[a].size * sizeof(wl_real);
  return wl_tape_push(t, &draft);
}

wl_node wl_op_cos(wl_tape *t, wl_node a) { return unary_that_keeps(t, &wl_tape_op_cos, a); }
wl_node wl_op_gelu(wl_tape *t, wl_node a) { return unary_that_keeps(t, &wl_tape_op_gelu, a); }
