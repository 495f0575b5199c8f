/* diagonal.c - implements the preconditioner `diagonal`, which multiplies each coordinate of the
 * gradient by a learned factor, as Meta-SGD does (Li et al. 2017).
 *
 *   g~ = alpha o g,   gbar = alpha o g~bar,   alphabar = g~bar o g
 *
 * All arrays have the shape of theta, and o is the elementwise product. A name that ends with `bar`
 * is the name of an adjoint: gbar is the adjoint of g. Factors may be negative, as in the paper. If
 * the update rule is sgd with the rate 1, alpha contains the learning rates. */
#include <stdio.h>

#include "base/rng.h"
#include "precondition/precondition.h"

typedef struct diagonal {
  double initial;
  /* range [low, high] of the initial factors; if the list is empty, every factor starts at
   * `initial` */
  wl_reals initial_range;
  double lo, hi;
  /* lo and hi bound the initial factors; if lo equals hi, every factor starts at this value */
} diagonal;

static const wl_option diagonal_options[] = {
    {"initial", WL_OPT_REAL, "1", NULL, 0, 0, "1", "Initial value of every factor.",
     WL_SLOT(diagonal, initial)},
    {"initial_range", WL_OPT_REALS, "[]", NULL, 0, 0, "1",
     "[low, high]: the initial factors are drawn uniformly from this range. With [], every factor "
     "starts at `initial`.",
     WL_SLOT(diagonal, initial_range)},
    {0}};

static wl_status read_initial(const wl_map *options, diagonal *impl) {
  wl_map_read(options, diagonal_options, impl);
  const wl_reals range = impl->initial_range;
  impl->lo = impl->hi = impl->initial;
  if (range.count == 0) return WL_OK;
  if (range.count != 2 || !(range.at[0] < range.at[1]))
    return wl_map_fail(
        options, "initial_range",
        "give two numbers [low, high] with low < high, or give [] to start every factor at "
        "`initial`");
  impl->lo = range.at[0];
  impl->hi = range.at[1];
  return WL_OK;
}

static wl_status diagonal_create(const wl_map *options, const wl_layout *theta,
                                 wl_precondition *p) {
  diagonal *impl = NULL;
  WL_TRY(WL_NEW(impl, 1));
  p->impl = impl;
  WL_TRY(read_initial(options, impl));
  for (int j = 0; j < theta->count; j++) {
    const wl_tensor_entry *b = &theta->tensors[j];
    char name[WL_NAME_SIZE];
    const int length = snprintf(name, sizeof name, "precondition.%s", b->name);
    WL_CHECK(length < (int)sizeof name);
    int64_t offset = 0;
    WL_TRY(wl_layout_add(&p->phi, "precondition", name, b->ndim, b->shape, &offset));
    /* the functions `apply` and `adjoint` require that a tensor has the same offset in theta and in
     * phi */
    WL_CHECK(offset == b->offset);
  }
  return WL_OK;
}

static void diagonal_destroy(wl_precondition *p) { wl_free(p->impl); }

static void diagonal_init(const wl_precondition *p, uint64_t seed, wl_real *phi) {
  const diagonal *impl = p->impl;
  const wl_stream stream = {.seed = seed, .purpose = WL_FOR_META_INIT, .task = WL_INIT_DIAGONAL};
  if (impl->lo < impl->hi) wl_rng_uniform(stream, 0, p->phi.size, impl->lo, impl->hi, phi);
  else
    for (int64_t i = 0; i < p->phi.size; i++) phi[i] = (wl_real)impl->lo;
}

static void diagonal_apply(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                           wl_real *out, wl_real *scratch) {
  (void)scratch;
  for (int64_t i = 0; i < p->theta->size; i++) out[i] = phi[i] * in->g[i];
}

static void diagonal_adjoint(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                             const wl_gradient_bar *bar, wl_real *scratch) {
  (void)scratch;
  for (int64_t i = 0; i < p->theta->size; i++)
    bar->phi[i] += (double)bar->out[i] * (double)in->g[i];
  for (int64_t i = 0; bar->g != NULL && i < p->theta->size; i++)
    bar->g[i] = phi[i] * bar->out[i]; /* P^T equals P */
}

extern const wl_precondition_ops wl_precondition_diagonal;
const wl_precondition_ops wl_precondition_diagonal = {
    .name = "diagonal",
    .summary = "one learned factor for each coordinate of the gradient (Meta-SGD)",
    .options = diagonal_options,
    .create = diagonal_create,
    .destroy = diagonal_destroy,
    .init = diagonal_init,
    .apply = diagonal_apply,
    .adjoint = diagonal_adjoint};
