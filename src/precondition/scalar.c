/* scalar.c - implements the preconditioner `scalar`, which multiplies the gradient by learned
 * factors. If the keys `learn_decay` and `learn_skip` are true, the preconditioner also adds
 * learned multiples of the parameters and of the previous preconditioned gradient. The key `per`
 * chooses how many factors there are: one factor for all of theta, one for each tensor, one for
 * each inner step, or one for each combination of step and tensor.
 *
 *   g~_t,i = alpha_{t,j} g_t,i + lambda_{t,j} theta_t,i + kappa_{t,j} g~_{t-1,i},   g~_{-1} = 0
 *   alphabar_{t,j} = sum_i g~bar_i g_i,   gbar_i = alpha_{t,j} g~bar_i
 *
 * Coordinate i belongs to tensor j. The key `learn_decay` adds the term with lambda, and
 * `learn_skip` adds the term with kappa. A name that ends with `bar` is the name of an adjoint:
 * gbar is the adjoint of g. The adjoints of lambda and kappa have the same form as the adjoint of
 * alpha.
 *
 * Factors may be negative. MAML++ (Antoniou 2019) uses one factor for each step and tensor. If the
 * update rule is sgd with the rate 1, a step is theta' = beta theta - alpha g with beta = 1 -
 * lambda. ALFA has the same step (Baik et al. 2020), but in ALFA a network computes alpha and beta.
 * The term with kappa is the gradient skip connection of PAMELA (Rajasegaran et al. 2020). The skip
 * coefficient of the rule `pamela` is -kappa. All steps t >= T use the factors of step T - 1. */
#include "precondition/precondition.h"

#include <string.h>

typedef struct scalar {
  enum { PER_RUN, PER_TENSOR, PER_STEP, PER_STEP_TENSOR } per;
  double initial, initial_decay, initial_skip;
  /* steps: number of steps with separate factors, or 1 if all steps have the same factors; tensors:
   * number of tensors with separate factors, or 1 if all tensors have the same factors */
  int64_t steps, tensors;
  bool learn_decay, learn_skip;
  int64_t decay_at, skip_at; /* offsets in phi of lambda and kappa */
} scalar;

static const wl_option scalar_options[] = {
    {"initial", WL_OPT_REAL, "1", NULL, 0, 0, "1",
     "Initial value of the factors that multiply the gradient.", WL_SLOT(scalar, initial)},
    {"per", WL_OPT_CHOICE, "run", "run|tensor|step|step_tensor", 0, 0, "1",
     "Scope of each learned factor. run: all coordinates and steps have the same factor. tensor: "
     "each inner tensor has a factor. step: each inner step has a factor. step_tensor: each "
     "combination of step and tensor has a factor.",
     WL_SLOT(scalar, per)},
    {"learn_decay", WL_OPT_BOOL, "false", NULL, 0, 0, "1",
     "Also learn factors that multiply the parameters. The product of these factors and the "
     "parameters is added to the gradient, as in weight decay.",
     WL_SLOT(scalar, learn_decay)},
    {"initial_decay", WL_OPT_REAL, "0", NULL, 0, 0, "1",
     "Initial value of the factors that `learn_decay` adds.", WL_SLOT(scalar, initial_decay)},
    {"learn_skip", WL_OPT_BOOL, "false", NULL, 0, 0, "1",
     "Also learn factors that multiply the preconditioned gradient of the previous step. The "
     "product of these factors and that gradient is added to the gradient, as a gradient skip "
     "connection.",
     WL_SLOT(scalar, learn_skip)},
    {"initial_skip", WL_OPT_REAL, "0", NULL, 0, 0, "1",
     "Initial value of the factors that `learn_skip` adds.", WL_SLOT(scalar, initial_skip)},
    {0}};

static wl_status add_factors(const scalar *impl, bool both, const char *name, wl_layout *phi,
                             int64_t *offset) {
  const int64_t table[2] = {impl->steps, impl->tensors}, count = impl->steps * impl->tensors;
  return both ? wl_layout_add(phi, "precondition", name, 2, table, offset)
              : wl_layout_add(phi, "precondition", name, 1, &count, offset);
}

static wl_status scalar_create(const wl_map *options, const wl_layout *theta, wl_precondition *p) {
  scalar *impl = NULL;
  WL_TRY(WL_NEW(impl, 1));
  p->impl = impl;
  wl_map_read(options, scalar_options, impl);
  const bool both = impl->per == PER_STEP_TENSOR;
  impl->steps = both || impl->per == PER_STEP ? p->steps : 1;
  impl->tensors = both || impl->per == PER_TENSOR ? theta->count : 1;
  p->reads_theta = impl->learn_decay;
  p->reads_before = impl->learn_skip;
  WL_TRY(add_factors(impl, both, "precondition.alpha", &p->phi, NULL));
  if (impl->learn_decay)
    WL_TRY(add_factors(impl, both, "precondition.decay", &p->phi, &impl->decay_at));
  if (impl->learn_skip)
    WL_TRY(add_factors(impl, both, "precondition.skip", &p->phi, &impl->skip_at));
  return WL_OK;
}

static void scalar_destroy(wl_precondition *p) { wl_free(p->impl); }

static void scalar_init(const wl_precondition *p, uint64_t seed, wl_real *phi) {
  (void)seed;
  const scalar *impl = p->impl;
  for (int64_t j = 0; j < impl->steps * impl->tensors; j++) {
    phi[j] = (wl_real)impl->initial;
    if (impl->learn_decay) phi[impl->decay_at + j] = (wl_real)impl->initial_decay;
    if (impl->learn_skip) phi[impl->skip_at + j] = (wl_real)impl->initial_skip;
  }
}

/* Returns the index of the factor that the tensor with the number `tensor` uses at step t. */
static int64_t factor_of(const scalar *impl, int64_t t, int tensor) {
  const int64_t step = t < impl->steps ? t : impl->steps - 1;
  return step * impl->tensors + (impl->tensors > 1 ? tensor : 0);
}

static void scale(const wl_tensor_entry *b, wl_real factor, const wl_real *in, wl_real *out) {
  for (int64_t i = b->offset; i < b->offset + b->size; i++) out[i] = factor * in[i];
}

static void add_scaled(const wl_tensor_entry *b, wl_real factor, const wl_real *in, wl_real *out) {
  for (int64_t i = b->offset; i < b->offset + b->size; i++) out[i] += factor * in[i];
}

static double dot(const wl_tensor_entry *b, const wl_real *x, const wl_real *y) {
  double sum = 0;
  for (int64_t i = b->offset; i < b->offset + b->size; i++) sum += (double)x[i] * (double)y[i];
  return sum;
}

static void scalar_apply(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                         wl_real *out, wl_real *scratch) {
  (void)scratch;
  const scalar *impl = p->impl;
  for (int j = 0; j < p->theta->count; j++) {
    const wl_tensor_entry *b = &p->theta->tensors[j];
    const int64_t at = factor_of(impl, in->t, j);
    scale(b, phi[at], in->g, out);
    if (impl->learn_decay) add_scaled(b, phi[impl->decay_at + at], in->theta, out);
    if (impl->learn_skip) add_scaled(b, phi[impl->skip_at + at], in->before, out);
  }
}

static void scalar_adjoint(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                           const wl_gradient_bar *bar, wl_real *scratch) {
  (void)scratch;
  const scalar *impl = p->impl;
  for (int j = 0; j < p->theta->count; j++) {
    const wl_tensor_entry *b = &p->theta->tensors[j];
    const int64_t at = factor_of(impl, in->t, j), decay = impl->decay_at + at,
                  skip = impl->skip_at + at;
    bar->phi[at] += dot(b, bar->out, in->g);
    if (impl->learn_decay) bar->phi[decay] += dot(b, bar->out, in->theta);
    if (impl->learn_decay) add_scaled(b, phi[decay], bar->out, bar->theta);
    if (impl->learn_skip) bar->phi[skip] += dot(b, bar->out, in->before);
    if (impl->learn_skip) scale(b, phi[skip], bar->out, bar->before);
    /* bar->g is computed last, because bar->g and bar->out may be the same array */
    if (bar->g != NULL) scale(b, phi[at], bar->out, bar->g);
  }
}

extern const wl_precondition_ops wl_precondition_scalar;
const wl_precondition_ops wl_precondition_scalar = {
    .name = "scalar",
    .summary =
        "learned factors that multiply the gradient, and optionally learned weight decays and "
        "gradient skip connections",
    .options = scalar_options,
    .create = scalar_create,
    .destroy = scalar_destroy,
    .init = scalar_init,
    .apply = scalar_apply,
    .adjoint = scalar_adjoint};
