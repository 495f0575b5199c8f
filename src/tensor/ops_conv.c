/* ops_conv.c - two-dimensional convolution (cross-correlation), bilinear in image and filter.
 *
 *   y_{b,o,i,j} = sum_{c,k,l} w_{o,c,k,l} x_{b,c, i s + k - p, j s + l - p}     x is 0 outside
 *   H' = (H + 2 p - kh) / s + 1, W' alike
 *
 * Image by image as a matrix product, with K = C kh kw, P = H' W' and `unfold` the map that
 * copies each window into a column (zeros for padding); `fold` is its transpose:
 *
 *   y_b (O,P) = w (O,K) unfold(x_b) (K,P)
 *   xbar_b   += fold(w^T ybar_b)
 *   wbar     += sum_b ybar_b unfold(x_b)^T
 *
 * One buffer (K,P) serves all images; a filter of 1 x 1 with stride 1 needs none. */
#include <limits.h>
#include <string.h>

#include "tensor/gemm.h"
#include "tensor/tape_impl.h"

typedef struct conv_shape {
  int64_t batch, channels, height, width; /* of x */
  int64_t filters, kernel_height, kernel_width;
  int64_t out_height, out_width;
  int64_t stride, pad;
  int64_t k, p; /* C kh kw, H' W' */
  bool direct;  /* unfold is the identity */
} conv_shape;

static conv_shape shape_of(const wl_tape_node *y, const wl_tape_node *x, const wl_tape_node *w) {
  conv_shape s = {.batch = x->shape[0], .channels = x->shape[1], .height = x->shape[2], .width = x->shape[3]};
  s.filters = w->shape[0];
  s.kernel_height = w->shape[2];
  s.kernel_width = w->shape[3];
  s.out_height = y->shape[2];
  s.out_width = y->shape[3];
  s.stride = y->stride;
  s.pad = y->pad;
  s.k = s.channels * s.kernel_height * s.kernel_width;
  s.p = s.out_height * s.out_width;
  s.direct = s.kernel_height == 1 && s.kernel_width == 1 && s.stride == 1 && s.pad == 0;
  return s;
}

static conv_shape shape_of_call(const wl_op_call *c) { return shape_of(c->node, c->in[0].node, c->in[1].node); }

/* The outputs [*first, *end) along one axis whose input i s + offset lies in [0, size). */
static void inside(int64_t offset, int64_t stride, int64_t size, int64_t outputs, int64_t *first, int64_t *end) {
  *first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  *end = size > offset ? (size - offset + stride - 1) / stride : 0;
  if (*end > outputs) *end = outputs;
  if (*first > *end) *first = *end;
}

/* One row of a column block: out_j = row[j s + offset], 0 outside. */
static void unfold_row(const conv_shape *s, const wl_real *row, int64_t offset, wl_real *out) {
  int64_t first, end;
  inside(offset, s->stride, s->width, s->out_width, &first, &end);
  for (int64_t j = 0; j < first; ++j) out[j] = 0;
  for (int64_t j = first; j < end; ++j) out[j] = row[j * s->stride + offset];
  for (int64_t j = end; j < s->out_width; ++j) out[j] = 0;
}

/* Its transpose: row[j s + offset] += in_j. */
static void fold_row(const conv_shape *s, const wl_real *in, int64_t offset, wl_real *row) {
  int64_t first, end;
  inside(offset, s->stride, s->width, s->out_width, &first, &end);
  for (int64_t j = first; j < end; ++j) row[j * s->stride + offset] += in[j];
}

/* Where line q = (c, k, l) of the (K,P) matrix reads: plane c, vertical and horizontal offset. */
typedef struct conv_tap {
  int64_t plane, down, right;
} conv_tap;

static conv_tap tap_of(const conv_shape *s, int64_t q) {
  const int64_t window = s->kernel_height * s->kernel_width;
  return (conv_tap){q / window, q % window / s->kernel_width - s->pad, q % s->kernel_width - s->pad};
}

/* (C,H,W) -> (K,P); the image itself where the two are the same. */
static const wl_real *unfold(const conv_shape *s, const wl_real *image, wl_real *columns) {
  if (s->direct) return image;
  for (int64_t q = 0; q < s->k; ++q) {
    const conv_tap tap = tap_of(s, q);
    for (int64_t i = 0; i < s->out_height; ++i) {
      const int64_t line = i * s->stride + tap.down;
      wl_real *const out = columns + q * s->p + i * s->out_width;
      if (line < 0 || line >= s->height)
        memset(out, 0, (size_t)s->out_width * sizeof *out);
      else
        unfold_row(s, image + (tap.plane * s->height + line) * s->width, tap.right, out);
    }
  }
  return columns;
}

/* (K,P) added into (C,H,W) */
static void fold(const conv_shape *s, const wl_real *columns, wl_real *image) {
  for (int64_t q = 0; q < s->k; ++q) {
    const conv_tap tap = tap_of(s, q);
    for (int64_t i = 0; i < s->out_height; ++i) {
      const int64_t line = i * s->stride + tap.down;
      if (line < 0 || line >= s->height) continue;
      fold_row(s, columns + q * s->p + i * s->out_width, tap.right,
               image + (tap.plane * s->height + line) * s->width);
    }
  }
}

static void conv_product(const wl_op_call *c, const wl_real *x, const wl_real *w, wl_real *y, bool keep) {
  const conv_shape s = shape_of_call(c);
  for (int64_t b = 0; b < s.batch; ++b) {
    const wl_real *const columns = unfold(&s, x + b * s.channels * s.height * s.width, c->temp);
    wl_gemm_nn(s.filters, s.p, s.k, w, columns, y + b * s.filters * s.p, keep);
  }
}

static void conv_pull_image(const wl_op_call *c, const wl_real *gy, const wl_real *w, wl_real *gx, bool keep) {
  const conv_shape s = shape_of_call(c);
  const int64_t pixels = s.channels * s.height * s.width;
  if (!keep && !s.direct) memset(gx, 0, (size_t)(s.batch * pixels) * sizeof *gx);
  for (int64_t b = 0; b < s.batch; ++b) {
    wl_real *const columns = s.direct ? gx + b * pixels : c->temp;
    wl_gemm_tn(s.k, s.p, s.filters, w, gy + b * s.filters * s.p, columns, s.direct && keep);
    if (!s.direct) fold(&s, columns, gx + b * pixels);
  }
}

static void conv_pull_filter(const wl_op_call *c, const wl_real *x, const wl_real *gy, wl_real *gw, bool keep) {
  const conv_shape s = shape_of_call(c);
  for (int64_t b = 0; b < s.batch; ++b) {
    const wl_real *const columns = unfold(&s, x + b * s.channels * s.height * s.width, c->temp);
    wl_gemm_nt(s.filters, s.k, s.p, gy + b * s.filters * s.p, columns, gw, keep || b > 0);
  }
}

static double conv_flops(const wl_tape_node *y, const wl_tape_node *x, const wl_tape_node *w) {
  (void)x;
  return 2.0 * (double)y->size * (double)(w->size / w->shape[0]);
}

const wl_tape_op wl_tape_op_conv2d = {.name = "conv2d",
                                      .signature = "(B,C,H,W)(O,C,kh,kw) -> (B,O,H',W')",
                                      .arity = 2,
                                      WL_OP_PASSES(bilinear),
                                      .flops = conv_flops,
                                      .product = conv_product,
                                      .pull_a = conv_pull_image,
                                      .pull_b = conv_pull_filter};

wl_node wl_op_conv2d(wl_tape *t, wl_node x, wl_node w, int stride, int pad) {
  const wl_tape_op *op = &wl_tape_op_conv2d;
  if (!wl_tape_operands(t, op, x, w)) return -1;
  const wl_tape_node *image = &t->nodes[x], *filter = &t->nodes[w];
  if (image->ndim != 4 || filter->ndim != 4 || image->shape[1] != filter->shape[1]) return wl_tape_misfit(t, op, x, w);
  const int64_t rest[] = {image->shape[2] + 2 * (int64_t)pad - filter->shape[2],
                          image->shape[3] + 2 * (int64_t)pad - filter->shape[3]};
  if (stride < 1 || pad < 0 || rest[0] < 0 || rest[1] < 0)
    return wl_tape_refuse(t, WL_ERR_CONFIG,
                          "operator conv2d: filters of %lld x %lld with stride %d and padding %d do not fit an image of "
                          "%lld x %lld; use fewer layers, smaller filters or more padding",
                          (long long)filter->shape[2], (long long)filter->shape[3], stride, pad,
                          (long long)image->shape[2], (long long)image->shape[3]);
  wl_tape_node draft = wl_tape_draft(op, x, w, 4, (const int64_t[]){image->shape[0], filter->shape[0],
                                                                    rest[0] / stride + 1, rest[1] / stride + 1});
  draft.stride = stride;
  draft.pad = pad;
  const conv_shape s = shape_of(&draft, image, filter);
  if (s.k > INT_MAX || s.p > INT_MAX || s.k > INT64_MAX / 64 / s.p)
    return wl_tape_refuse(t, WL_ERR_CONFIG, "operator conv2d: the image or the filters are too large");
  if (!s.direct) draft.temp_bytes = (size_t)(s.k * s.p) * sizeof(wl_real);
  return wl_tape_push(t, &draft);
}
