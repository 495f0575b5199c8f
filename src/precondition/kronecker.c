/* kronecker.c - implements the preconditioner `kronecker`, which multiplies each axis of a tensor's
 * gradient by a learned square matrix, as Meta-Curvature does (Park and Oliva 2019). The formulas
 * for tensors with one to four axes are:
 *
 *   (n)             g~ = M0 g                                M0 (n, n)
 *   (a, b)          G~ = M0 G M1                             M0 (a, a), M1 (b, b)
 *   (a, b, c)       G~_{pqr} = M0_{pi} M1_{jq} M2_{kr} G_{ijk}
 *   (o, i, kh, kw)  like (o, i, kh * kw)                     M2 (kh * kw, kh * kw)
 *
 * Repeated indices are summed. Each matrix starts as the identity plus Gaussian noise with the
 * standard deviation `noise`. The code computes one product for each axis d: z_{d+1} = K_d z_d,
 * where z_0 = G, K_0 = M0, K_1 = M1^T and K_2 = M2^T. A name that ends with `bar` is the name of an
 * adjoint: zbar_d is the adjoint of z_d. The adjoints are:
 *
 *   Kbar_d = zbar_{d+1} z_d^T summed over the other axes,   zbar_d = K_d^T zbar_{d+1}
 *
 * For the product of one axis, the code treats the tensor as an array [before][size][after]. The
 * axis has `size` elements. The axes before this axis are joined to one axis, and so are the axes
 * after this axis. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "precondition/precondition.h"
#include "tensor/gemm.h"

enum { MAX_AXES = 3, AXIS_LIMIT = 4096 };

typedef struct axis {
  int64_t before, size, after;
  /* offset in phi of the matrix of this axis */
  int64_t at;
} axis;

typedef struct tensor {
  int64_t offset, size;
  int axes;
  axis axis[MAX_AXES];
} tensor;

typedef struct kronecker {
  int count;
  tensor *tensors;
  int64_t largest; /* number of elements of the largest tensor */
  double noise;    /* standard deviation of the noise in the initial matrices */
} kronecker;

static const wl_option kronecker_options[] = {
    {"noise", WL_OPT_REAL, "0", NULL, 0, 1e3, "1",
     "Standard deviation of the noise that is added to each element of the initial matrices. With "
     "the value 0, the matrices start as the identity.",
     WL_SLOT(kronecker, noise)},
    {0}};

/* ---- creation ---- */

static wl_status check_axis(const wl_map *options, const wl_tensor_entry *b, int64_t size) {
  if (size <= AXIS_LIMIT) return WL_OK;
  return wl_map_fail(
      options, "name",
      "kronecker needs a square matrix for each axis of a tensor, but an axis of the inner tensor "
      "'%s' has size %lld, and the limit is %d; use the preconditioner diagonal or a smaller "
      "network",
      b->name, (long long)size, AXIS_LIMIT);
}

static wl_status add_axis(wl_precondition *p, const wl_tensor_entry *b, tensor *t, int64_t before,
                          int64_t size) {
  char name[WL_NAME_SIZE];
  const int length = snprintf(name, sizeof name, "precondition.%s.axis%d", b->name, t->axes);
  WL_CHECK(length < (int)sizeof name);
  axis *a = &t->axis[t->axes++];
  *a = (axis){.before = before, .size = size, .after = b->size / (before * size)};
  return wl_layout_add(&p->phi, "precondition", name, 2, (int64_t[]){size, size}, &a->at);
}

static wl_status add_tensor(const wl_map *options, wl_precondition *p, const wl_tensor_entry *b,
                            tensor *t) {
  *t = (tensor){.offset = b->offset, .size = b->size};
  int64_t before = 1;
  for (int d = 0; d < b->ndim && t->axes < MAX_AXES; d++) {
    /* the third and the fourth axis are joined, because both count positions in a convolution's
     * kernel */
    const int64_t size = t->axes == MAX_AXES - 1 ? b->size / before : b->shape[d];
    WL_TRY(check_axis(options, b, size));
    WL_TRY(add_axis(p, b, t, before, size));
    before *= size;
  }
  /* a tensor without axes is one number, which the code treats as a vector with one element */
  if (t->axes == 0) WL_TRY(add_axis(p, b, t, 1, 1));
  return WL_OK;
}

static wl_status kronecker_create(const wl_map *options, const wl_layout *theta,
                                  wl_precondition *p) {
  kronecker *impl = NULL;
  WL_TRY(WL_NEW(impl, 1));
  p->impl = impl;
  WL_TRY(WL_NEW(impl->tensors, theta->count));
  impl->count = theta->count;
  wl_map_read(options, kronecker_options, impl);
  int64_t widest = 0;
  for (int j = 0; j < theta->count; j++) {
    tensor *t = &impl->tensors[j];
    WL_TRY(add_tensor(options, p, &theta->tensors[j], t));
    if (t->size > impl->largest) impl->largest = t->size;
    for (int d = 0; d < t->axes; d++)
      if (t->axis[d].size > widest) widest = t->axis[d].size;
  }
  p->scratch = (MAX_AXES + 1) * impl->largest + widest * widest;
  return WL_OK;
}

static void kronecker_destroy(wl_precondition *p) {
  kronecker *impl = p->impl;
  if (impl == NULL) return;
  wl_free(impl->tensors);
  wl_free(impl);
}

static void kronecker_init(const wl_precondition *p, uint64_t seed, wl_real *phi) {
  const kronecker *impl = p->impl;
  const wl_stream stream = {.seed = seed, .purpose = WL_FOR_META_INIT, .task = WL_INIT_KRONECKER};
  if (impl->noise > 0) wl_rng_normal(stream, 0, p->phi.size, impl->noise, phi);
  else memset(phi, 0, (size_t)p->phi.size * sizeof *phi);
  for (int j = 0; j < p->phi.count; j++) {
    const wl_tensor_entry *m = &p->phi.tensors[j];
    for (int64_t i = 0; i < m->shape[0]; i++) phi[m->offset + i * (m->shape[0] + 1)] += 1;
  }
}

/* ---- products of one axis ---- */

/* If `forward` is true, multiplies axis d of the tensor `in` by K. If `forward` is false,
 * multiplies the axis by K^T. The function writes the product to `out`. The arrays `in` and `out`
 * have the shape [before][size][after] and must not overlap. */
static void multiply(const tensor *t, int d, bool forward, const wl_real *phi, const wl_real *in,
                     wl_real *out) {
  const axis *a = &t->axis[d];
  const int64_t n = a->size, after = a->after;
  const wl_real *m = phi + a->at;
  /* true: the matrix of the product is M; false: the matrix is M^T */
  const bool as_is = (d == 0) == forward;
  if (after == 1 && d > 0) { /* no axes follow, so one matrix product is sufficient */
    (as_is ? wl_gemm_nt : wl_gemm_nn)((wl_mnk){a->before, n, n}, in, m, out, false);
    return;
  }
  for (int64_t b = 0; b < a->before; b++)
    (as_is ? wl_gemm_nn : wl_gemm_tn)((wl_mnk){n, after, n}, m, in + b * n * after,
                                      out + b * n * after, false);
}

/* Adds to phi_grad the derivative of the inner product <zbar, K z> with respect to M. The array
 * mbar [size][size] is scratch memory. */
static void add_matrix_gradient(const tensor *t, int d, const wl_real *z, const wl_real *zbar,
                                wl_real *mbar, double *phi_grad) {
  const axis *a = &t->axis[d];
  const int64_t n = a->size, after = a->after;
  /* Mbar is zbar z^T if K is M, and z zbar^T if K is M^T */
  const wl_real *left = d == 0 ? zbar : z, *right = d == 0 ? z : zbar;
  if (after == 1 && d > 0) wl_gemm_tn((wl_mnk){n, n, a->before}, left, right, mbar, false);
  else
    for (int64_t b = 0; b < a->before; b++)
      wl_gemm_nt((wl_mnk){n, n, after}, left + b * n * after, right + b * n * after, mbar, b > 0);
  for (int64_t i = 0; i < a->size * a->size; i++) phi_grad[a->at + i] += (double)mbar[i];
}

static void kronecker_apply(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                            wl_real *out, wl_real *scratch) {
  const kronecker *impl = p->impl;
  for (int j = 0; j < impl->count; j++) {
    const tensor *t = &impl->tensors[j];
    const wl_real *z = in->g + t->offset;
    for (int d = 0; d < t->axes; d++) {
      wl_real *next = d == t->axes - 1 ? out + t->offset : scratch + d * impl->largest;
      multiply(t, d, true, phi, z, next);
      z = next;
    }
  }
}

/* Computes the adjoints of one tensor's gradient and matrices. The pointers g, bar->g and bar->out
 * point to the tensor's first element. The function computes the intermediate products z_1 and z_2
 * again, because the forward pass does not store these products. */
static void tensor_adjoint(const kronecker *impl, const tensor *t, const wl_real *phi,
                           const wl_real *g, const wl_gradient_bar *bar, wl_real *scratch) {
  wl_real *spare[2] = {scratch + (MAX_AXES - 1) * impl->largest,
                       scratch + MAX_AXES * impl->largest};
  wl_real *mbar = scratch + (MAX_AXES + 1) * impl->largest;
  const wl_real *z[MAX_AXES] = {g};
  for (int d = 0; d + 1 < t->axes; d++) {
    wl_real *next = scratch + d * impl->largest;
    multiply(t, d, true, phi, z[d], next);
    z[d + 1] = next;
  }
  /* bar->g and bar->out may be the same array */
  memcpy(spare[0], bar->out, (size_t)t->size * sizeof *bar->out);
  const wl_real *zbar = spare[0];
  for (int d = t->axes - 1; d >= 0; d--) {
    add_matrix_gradient(t, d, z[d], zbar, mbar, bar->phi);
    wl_real *next = d > 0 ? (zbar == spare[0] ? spare[1] : spare[0]) : bar->g;
    if (next != NULL) multiply(t, d, false, phi, zbar, next);
    zbar = next;
  }
}

static void kronecker_adjoint(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                              const wl_gradient_bar *bar, wl_real *scratch) {
  const kronecker *impl = p->impl;
  for (int j = 0; j < impl->count; j++) {
    const tensor *t = &impl->tensors[j];
    const wl_gradient_bar part = {.out = bar->out + t->offset,
                                  .g = bar->g != NULL ? bar->g + t->offset : NULL,
                                  .phi = bar->phi};
    tensor_adjoint(impl, t, phi, in->g + t->offset, &part, scratch);
  }
}

extern const wl_precondition_ops wl_precondition_kronecker;
const wl_precondition_ops wl_precondition_kronecker = {
    .name = "kronecker",
    .summary = "one learned matrix for each axis of each tensor's gradient (Meta-Curvature)",
    .options = kronecker_options,
    .create = kronecker_create,
    .destroy = kronecker_destroy,
    .init = kronecker_init,
    .apply = kronecker_apply,
    .adjoint = kronecker_adjoint};
