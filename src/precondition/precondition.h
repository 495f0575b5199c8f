/* precondition.h - P(phi): learned maps of the gradient, applied before the update rule.
 *
 *   g~ = P(phi) g;   adjoint: gbar_raw = P^T gbar,   phibar += d<gbar, P(phi) g>/dphi
 *
 * "none", "scalar", "diagonal" (Meta-SGD, Li 2017: signs free), "kronecker"
 * (Meta-Curvature, Park & Oliva 2019: M_out G M_in per tensor). */
#ifndef WL_PRECONDITION_PRECONDITION_H
#define WL_PRECONDITION_PRECONDITION_H

#include "base/layout.h"
#include "base/options.h"
#include "base/real.h"

typedef struct wl_precondition wl_precondition;

typedef struct wl_precondition_ops {
  const char *name, *summary;
  const wl_option *options;
  wl_status (*create)(const wl_map *options, const wl_layout *theta, wl_precondition *p);
  void (*destroy)(wl_precondition *p);
  void (*init)(const wl_precondition *p, uint64_t seed, wl_real *phi);
  /* out = P g, n = theta->size elements (padding beyond it is left alone); scratch as sized. */
  void (*apply)(const wl_precondition *p, const wl_real *phi, const wl_real *g, wl_real *out,
                wl_real *scratch);
  /* raw = P^T gbar; phi_grad += the derivative, in double. raw may be gbar. raw NULL: not wanted. */
  void (*adjoint)(const wl_precondition *p, const wl_real *phi, const wl_real *g,
                  const wl_real *gbar, wl_real *raw, double *phi_grad, wl_real *scratch);
} wl_precondition_ops;

struct wl_precondition {
  const wl_precondition_ops *ops;
  void *impl;
  const wl_layout *theta; /* borrowed */
  wl_layout phi;          /* group "precondition" */
  int64_t scratch;        /* wl_reals of scratch that apply and adjoint need */
};

extern const wl_precondition_ops *const wl_preconditions[]; /* ends with NULL; [0] is "none" */
const wl_variant *wl_precondition_variants(void);
/* `theta` is borrowed for the preconditioner's life. "none" yields *out == NULL. */
wl_status wl_precondition_create(const wl_map *options, const wl_layout *theta,
                                 wl_precondition **out);
void wl_precondition_destroy(wl_precondition **p);

#endif
