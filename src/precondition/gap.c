/* gap.c - implements the preconditioner `gap` (geometry-adaptive preconditioning), which multiplies
 * the singular values of each weight's gradient by learned factors (Kang et al. 2023).
 *
 *   G = U S V^T
 *   P G = U diag(m) U^T G,   m = ln(1 + e^{2M}) / 2 > 0
 *   Mbar = diag(U^T Gbar G^T U) dm/dM,   dm/dM = 1 - e^{-2m},   (adjoint of G) = P Gbar
 *
 * G is the gradient of a weight, as a matrix of shape (out,rest); `rest` is the product of the
 * sizes of all axes except `out`. M is a vector of min(out,rest) meta-parameters. The i-th element
 * of M belongs to the i-th largest singular value. A name that ends with `bar` is the name of an
 * adjoint: Gbar is the adjoint of P G, and Mbar is the adjoint of M. Derivatives treat U as
 * constant, as in the paper's code. The gradients of biases and other vectors are not changed. A
 * dense weight is stored with the shape (in,out), so `out` is its second axis. In a convolution's
 * weight, `out` is the first axis.
 *
 * The code computes P = 1 + U diag(m - 1) U^T. The columns of U are the left singular vectors whose
 * singular values are larger than the rounding error. The product P G is the same as in the formula
 * above, because the columns of G are in the span of U. On the orthogonal complement of the span of
 * U, P is the identity. An SVD may choose the singular vectors of zero singular values arbitrarily.
 * P does not use the singular vectors of zero singular values, so the adjoints do not depend on the
 * choice of these vectors. If all m are 1, P changes no bit of the gradient. The meta-parameters
 * are stored as x = M - M_0, where m(M_0) = 1:
 *
 *   m - 1 = ln(1 + (1 - e^{-2}) (e^{2x} - 1)) / 2
 *
 * If the key `approximate` is true, the code uses the identity matrix instead of U. The code then
 * multiplies row i of G by m_i, or column i of G if G has fewer columns than rows. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "precondition/precondition.h"
#include "tensor/gemm.h"
#include "tensor/singular.h"

typedef struct matrix {
  /* out, rest: numbers of rows and columns of the matrix G; least = min(out, rest) */
  int64_t offset, out, rest, least;
  /* true: the weight is stored with the shape (rest,out); false: with the shape (out,rest) */
  bool out_last;
  int64_t at;                       /* offset in phi of the meta-parameters x of this matrix */
  /* offset in the factor of this matrix's values, which are the rank, followed by U^T
   * (least,out) */
  int64_t basis;
} matrix;

typedef struct gap {
  int count;
  matrix *matrices;
  bool approximate;
  double noise;   /* standard deviation of the initial meta-parameters x */
  int64_t widest; /* largest value of `least` among all matrices */
  int64_t most;   /* number of elements of the largest matrix */
} gap;

static const wl_option gap_options[] = {
    {"approximate", WL_OPT_BOOL, "false", NULL, 0, 0, "1",
     "Multiply the rows of each weight's gradient by the factors, instead of multiplying the "
     "singular values. The approximation is faster, because it needs no singular vectors.",
     WL_SLOT(gap, approximate)},
    {"noise", WL_OPT_REAL, "0", NULL, 0, 1e3, "1",
     "Standard deviation of the meta-parameter of each factor before meta-training. With the value "
     "0, all factors start at 1.",
     WL_SLOT(gap, noise)},
    {0}};

/* ---- creation ---- */

static wl_status add_matrix(wl_precondition *p, const wl_tensor_entry *b, matrix *m) {
  char name[WL_NAME_SIZE];
  const int length = snprintf(name, sizeof name, "precondition.%s", b->name);
  WL_CHECK(length < (int)sizeof name);
  const int64_t first = b->shape[0], others = b->size / first;
  *m = (matrix){.offset = b->offset, .out_last = b->ndim == 2, .basis = p->factor};
  m->out = m->out_last ? others : first;
  m->rest = m->out_last ? first : others;
  m->least = m->out < m->rest ? m->out : m->rest;
  p->factor += 1 + m->least * m->out;
  return wl_layout_add(&p->phi, "precondition", name, 1, &m->least, &m->at);
}

static wl_status gap_create(const wl_map *options, const wl_layout *theta, wl_precondition *p) {
  gap *impl = NULL;
  int64_t work = 0;
  WL_TRY(WL_NEW(impl, 1));
  p->impl = impl;
  WL_TRY(WL_NEW(impl->matrices, theta->count));
  wl_map_read(options, gap_options, impl);
  for (int j = 0; j < theta->count; j++) {
    if (theta->tensors[j].ndim < 2) continue;
    matrix *m = &impl->matrices[impl->count++];
    WL_TRY(add_matrix(p, &theta->tensors[j], m));
    const int64_t needed = wl_singular_work(m->out, m->rest);
    if (needed > work) work = needed;
    if (m->least > impl->widest) impl->widest = m->least;
    if (m->out * m->rest > impl->most) impl->most = m->out * m->rest;
  }
  if (impl->count == 0)
    return wl_map_fail(
        options, "name",
        "gap needs weight matrices, but this task has no weight matrices; use the preconditioner "
        "diagonal");
  if (impl->approximate) p->factor = 0;
  if (work < 2 * impl->most)
    work = 2 * impl->most; /* the adjoint stores two products, each with `most` elements */
  p->scratch = impl->widest + impl->most + work;
  return WL_OK;
}

static void gap_destroy(wl_precondition *p) {
  gap *impl = p->impl;
  if (impl == NULL) return;
  wl_free(impl->matrices);
  wl_free(impl);
}

static void gap_init(const wl_precondition *p, uint64_t seed, wl_real *phi) {
  const gap *impl = p->impl;
  const wl_stream stream = {.seed = seed, .purpose = WL_FOR_META_INIT, .task = WL_INIT_GAP};
  if (impl->noise > 0) wl_rng_normal(stream, 0, p->phi.size, impl->noise, phi);
  else memset(phi, 0, (size_t)p->phi.size * sizeof *phi);
}

/* ---- factors ---- */

/* Computes m - 1 from x. For x > 20, the function returns the limit of the formula for large x,
 * because e^{2x} could overflow. */
static double excess(double x) {
  const double share = -expm1(-2); /* 1 - e^{-2} */
  return x > 20 ? x + 0.5 * log(share) : 0.5 * log1p(share * expm1(2 * x));
}

/* Returns the derivative dm/dM at x. */
static double slope(double x) { return -expm1(-2 * (1 + excess(x))); }

static void gap_find_factor(const wl_precondition *p, const wl_real *g, wl_real *factor,
                            wl_real *scratch) {
  const gap *impl = p->impl;
  for (int j = 0; j < impl->count; j++) {
    const matrix *m = &impl->matrices[j];
    const wl_real *from = g + m->offset;
    /* columns: the matrix G, stored column by column */
    wl_real *columns = scratch, *work = scratch + impl->most;
    if (m->out_last) memcpy(columns, from, (size_t)(m->out * m->rest) * sizeof *columns);
    else
      for (int64_t i = 0; i < m->out; i++)
        for (int64_t k = 0; k < m->rest; k++) columns[k * m->out + i] = from[i * m->rest + k];
    factor[m->basis] =
        (wl_real)wl_singular_left(m->out, m->rest, columns, factor + m->basis + 1, work);
  }
}

/* ---- the product and its adjoint ---- */

/* The arguments of the functions that multiply the gradient of one weight by P. */
typedef struct product {
  const matrix *m;
  const wl_real *phi;   /* the preconditioner's meta-parameters */
  const wl_real *basis; /* [rank][out] the matrix U^T */
  int64_t rank;
  wl_real *factors; /* [least] scratch memory for m - 1 */
  wl_real *y, *z;   /* [rank * rest] scratch memory for each of the two products of the adjoint */
} product;

static product open_product(const gap *impl, const matrix *m, const wl_real *phi,
                            const wl_real *factor, wl_real *scratch) {
  product p = {.m = m, .phi = phi, .factors = scratch, .y = scratch + impl->widest};
  p.z = p.y + impl->most;
  if (impl->approximate) return p;
  p.rank = (int64_t)factor[m->basis];
  p.basis = factor + m->basis + 1;
  return p;
}

/* Computes U^T X, where the matrix X is stored in the same order as the weight p->m. The result has
 * the shape (rank,rest). If `out` is the weight's last axis, the function writes the transpose of
 * the result. */
static void project(const product *p, const wl_real *x, wl_real *out) {
  const matrix *m = p->m;
  if (m->out_last) wl_gemm_nt((wl_mnk){m->rest, p->rank, m->out}, x, p->basis, out, false);
  else wl_gemm_nn((wl_mnk){p->rank, m->rest, m->out}, p->basis, x, out, false);
}

/* Returns the index at which `project` stores element (i,k) of U^T X. */
static int64_t place(const product *p, int64_t i, int64_t k) {
  return p->m->out_last ? k * p->rank + i : i * p->m->rest + k;
}

/* Adds U diag(m - 1) U^T x to the matrix x. */
static void add_excess(const product *p, wl_real *x) {
  const matrix *m = p->m;
  project(p, x, p->y);
  for (int64_t i = 0; i < p->rank; i++)
    for (int64_t k = 0; k < m->rest; k++) p->y[place(p, i, k)] *= p->factors[i];
  if (m->out_last) wl_gemm_nn((wl_mnk){m->rest, m->out, p->rank}, p->y, p->basis, x, true);
  else wl_gemm_tn((wl_mnk){m->out, m->rest, p->rank}, p->basis, p->y, x, true);
}

/* Returns the index of the k-th element in the row or column that m_i multiplies if the key
 * `approximate` is true. */
static int64_t element(const matrix *m, int64_t i, int64_t k) {
  /* true: m_i multiplies a row of the stored matrix; false: m_i multiplies a column */
  const bool rows = (m->out <= m->rest) != m->out_last;
  const int64_t length = m->out_last ? m->out : m->rest;
  return rows ? i * length + k : k * length + i;
}

/* Replaces the matrix x by P x. */
static void multiply(const gap *impl, const product *p, wl_real *x) {
  const matrix *m = p->m;
  bool any = false;
  for (int64_t i = 0; i < m->least; i++) {
    p->factors[i] = (wl_real)excess((double)p->phi[m->at + i]);
    any = any || p->factors[i] != 0;
  }
  if (!any) return;
  if (impl->approximate)
    for (int64_t i = 0; i < m->least; i++)
      for (int64_t k = 0; k < m->out * m->rest / m->least; k++)
        x[element(m, i, k)] *= 1 + p->factors[i];
  else if (p->rank > 0) add_excess(p, x);
}

static void gap_apply(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                      wl_real *out, wl_real *scratch) {
  const gap *impl = p->impl;
  memcpy(out, in->g, (size_t)p->theta->size * sizeof *out);
  for (int j = 0; j < impl->count; j++) {
    const product q = open_product(impl, &impl->matrices[j], phi, in->factor, scratch);
    multiply(impl, &q, out + q.m->offset);
  }
}

/* Adds the adjoint of the meta-parameters of one matrix to phi_bar. Element i of the adjoint is
 * dm/dM times the inner product of row i of U^T Gbar and row i of U^T G. If the key `approximate`
 * is true, the function uses the rows of Gbar and G instead of the rows of U^T Gbar and U^T G. */
static void contract(const gap *impl, const product *p, const wl_real *g, const wl_real *gbar,
                     double *phi_bar) {
  const matrix *m = p->m;
  const int64_t terms = impl->approximate ? m->least : p->rank;
  const int64_t length = impl->approximate ? m->out * m->rest / m->least : m->rest;
  const wl_real *y = gbar, *z = g;
  if (!impl->approximate && p->rank > 0) {
    project(p, gbar, p->y);
    project(p, g, p->z);
    y = p->y, z = p->z;
  }
  for (int64_t i = 0; i < terms; i++) {
    double sum = 0;
    for (int64_t k = 0; k < length; k++) {
      const int64_t e = impl->approximate ? element(m, i, k) : place(p, i, k);
      sum += (double)y[e] * (double)z[e];
    }
    phi_bar[m->at + i] += sum * slope((double)p->phi[m->at + i]);
  }
}

static void gap_adjoint(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                        const wl_gradient_bar *bar, wl_real *scratch) {
  const gap *impl = p->impl;
  for (int j = 0; j < impl->count; j++) {
    const product q = open_product(impl, &impl->matrices[j], phi, in->factor, scratch);
    contract(impl, &q, in->g + q.m->offset, bar->out + q.m->offset, bar->phi);
  }
  if (bar->g == NULL) return;
  if (bar->g != bar->out) memcpy(bar->g, bar->out, (size_t)p->theta->size * sizeof *bar->g);
  /* the adjoint also multiplies by P, because P^T equals P */
  for (int j = 0; j < impl->count; j++) {
    const product q = open_product(impl, &impl->matrices[j], phi, in->factor, scratch);
    multiply(impl, &q, bar->g + q.m->offset);
  }
}

extern const wl_precondition_ops wl_precondition_gap;
const wl_precondition_ops wl_precondition_gap = {
    .name = "gap",
    .summary = "learned factors that multiply the singular values of each weight's gradient (GAP)",
    .options = gap_options,
    .create = gap_create,
    .destroy = gap_destroy,
    .init = gap_init,
    .find_factor = gap_find_factor,
    .apply = gap_apply,
    .adjoint = gap_adjoint};
