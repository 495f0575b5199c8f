/* initialisation.c - which tensors of theta_0 are learned, and Leap's and Reptile's gradients
 * (formulas: initialisation.h). */
#include "unroll/initialisation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FRESH_OPTION                                                                                   \
  {                                                                                                    \
    "fresh", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1",                                                    \
        "Tensors drawn anew for each episode, e.g. the head [dense1.weight, dense1.bias]; the others " \
        "are learned."                                                                                 \
  }

static const wl_option common_options[] = {FRESH_OPTION, {0}};
static const wl_option leap_options[] = {
    FRESH_OPTION,
    {"loss_term", WL_OPT_BOOL, "true", NULL, 0, 0, "1",
     "The change of the loss is part of a segment's length."},
    {"stabilise", WL_OPT_BOOL, "true", NULL, 0, 0, "1",
     "A rise of the loss counts as a fall, so that it does not pull theta_0 uphill."},
    {0}};

const wl_variant wl_initialisation_variants[] = {
    {"none", "theta_0 is drawn afresh for each episode, as the task family says", NULL},
    {"maml",
     "theta_0 is learned by the gradient of the meta-loss through the window (exact or "
     "first-order MAML, by window.order)",
     common_options},
    {"leap",
     "theta_0 is learned by shortening the path that adaptation takes over the loss surface (Leap)",
     leap_options},
    {"reptile", "theta_0 is learned by moving it towards adapted parameters (Reptile)",
     common_options},
    {NULL, NULL, NULL}};

/* ---- Paths ----------------------------------------------------------------------------------- */

static double squared_length(const wl_initialisation *init, const wl_real *u) {
  double sum = 0.0;
  for (int j = 0; j < init->phi.count; j++)
    for (int64_t i = init->from[j]; i < init->from[j] + init->phi.blocks[j].size; i++)
      sum += (double)u[i] * (double)u[i];
  return sum;
}

static void leap_segment(const wl_initialisation *init, const wl_path_segment *s, double *grad) {
  double rise = init->loss_term ? s->next_loss - s->loss : 0.0;
  const double length = sqrt(squared_length(init, s->u) + rise * rise);
  if (!(length > 0.0)) return; /* a segment of no length has no direction */
  if (init->stabilise) rise = -fabs(rise);
  for (int j = 0; j < init->phi.count; j++) {
    const wl_block *b = &init->phi.blocks[j];
    const wl_real *u = s->u + init->from[j], *g = s->g + init->from[j];
    for (int64_t i = 0; i < b->size; i++)
      grad[b->offset + i] += (-(double)u[i] - rise * (double)g[i]) / length;
  }
}

static void reptile_segment(const wl_initialisation *init, const wl_path_segment *s, double *grad) {
  for (int j = 0; j < init->phi.count; j++) {
    const wl_block *b = &init->phi.blocks[j];
    for (int64_t i = 0; i < b->size; i++) grad[b->offset + i] -= (double)s->u[init->from[j] + i];
  }
}

static const wl_initialisation_ops table[] = {
    {.name = "maml", .adjoint = true},
    {.name = "leap", .losses = true, .segment = leap_segment},
    {.name = "reptile", .segment = reptile_segment},
};

/* ---- Tensors --------------------------------------------------------------------------------- */

/* A name in `fresh` that is no tensor is an error that lists them. */
static wl_status check_fresh(const wl_map *map, const wl_layout *theta, const char *const *fresh,
                             int count) {
  char known[512] = "";
  for (int i = 0; i < theta->count; i++) {
    const size_t used = strlen(known);
    snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", theta->blocks[i].name);
  }
  for (int i = 0; i < count; i++)
    if (!wl_layout_find(theta, fresh[i]))
      return wl_map_fail(map, "fresh", "'%s' is no tensor of this task; it has: %s", fresh[i],
                         known);
  return WL_OK;
}

static bool is_among(const char *name, const char *const *names, int count) {
  for (int i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

static wl_status add_tensor(wl_initialisation *init, const wl_block *b) {
  char name[WL_NAME_SIZE];
  if (snprintf(name, sizeof name, "theta0.%s", b->name) >= (int)sizeof name)
    return WL_FAIL(WL_ERR_SOFTWARE, "the tensor name '%s' is too long", b->name);
  init->from[init->phi.count] = b->offset;
  return wl_layout_add(&init->phi, "initialisation", name, b->ndim, b->shape, NULL);
}

static wl_status choose_tensors(const wl_map *map, const wl_layout *theta,
                                wl_initialisation *init) {
  int count;
  const char *const *fresh = wl_map_strings(map, "fresh", &count);
  WL_TRY(check_fresh(map, theta, fresh, count));
  WL_TRY(WL_NEW(init->from, theta->count));
  for (int i = 0; i < theta->count; i++)
    if (!is_among(theta->blocks[i].name, fresh, count)) WL_TRY(add_tensor(init, &theta->blocks[i]));
  init->any_fresh = init->phi.count < theta->count;
  if (init->phi.count > 0) return WL_OK;
  return wl_map_fail(
      map, "fresh",
      "every tensor is fresh, so that nothing is learned; use `initialisation: {name: none}`");
}

static wl_status read_options(const wl_map *map, const wl_layout *theta, wl_initialisation *init) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].name, wl_map_variant(map)) == 0) init->ops = &table[i];
  WL_CHECK(init->ops != NULL);
  init->loss_term = init->ops->losses && wl_map_bool(map, "loss_term");
  init->stabilise = init->ops->losses && wl_map_bool(map, "stabilise");
  return choose_tensors(map, theta, init);
}

wl_status wl_initialisation_create(const wl_map *map, const wl_layout *theta,
                                   wl_initialisation **out) {
  *out = NULL;
  if (strcmp(wl_map_variant(map), "none") == 0) return WL_OK;
  wl_initialisation *init = NULL;
  WL_TRY(WL_NEW(init, 1));
  const wl_status status = read_options(map, theta, init);
  if (status != WL_OK) wl_initialisation_destroy(&init);
  *out = init;
  return status;
}

void wl_initialisation_destroy(wl_initialisation **init) {
  if (!*init) return;
  wl_layout_clear(&(*init)->phi);
  wl_free((*init)->from);
  wl_free(*init);
  *init = NULL;
}

void wl_initialisation_start(const wl_initialisation *init, const wl_real *theta0, wl_real *theta) {
  for (int j = 0; j < init->phi.count; j++) {
    const wl_block *b = &init->phi.blocks[j];
    memcpy(theta + init->from[j], theta0 + b->offset, (size_t)b->size * sizeof *theta);
  }
}

void wl_initialisation_extract(const wl_initialisation *init, const wl_real *theta,
                               wl_real *theta0) {
  for (int j = 0; j < init->phi.count; j++) {
    const wl_block *b = &init->phi.blocks[j];
    memcpy(theta0 + b->offset, theta + init->from[j], (size_t)b->size * sizeof *theta);
  }
}

void wl_initialisation_adjoint(const wl_initialisation *init, const wl_real *lam, double *grad) {
  for (int j = 0; j < init->phi.count; j++) {
    const wl_block *b = &init->phi.blocks[j];
    for (int64_t i = 0; i < b->size; i++) grad[b->offset + i] += (double)lam[init->from[j] + i];
  }
}
