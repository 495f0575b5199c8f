/* precondition.c - creates and destroys preconditioners, clips the gradient, and contains the table
 * of all preconditioners. Here v is `clip_value`, and b is `clip_norm`.
 *
 *   clip:     c_i = min(max(g_i, -v), v),   g' = s c,  s = min(1, b / ||c||)
 *   adjoint:  cbar = s (g'bar - c <c, g'bar> / ||c||^2) if s < 1, else g'bar
 *             gbar_i = cbar_i if |g_i| <= v, else 0 */
#include "precondition/precondition.h"

#include <math.h>
#include <string.h>
#include <threads.h>

#define WL_PRECONDITION(id) extern const wl_precondition_ops wl_precondition_##id;
#include "precondition/preconditions.def"
#undef WL_PRECONDITION

/* The preconditioner `none`, which returns the gradient unchanged. */
static const wl_precondition_ops none = {
    .name = "none",
    .summary = "no preconditioner: the update rule receives the unchanged gradient"};

#define WL_PRECONDITION(id) &wl_precondition_##id,
const wl_precondition_ops *const wl_preconditions[] = {&none,
#include "precondition/preconditions.def"
                                                       NULL};
#undef WL_PRECONDITION

enum { PRECONDITIONS = sizeof wl_preconditions / sizeof *wl_preconditions - 1 };

static wl_variant variants[PRECONDITIONS + 1];
static once_flag variants_once = ONCE_FLAG_INIT;

static void fill_variants(void) {
  for (int i = 0; i < PRECONDITIONS; i++) {
    const wl_precondition_ops *ops = wl_preconditions[i];
    variants[i] = (wl_variant){ops->name, ops->summary, ops->options};
  }
}

const wl_variant *wl_precondition_variants(void) {
  call_once(&variants_once, fill_variants);
  return variants;
}

static const wl_precondition_ops *find(const char *name) {
  for (int i = 0; i < PRECONDITIONS; i++)
    if (strcmp(wl_preconditions[i]->name, name) == 0) return wl_preconditions[i];
  return NULL;
}

static wl_status create(const wl_config *config, const wl_precondition_ops *ops,
                        const wl_layout *theta, wl_precondition *p) {
  const wl_episode_keys episode = wl_episode_read(config);
  *p = (wl_precondition){.ops = ops,
                         .theta = theta,
                         .steps = episode.steps.at[episode.steps.count - 1],
                         .clip_value = episode.clip_value,
                         .clip_norm = episode.clip_norm};
  return ops == &none ? WL_OK : ops->create(wl_config_map(config, "precondition", 0), theta, p);
}

wl_status wl_precondition_create(const wl_config *config, const wl_layout *theta,
                                 wl_precondition **out) {
  *out = NULL;
  const char *name = wl_map_variant(wl_config_map(config, "precondition", 0));
  const wl_precondition_ops *ops = find(name);
  if (ops == NULL)
    return WL_FAIL(
        WL_ERR_CONFIG,
        "there is no preconditioner '%s'; the option --list preconditions prints all "
        "preconditioners",
        name);
  wl_precondition *p = NULL;
  WL_TRY(WL_NEW(p, 1));
  const wl_status status = create(config, ops, theta, p);
  const bool idle = ops == &none && p->clip_value == 0 && p->clip_norm == 0;
  if (status != WL_OK || idle) wl_precondition_destroy(&p);
  *out = p;
  return status;
}

void wl_precondition_destroy(wl_precondition **p) {
  if (p == NULL || *p == NULL) return;
  if ((*p)->ops->destroy != NULL) (*p)->ops->destroy(*p);
  wl_layout_clear(&(*p)->phi);
  wl_free(*p);
  *p = NULL;
}

/* ---- The clip -------------------------------------------------------------------------------- */

static bool clips(const wl_precondition *p) { return p->clip_value > 0 || p->clip_norm > 0; }

int64_t wl_precondition_scratch(const wl_precondition *p, int64_t n) {
  return p->scratch + (clips(p) ? wl_pad(n) : 0);
}

void wl_precondition_init(const wl_precondition *p, uint64_t seed, wl_real *phi) {
  if (p->ops->init != NULL) p->ops->init(p, seed, phi);
}

static double dot(const wl_real *a, const wl_real *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* Clips each element of g to [-clip_value, clip_value], and writes the result to c. */
static void clip_values(const wl_precondition *p, const wl_real *g, int64_t n, wl_real *c) {
  const wl_real v = (wl_real)p->clip_value;
  memcpy(c, g, (size_t)n * sizeof *c);
  for (int64_t i = 0; v > 0 && i < n; i++) /* a NaN in g remains NaN in c */
    c[i] = c[i] > v ? v : c[i] < -v ? -v : c[i];
}

/* Returns the factor s that reduces a gradient with the norm `norm` to a norm of at most
 * `clip_norm`. If the norm is NaN, the factor is 1. */
static double shrink(const wl_precondition *p, double norm) {
  return p->clip_norm > 0 && norm > p->clip_norm ? p->clip_norm / norm : 1;
}

/* Returns a copy of the inputs `in` in which the clipped gradient replaces the gradient. The
 * clipped gradient is stored in the first elements of *scratch. The function advances *scratch past
 * the clipped gradient. */
static wl_gradient clipped(const wl_precondition *p, const wl_gradient *in, wl_real **scratch) {
  wl_gradient out = *in;
  if (!clips(p)) return out;
  wl_real *c = *scratch;
  *scratch += wl_pad(in->n);
  clip_values(p, in->g, in->n, c);
  const wl_real s = (wl_real)shrink(p, sqrt(dot(c, c, in->n)));
  for (int64_t i = 0; s < 1 && i < in->n; i++) c[i] *= s;
  out.g = c;
  return out;
}

/* Computes the adjoint of the unclipped gradient from `bar`, the adjoint of the clipped gradient,
 * and overwrites `bar`. The array c [n] is scratch memory. */
static void clip_adjoint(const wl_precondition *p, const wl_gradient *in, wl_real *c,
                         wl_real *bar) {
  clip_values(p, in->g, in->n, c);
  const double square = dot(c, c, in->n), s = shrink(p, sqrt(square));
  const double along = s < 1 ? dot(c, bar, in->n) / square : 0;
  for (int64_t i = 0; s < 1 && i < in->n; i++)
    bar[i] = (wl_real)(s * ((double)bar[i] - along * (double)c[i]));
  for (int64_t i = 0; p->clip_value > 0 && i < in->n; i++)
    if (c[i] != in->g[i]) bar[i] = 0;
}

void wl_precondition_find_factor(const wl_precondition *p, const wl_gradient *in, wl_real *factor,
                                 wl_real *scratch) {
  if (p->factor == 0) return;
  const wl_gradient step = clipped(p, in, &scratch);
  p->ops->find_factor(p, step.g, factor, scratch);
}

void wl_precondition_apply(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                           wl_real *out, wl_real *scratch) {
  const wl_gradient step = clipped(p, in, &scratch);
  if (p->ops->apply != NULL) p->ops->apply(p, phi, &step, out, scratch);
  else memcpy(out, step.g, (size_t)in->n * sizeof *out);
}

void wl_precondition_adjoint(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                             const wl_gradient_bar *bar, wl_real *scratch) {
  wl_real *const front = scratch;
  const wl_gradient step = clipped(p, in, &scratch);
  if (p->ops->adjoint != NULL) p->ops->adjoint(p, phi, &step, bar, scratch);
  else if (bar->g != NULL && bar->g != bar->out)
    memcpy(bar->g, bar->out, (size_t)in->n * sizeof *bar->g);
  if (bar->g != NULL && clips(p)) clip_adjoint(p, in, front, bar->g);
}
