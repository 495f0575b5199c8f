/* precondition.c - the table of preconditioners, their creation and destruction. */
#include "precondition/precondition.h"

#include <string.h>
#include <threads.h>

#define WL_PRECONDITION(id) extern const wl_precondition_ops wl_precondition_##id;
#include "precondition/preconditions.def"
#undef WL_PRECONDITION

/* P = 1. It exists by name only: creation yields NULL and the gradient is used as it is. */
static const wl_precondition_ops none = {.name = "none", .summary = "the gradient as it is"};

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

wl_status wl_precondition_create(const wl_map *options, const wl_layout *theta,
                                 wl_precondition **out) {
  *out = NULL;
  const char *name = wl_map_variant(options);
  const wl_precondition_ops *ops = find(name);
  if (ops == NULL)
    return WL_FAIL(WL_ERR_CONFIG,
                   "there is no preconditioner '%s'; --list preconditions prints them", name);
  if (ops == &none) return WL_OK;
  wl_precondition *p = NULL;
  WL_TRY(WL_NEW(p, 1));
  p->ops = ops;
  p->theta = theta;
  const wl_status status = ops->create(options, theta, p);
  if (status != WL_OK) {
    wl_precondition_destroy(&p);
    return status;
  }
  *out = p;
  return WL_OK;
}

void wl_precondition_destroy(wl_precondition **p) {
  if (p == NULL || *p == NULL) return;
  if ((*p)->ops->destroy != NULL) (*p)->ops->destroy(*p);
  wl_layout_clear(&(*p)->phi);
  wl_free(*p);
  *p = NULL;
}
