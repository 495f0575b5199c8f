/* ops_conv.c - implements the operator for two-dimensional convolution (cross-correlation). The
 * operator is bilinear in the image x and the filter w.
 *
 *   y_{b,o,i,j} = sum_{c,k,l} w_{o,c,k,l} x_{b,c, i s + k - p, j s + l - p}
 *   H' = (H + 2 p - kh) / s + 1,   W' = (W + 2 p - kw) / s + 1
 *
 * Here s is the stride, and p is the padding. Outside the image, x is 0. The code computes the
 * convolution as a matrix product, but does not copy each window of the image. Instead, the code
 * copies the image once into a frame of zeros with rows of V = W + 2 p elements. The matrix of
 * windows has one row for each q = (c, k, l). Row q is the part of the frame that starts at the
 * index at_q = (c (H + 2 p) + k) V + l. With stride 1, output (i, j) is element i V + j of the
 * product. The last kw - 1 elements of each row of the product are not outputs and are not used.
 * With stride s, the outputs are every s-th row and column of the outputs with stride 1. The passes
 * are:
 *
 *   y_b[o, n]       = sum_q w[o, q] frame(x_b)[at_q + n]
 *   xbar_b[c, n]   += sum_q' w[o, c, kh-1-k, kw-1-l] frame(ybar_b)[at_q' + n]
 *   wbar[o, q]     += sum_b sum_n ybar_b[o, n] frame(x_b)[at_q + n]
 *
 * In the second formula, q' = (o, k, l). The kernel `spread` computes the first two products, and
 * the kernel `dots` computes the third product. */
#include <limits.h>
#include <string.h>

#include "tensor/kernels.h"
#include "tensor/tape_impl.h"

/* lengths are rounded up to a multiple of STRIPE, which is enough for full vectors of every
 * instruction set */
enum { STRIPE = 16 };

/* The sizes of a convolution with stride 1. The convolution reads a frame of `in` planes and writes
 * `out` planes. A plane of the frame has the size height x width. In an output plane, only the
 * first `rows` rows and the first `columns` columns are outputs. */
typedef struct conv_frame {
  int64_t in, out, height, width, rows, columns;
  int64_t kernel_height, kernel_width;
  /* number of rows in the matrix of windows, which is in * kernel_height * kernel_width */
  int64_t terms;
  int64_t length; /* number of elements in an output plane, rounded up to a multiple of STRIPE */
} conv_frame;

typedef struct conv_shape {
  int64_t batch, channels, height, width; /* shape of x */
  int64_t filters, kernel_height, kernel_width;
  int64_t out_height, out_width;
  int64_t stride, pad;
} conv_shape;

static conv_shape shape_of(const wl_tape_node *y, const wl_tape_node *x, const wl_tape_node *w) {
  return (conv_shape){.batch = x->shape[0],
                      .channels = x->shape[1],
                      .height = x->shape[2],
                      .width = x->shape[3],
                      .filters = w->shape[0],
                      .kernel_height = w->shape[2],
                      .kernel_width = w->shape[3],
                      .out_height = y->shape[2],
                      .out_width = y->shape[3],
                      .stride = y->stride,
                      .pad = y->pad};
}

static conv_shape shape_of_call(const wl_op_call *c) {
  return shape_of(c->node, c->in[0].node, c->in[1].node);
}

static conv_frame frame_of(const conv_shape *s, int64_t in, int64_t out, int64_t height,
                           int64_t width) {
  conv_frame f = {.in = in,
                  .out = out,
                  .height = height,
                  .width = width,
                  .rows = height - s->kernel_height + 1,
                  .columns = width - s->kernel_width + 1,
                  .kernel_height = s->kernel_height,
                  .kernel_width = s->kernel_width,
                  .terms = in * s->kernel_height * s->kernel_width};
  f.length = (f.rows * width + STRIPE - 1) / STRIPE * STRIPE;
  return f;
}

/* The function forward_frame returns the sizes for the forward pass, which computes y from x. The
 * function backward_frame returns the sizes for the gradient of the image, which is computed from
 * the gradient of y. In the backward frame, so many zeros surround the gradient that every element
 * of the filter can be multiplied by every element of the gradient. */
static conv_frame forward_frame(const conv_shape *s) {
  return frame_of(s, s->channels, s->filters, s->height + 2 * s->pad, s->width + 2 * s->pad);
}

static conv_frame backward_frame(const conv_shape *s) {
  return frame_of(s, s->filters, s->channels, s->height + s->kernel_height - 1,
                  s->width + s->kernel_width - 1);
}

/* The scratch memory of a pass, which contains the frame, the output planes, a filter whose two
 * kernel axes are reversed, and the indices at_q. */
typedef struct conv_scratch {
  wl_real *frame, *planes, *filter;
  int64_t *at;
} conv_scratch;

/* Returns the number of wl_real elements in a frame. The number includes some elements after the
 * end of the frame, because the last windows also read these elements. */
static int64_t frame_reals(const conv_frame *f) {
  return f->in * f->height * f->width + f->kernel_width + STRIPE;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Computes the lengths of the arrays frame, planes and filter, and the length of `at`. The lengths
 * are sufficient for all passes and are multiples of STRIPE. */
static void scratch_sizes(const conv_shape *s, int64_t reals[3], int64_t *lines) {
  const conv_frame f = forward_frame(s), b = backward_frame(s);
  const int64_t sizes[] = {larger(frame_reals(&f), frame_reals(&b)),
                           larger(f.out * f.length, b.out * b.length), s->filters * f.terms};
  for (int i = 0; i < 3; ++i) reals[i] = (sizes[i] + STRIPE - 1) / STRIPE * STRIPE;
  *lines = larger(f.terms, b.terms);
}

static conv_scratch scratch_of(const conv_shape *s, void *temp) {
  int64_t reals[3], lines;
  scratch_sizes(s, reals, &lines);
  conv_scratch c = {.frame = temp};
  c.planes = c.frame + reals[0];
  c.filter = c.planes + reals[1];
  c.at = (int64_t *)(c.filter + reals[2]);
  return c;
}

static void list_lines(const conv_frame *f, int64_t *at) {
  for (int64_t c = 0, q = 0; c < f->in; ++c)
    for (int64_t k = 0; k < f->kernel_height; ++k)
      for (int64_t l = 0; l < f->kernel_width; ++l) at[q++] = (c * f->height + k) * f->width + l;
}

/* Describes how an image is copied to a frame or to planes. Row i is copied to row i * stride +
 * down, and column j is copied to column j * stride + right. Elements outside the frame are not
 * copied. The elements of the frame between the copied elements stay zero. */
typedef struct placement {
  int64_t rows, columns; /* numbers of rows and columns in the image */
  int64_t down, right, stride;
} placement;

/* Finds the indices i from *first to *end - 1 that are in [0, count) and for which i * stride +
 * offset is in [0, size). */
static void inside(int64_t offset, int64_t stride, int64_t size, int64_t count, int64_t *first,
                   int64_t *end) {
  *first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  *end = size > offset ? (size - offset + stride - 1) / stride : 0;
  if (*end > count) *end = count;
  if (*first > *end) *first = *end;
}

static void place_row(const placement *p, int64_t first, int64_t end, const wl_real *restrict from,
                      wl_real *restrict to) {
  if (p->stride == 1)
    memcpy(to + first + p->right, from + first, (size_t)(end - first) * sizeof *to);
  else
    for (int64_t j = first; j < end; ++j) to[j * p->stride + p->right] = from[j];
}

static void clear_frame(const conv_frame *f, wl_real *frame) {
  memset(frame, 0, (size_t)frame_reals(f) * sizeof *frame);
}

static void fill_frame(const conv_frame *f, placement p, const wl_real *image, wl_real *frame) {
  int64_t top, bottom, left, right;
  inside(p.down, p.stride, f->height, p.rows, &top, &bottom);
  inside(p.right, p.stride, f->width, p.columns, &left, &right);
  for (int64_t c = 0; c < f->in; ++c)
    for (int64_t i = top; i < bottom; ++i)
      place_row(&p, left, right, image + (c * p.rows + i) * p.columns,
                frame + (c * f->height + i * p.stride + p.down) * f->width);
}

/* Copies the rows of the gradient of y to the output planes. */
static void fill_planes(const conv_frame *f, placement p, const wl_real *image, wl_real *planes) {
  for (int64_t o = 0; o < f->out; ++o)
    for (int64_t i = 0; i < p.rows; ++i)
      place_row(&p, 0, p.columns, image + (o * p.rows + i) * p.columns,
                planes + o * f->length + i * p.stride * f->width);
}

/* Copies the outputs from the planes to `out`. With stride s, the function copies every s-th row
 * and column. If `keep` is true, the function adds the outputs to `out`. */
static void take_outputs(const conv_frame *f, placement p, const wl_real *restrict planes,
                         wl_real *restrict out, bool keep) {
  for (int64_t o = 0; o < f->out; ++o)
    for (int64_t i = 0; i < p.rows; ++i) {
      const wl_real *const from = planes + o * f->length + i * p.stride * f->width;
      wl_real *const to = out + (o * p.rows + i) * p.columns;
      if (p.stride == 1) WL_FOR_EACH_PUT(j, p.columns, to, keep, from[j]);
      else WL_FOR_EACH_PUT(j, p.columns, to, keep, from[j * p.stride]);
    }
}

static placement image_in_frame(const conv_shape *s) {
  return (placement){s->height, s->width, s->pad, s->pad, 1};
}

static placement output(const conv_shape *s) {
  return (placement){s->out_height, s->out_width, 0, 0, s->stride};
}

static void conv_product(const wl_op_call *call, const wl_real *x, const wl_real *w, wl_real *y,
                         bool keep) {
  const conv_shape s = shape_of_call(call);
  const conv_frame f = forward_frame(&s);
  const conv_scratch t = scratch_of(&s, call->temp);
  const wl_spread_kernel spread = wl_kernels()->spread;
  list_lines(&f, t.at);
  clear_frame(&f, t.frame);
  for (int64_t b = 0; b < s.batch; ++b) {
    fill_frame(&f, image_in_frame(&s), x + b * s.channels * s.height * s.width, t.frame);
    spread(f.out, f.length, f.terms, (wl_strided){w, f.terms, 1}, t.frame, t.at, t.planes, f.length,
           false);
    take_outputs(&f, output(&s), t.planes, y + b * s.filters * s.out_height * s.out_width, keep);
  }
}

/* Copies w (O,C,kh,kw) to `turned` (C, O * kh * kw), and reverses both axes of the kernel. */
static void turn_filter(const conv_shape *s, const wl_real *w, wl_real *turned) {
  const int64_t taps = s->kernel_height * s->kernel_width;
  for (int64_t c = 0; c < s->channels; ++c)
    for (int64_t o = 0; o < s->filters; ++o)
      for (int64_t q = 0; q < taps; ++q)
        turned[(c * s->filters + o) * taps + q] = w[(o * s->channels + c) * taps + taps - 1 - q];
}

static void conv_pull_image(const wl_op_call *call, const wl_real *gy, const wl_real *w,
                            wl_real *gx, bool keep) {
  const conv_shape s = shape_of_call(call);
  const conv_frame f = backward_frame(&s);
  const conv_scratch t = scratch_of(&s, call->temp);
  const placement in_frame = {s.out_height, s.out_width, s.kernel_height - 1 - s.pad,
                              s.kernel_width - 1 - s.pad, s.stride};
  const placement whole = {s.height, s.width, 0, 0, 1};
  const wl_spread_kernel spread = wl_kernels()->spread;
  list_lines(&f, t.at);
  turn_filter(&s, w, t.filter);
  clear_frame(&f, t.frame);
  for (int64_t b = 0; b < s.batch; ++b) {
    fill_frame(&f, in_frame, gy + b * s.filters * s.out_height * s.out_width, t.frame);
    spread(f.out, f.length, f.terms, (wl_strided){t.filter, f.terms, 1}, t.frame, t.at, t.planes,
           f.length, false);
    take_outputs(&f, whole, t.planes, gx + b * s.channels * s.height * s.width, keep);
  }
}

static void conv_pull_filter(const wl_op_call *call, const wl_real *x, const wl_real *gy,
                             wl_real *gw, bool keep) {
  const conv_shape s = shape_of_call(call);
  const conv_frame f = forward_frame(&s);
  const conv_scratch t = scratch_of(&s, call->temp);
  const wl_dots_kernel dots = wl_kernels()->dots;
  list_lines(&f, t.at);
  clear_frame(&f, t.frame);
  memset(t.planes, 0, (size_t)(f.out * f.length) * sizeof *t.planes);
  for (int64_t b = 0; b < s.batch; ++b) {
    fill_frame(&f, image_in_frame(&s), x + b * s.channels * s.height * s.width, t.frame);
    fill_planes(&f, output(&s), gy + b * s.filters * s.out_height * s.out_width, t.planes);
    dots(f.out, f.terms, f.length, t.planes, f.length, t.frame, t.at, gw, f.terms, keep || b > 0);
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

static size_t scratch_bytes(const conv_shape *s) {
  int64_t reals[3], lines;
  scratch_sizes(s, reals, &lines);
  return (size_t)(reals[0] + reals[1] + reals[2]) * sizeof(wl_real) +
         (size_t)lines * sizeof(int64_t);
}

/* Returns true if the size of the scratch memory can be computed without integer overflow. */
static bool is_countable(const conv_shape *s) {
  int64_t image, filter;
  return s->pad <= INT_MAX / 4 &&
         !__builtin_mul_overflow((s->height + 2 * s->pad + s->kernel_height) *
                                     (s->width + 2 * s->pad + s->kernel_width),
                                 s->channels + s->filters, &image) &&
         !__builtin_mul_overflow(s->kernel_height * s->kernel_width, s->channels * s->filters,
                                 &filter) &&
         image < INT_MAX && filter < INT_MAX;
}

wl_node wl_op_conv2d(wl_tape *t, wl_node x, wl_node w, int stride, int pad) {
  const wl_tape_op *op = &wl_tape_op_conv2d;
  if (!wl_tape_operands(t, op, x, w)) return -1;
  const wl_tape_node *image = &t->nodes[x], *filter = &t->nodes[w];
  if (image->ndim != 4 || filter->ndim != 4 || image->shape[1] != filter->shape[1])
    return wl_tape_misfit(t, op, x, w);
  const int64_t rest[] = {image->shape[2] + 2 * (int64_t)pad - filter->shape[2],
                          image->shape[3] + 2 * (int64_t)pad - filter->shape[3]};
  if (stride < 1 || pad < 0 || rest[0] < 0 || rest[1] < 0)
    return wl_tape_refuse(
        t, WL_ERR_CONFIG,
        "operator conv2d: filters of size %lld x %lld with stride %d and padding %d do not fit an "
        "image of size %lld x %lld; use fewer layers, smaller filters or more padding",
        (long long)filter->shape[2], (long long)filter->shape[3], stride, pad,
        (long long)image->shape[2], (long long)image->shape[3]);
  wl_tape_node draft = wl_tape_draft(op, x, w, 4,
                                     (const int64_t[]){image->shape[0], filter->shape[0],
                                                       rest[0] / stride + 1, rest[1] / stride + 1});
  draft.stride = stride;
  draft.pad = pad;
  const conv_shape s = shape_of(&draft, image, filter);
  if (!is_countable(&s))
    return wl_tape_refuse(
        t, WL_ERR_CONFIG,
        "operator conv2d: the image or the filters have too many elements; use smaller images or "
        "filters");
  draft.temp_bytes = scratch_bytes(&s);
  return wl_tape_push(t, &draft);
}
