/* ops_pool.c - implements the operators for pooling over square windows without padding. Rows and
 * columns at the edge that do not fill a window are not used.
 *
 *   H' = (H - size) / stride + 1,   W' = (W - size) / stride + 1
 *   max_pool  y_o = x_{a(o)},                        xbar_{a(o)} += ybar_o
 *   avg_pool  y_o = sum_{i in window o} x_i / size^2,  xbar_i += ybar_o / size^2
 *
 * Here a(o) is the index of the largest element in the window of output o. If several elements are
 * the largest, a(o) is the first of them. For constant indices a(o), max_pool is linear. Therefore,
 * max_pool uses the reverse and tangent passes of linear operators. */
#include <limits.h>
#include <string.h>

#include "tensor/tape_impl.h"

/* The sizes of the planes before pooling (height, width) and after pooling (out_height, out_width).
 * There is one plane for each channel of each image. */
typedef struct pool_shape {
  int64_t planes, height, width, out_height, out_width;
  int window, stride;
} pool_shape;

static pool_shape shape_of(const wl_op_call *c) {
  const int64_t *x = c->in[0].node->shape, *y = c->node->shape;
  return (pool_shape){x[0] * x[1], x[2], x[3], y[2], y[3], c->node->window, c->node->stride};
}

static double pool_flops(const wl_tape_node *y, const wl_tape_node *x, const wl_tape_node *none) {
  (void)x, (void)none;
  return (double)y->size * y->window * y->window;
}

/* max_pool: the memory `saved` contains a(o) for each output, as an int32 index in the plane */

/* Returns the index of the largest element in the window at `corner`. A NaN counts as larger than
 * any number, so that the loss becomes NaN. */
static int32_t window_max(const wl_real *plane, int64_t corner, int64_t width, int window,
                          wl_real *value) {
  wl_real best = plane[corner];
  int64_t where = corner;
  for (int i = 0; i < window; ++i)
    for (int j = 0; j < window; ++j) {
      const int64_t at = corner + i * width + j;
      const wl_real x = plane[at];
      const bool wins = (x > best) | (x != x);
      best = wins ? x : best;
      where = wins ? at : where;
    }
  *value = best;
  return (int32_t)where;
}

static void pool_plane(const pool_shape *s, const wl_real *plane, int32_t *arg, wl_real *value) {
  for (int64_t i = 0; i < s->out_height; ++i)
    for (int64_t j = 0; j < s->out_width; ++j) {
      const int64_t o = i * s->out_width + j, corner = (i * s->width + j) * s->stride;
      arg[o] = window_max(plane, corner, s->width, s->window, &value[o]);
    }
}

/* Pools a row of adjacent windows of size 2 x 2, which is the usual case. The results are the same
 * as those of window_max. The code has no branches, because the processor often mispredicts
 * branches that depend on image data. The compiler vectorises the loop over windows. */
static void pool_pairs(int32_t count, int32_t corner, int32_t width, const wl_real *restrict top,
                       int32_t *restrict arg, wl_real *restrict value) {
  const wl_real *restrict bottom = top + width;
  for (int32_t j = 0; j < count; ++j) {
    const wl_real x[] = {top[2 * j], top[2 * j + 1], bottom[2 * j], bottom[2 * j + 1]};
    const int32_t right = (x[1] > x[0]) | (x[1] != x[1]);
    const wl_real upper = right ? x[1] : x[0];
    const int32_t below = (x[2] > upper) | (x[2] != x[2]);
    const wl_real three = below ? x[2] : upper;
    const int32_t last = (x[3] > three) | (x[3] != x[3]);
    value[j] = last ? x[3] : three;
    arg[j] = corner + 2 * j + (last ? width + 1 : below ? width : right);
  }
}

static void pool_plane_pairs(const pool_shape *s, const wl_real *plane, int32_t *arg,
                             wl_real *value) {
  for (int64_t i = 0; i < s->out_height; ++i) {
    const int64_t o = i * s->out_width, corner = 2 * i * s->width;
    pool_pairs((int32_t)s->out_width, (int32_t)corner, (int32_t)s->width, plane + corner, arg + o,
               value + o);
  }
}

static void max_pool_forward(const wl_op_call *c) {
  const pool_shape s = shape_of(c);
  const int64_t outputs = s.out_height * s.out_width;
  int32_t *const arg = c->saved;
  const bool pairs = s.window == 2 && s.stride == 2;
  for (int64_t p = 0; p < s.planes; ++p)
    (pairs ? pool_plane_pairs : pool_plane)(&s, c->in[0].value + p * s.height * s.width,
                                            arg + p * outputs, c->value + p * outputs);
}

static void max_pool_apply(const wl_op_call *c, const wl_real *x, wl_real *y, bool keep) {
  const pool_shape s = shape_of(c);
  const int64_t outputs = s.out_height * s.out_width, pixels = s.height * s.width;
  const int32_t *const arg = c->saved;
  for (int64_t p = 0; p < s.planes; ++p)
    WL_FOR_EACH_PUT(o, outputs, y + p * outputs, keep, x[p * pixels + arg[p * outputs + o]]);
}

static void max_pool_pull(const wl_op_call *c, const wl_real *gy, wl_real *gx, bool keep) {
  const pool_shape s = shape_of(c);
  const int64_t outputs = s.out_height * s.out_width, pixels = s.height * s.width;
  const int32_t *const arg = c->saved;
  if (!keep) memset(gx, 0, (size_t)(s.planes * pixels) * sizeof *gx);
  for (int64_t p = 0; p < s.planes; ++p)
    for (int64_t o = 0; o < outputs; ++o)
      gx[p * pixels + arg[p * outputs + o]] += gy[p * outputs + o];
}

const wl_tape_op wl_tape_op_max_pool = {.name = "max_pool",
                                        .signature = "(B,C,H,W) with H, W >= size",
                                        .arity = 1,
                                        .forward = max_pool_forward,
                                        .reverse = wl_linear_reverse,
                                        .tangent = wl_linear_tangent,
                                        .tangent_reverse = wl_linear_tangent_reverse,
                                        .flops = pool_flops,
                                        .apply = {max_pool_apply},
                                        .pull = {max_pool_pull}};

/* avg_pool */

static wl_real window_sum(const pool_shape *s, const wl_real *corner) {
  wl_real sum = 0;
  for (int i = 0; i < s->window; ++i)
    for (int j = 0; j < s->window; ++j) sum += corner[i * s->width + j];
  return sum;
}

static void avg_pool_apply(const wl_op_call *c, const wl_real *x, wl_real *y, bool keep) {
  const pool_shape s = shape_of(c);
  const wl_real share = (wl_real)1 / (wl_real)(s.window * s.window);
  for (int64_t r = 0; r < s.planes * s.out_height; ++r) {
    const int64_t top = (r / s.out_height) * s.height + (r % s.out_height) * s.stride;
    const wl_real *const row = x + top * s.width;
    WL_FOR_EACH_PUT(o, s.out_width, y + r * s.out_width, keep,
                    share * window_sum(&s, row + o * s.stride));
  }
}

static void window_add(const pool_shape *s, wl_real value, wl_real *corner) {
  for (int i = 0; i < s->window; ++i)
    for (int j = 0; j < s->window; ++j) corner[i * s->width + j] += value;
}

static void avg_pool_pull(const wl_op_call *c, const wl_real *gy, wl_real *gx, bool keep) {
  const pool_shape s = shape_of(c);
  const wl_real share = (wl_real)1 / (wl_real)(s.window * s.window);
  if (!keep) memset(gx, 0, (size_t)(s.planes * s.height * s.width) * sizeof *gx);
  for (int64_t r = 0; r < s.planes * s.out_height; ++r) {
    const int64_t top = (r / s.out_height) * s.height + (r % s.out_height) * s.stride;
    for (int64_t o = 0; o < s.out_width; ++o)
      window_add(&s, share * gy[r * s.out_width + o], gx + top * s.width + o * s.stride);
  }
}

const wl_tape_op wl_tape_op_avg_pool = {.name = "avg_pool",
                                        .signature = "(B,C,H,W) with H, W >= size",
                                        .arity = 1,
                                        WL_OP_PASSES(linear),
                                        .flops = pool_flops,
                                        .apply = {avg_pool_apply},
                                        .pull = {avg_pool_pull}};

/* Builders. */

static wl_node pool(wl_tape *t, const wl_tape_op *op, wl_node x, int size, int stride) {
  if (!wl_tape_operands(t, op, x, -1)) return -1;
  const wl_tape_node *a = &t->nodes[x];
  if (a->ndim != 4) return wl_tape_misfit(t, op, x, -1);
  if (size < 1 || stride < 1 || size > a->shape[2] || size > a->shape[3] ||
      a->shape[2] > INT_MAX / a->shape[3])
    return wl_tape_refuse(
        t, WL_ERR_CONFIG,
        "operator %s: a window of size %d with stride %d does not fit an image of size %lld x "
        "%lld; use fewer or smaller pooling layers",
        op->name, size, stride, (long long)a->shape[2], (long long)a->shape[3]);
  const int64_t shape[] = {a->shape[0], a->shape[1], (a->shape[2] - size) / stride + 1,
                           (a->shape[3] - size) / stride + 1};
  wl_tape_node draft = wl_tape_draft(op, x, -1, 4, shape);
  draft.window = size;
  draft.stride = stride;
  if (op == &wl_tape_op_max_pool)
    draft.saved_bytes = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]) * sizeof(int32_t);
  return wl_tape_push(t, &draft);
}

wl_node wl_op_max_pool(wl_tape *t, wl_node x, int size, int stride) {
  return pool(t, &wl_tape_op_max_pool, x, size, stride);
}
wl_node wl_op_avg_pool(wl_tape *t, wl_node x, int size, int stride) {
  return pool(t, &wl_tape_op_avg_pool, x, size, stride);
}
