/* scalar.c - one learned factor for all of theta, or one for each tensor.
 *
 *   g~_i = alpha_{j(i)} g_i,   alphabar_j = sum_{i in tensor j} gbar_i g_i      alpha [1] or [tensors]
 *
 * Signs are free. One factor per tensor is the layer-wise rate of MAML++ (Antoniou 2019) without
 * its dependence on the step. */
#include "precondition/precondition.h"

#include <string.h>

typedef struct scalar {
  double initial;
  bool per_tensor;
} scalar;

static wl_status scalar_create(const wl_map *options, const wl_layout *theta, wl_precondition *p) {
  scalar *impl = NULL;
  WL_TRY(WL_NEW(impl, 1));
  p->impl = impl;
  impl->initial = wl_map_real(options, "initial");
  impl->per_tensor = strcmp(wl_map_string(options, "per"), "tensor") == 0;
  const int64_t count = impl->per_tensor ? theta->count : 1;
  return wl_layout_add(&p->phi, "precondition", "precondition.alpha", 1, &count, NULL);
}

static void scalar_destroy(wl_precondition *p) { wl_free(p->impl); }

static void scalar_init(const wl_precondition *p, uint64_t seed, wl_real *phi) {
  (void)seed;
  const scalar *impl = p->impl;
  for (int64_t j = 0; j < p->phi.size; j++) phi[j] = (wl_real)impl->initial;
}

/* Index in phi of a tensor's factor. */
static int factor_of(const wl_precondition *p, int tensor) {
  const scalar *impl = p->impl;
  return impl->per_tensor ? tensor : 0;
}

static void scalar_apply(const wl_precondition *p, const wl_real *phi, const wl_real *g,
                         wl_real *out, wl_real *scratch) {
  (void)scratch;
  for (int j = 0; j < p->theta->count; j++) {
    const wl_block *b = &p->theta->blocks[j];
    const wl_real alpha = phi[factor_of(p, j)];
    for (int64_t i = b->offset; i < b->offset + b->size; i++) out[i] = alpha * g[i];
  }
}

static void scalar_adjoint(const wl_precondition *p, const wl_real *phi, const wl_real *g,
                           const wl_real *gbar, wl_real *raw, double *phi_grad, wl_real *scratch) {
  for (int j = 0; j < p->theta->count; j++) {
    const wl_block *b = &p->theta->blocks[j];
    double sum = 0;
    for (int64_t i = b->offset; i < b->offset + b->size; i++) sum += (double)gbar[i] * (double)g[i];
    phi_grad[factor_of(p, j)] += sum;
  }
  if (raw != NULL) scalar_apply(p, phi, gbar, raw, scratch); /* P^T = P */
}

static const wl_option scalar_options[] = {
    {"initial", WL_OPT_REAL, "1", NULL, 0, 0, "1", "the factor at the start"},
    {"per", WL_OPT_CHOICE, "run", "run|tensor", 0, 0, "1",
     "one factor for all, or one for each inner tensor"},
    {0}};

extern const wl_precondition_ops wl_precondition_scalar;
const wl_precondition_ops wl_precondition_scalar = {.name = "scalar",
                                                    .summary = "one learned factor",
                                                    .options = scalar_options,
                                                    .create = scalar_create,
                                                    .destroy = scalar_destroy,
                                                    .init = scalar_init,
                                                    .apply = scalar_apply,
                                                    .adjoint = scalar_adjoint};
