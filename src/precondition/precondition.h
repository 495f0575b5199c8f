/* precondition.h - preconditioners: learned maps P(phi) of the gradient, which are applied before the update rule.
 *
 *   g' = clip(g),  g~ = P(phi) g';   adjoint: gbar = (dclip/dg)^T P^T g~bar,  phibar += d<g~bar, P(phi) g'>/dphi
 *
 * The keys clip_value and clip_norm of `episode` set the clip for every preconditioner; clip_value is applied first.
 * Some preconditioners compute a part of P from the gradient. This part is called the factor; for `gap` it consists of
 * singular vectors. Derivatives treat the factor as constant. The factor is computed once for each inner step. */
#ifndef WL_PRECONDITION_PRECONDITION_H
#define WL_PRECONDITION_PRECONDITION_H

#include "base/layout.h"
#include "precondition/episode.h"
#include "base/real.h"

typedef struct wl_precondition wl_precondition;

/* The inputs of a step. */
typedef struct wl_gradient {
  int64_t t, n;          /* inner step, number of parameters */
  const wl_real *g;      /* [n] */
  const wl_real *theta;  /* [n]; NULL unless reads_theta is set */
  const wl_real *factor; /* [p->factor] */
  const wl_real *before; /* [n] P g of the previous step; NULL unless reads_before is set */
} wl_gradient;

/* Adjoints of a step. */
typedef struct wl_gradient_bar {
  const wl_real *out; /* [n] adjoint of P g */
  wl_real *g;         /* [n] adjoint of g, overwritten; may equal `out`; NULL: not computed */
  wl_real *theta;     /* [n] adjoint of theta is added here if reads_theta is set */
  wl_real *before;    /* [n] adjoint of `before`, overwritten if reads_before is set */
  double *phi;        /* adjoint of phi is added here, in double */
} wl_gradient_bar;

typedef struct wl_precondition_ops {
  const char *name, *summary;
  const wl_option *options;
  /* Reads the options; sets impl, phi, scratch, factor, reads_theta and reads_before. p->steps and p->theta are already
   * set. */
  wl_status (*create)(const wl_map *options, const wl_layout *theta, wl_precondition *p);
  void (*destroy)(wl_precondition *p);
  void (*init)(const wl_precondition *p, uint64_t seed, wl_real *phi);
  /* Computes the factor, which is the part of P that depends on the gradient. NULL: P has no factor. */
  void (*find_factor)(const wl_precondition *p, const wl_real *g, wl_real *factor,
                      wl_real *scratch);
  /* Computes out = P g for theta->size elements. Padding elements are not changed. scratch [p->scratch]. */
  void (*apply)(const wl_precondition *p, const wl_real *phi, const wl_gradient *in, wl_real *out,
                wl_real *scratch);
  void (*adjoint)(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                  const wl_gradient_bar *bar, wl_real *scratch);
} wl_precondition_ops;

struct wl_precondition {
  const wl_precondition_ops *ops;
  void *impl;
  const wl_layout *theta;       /* borrowed */
  int64_t steps;                /* T */
  double clip_value, clip_norm; /* bounds of the raw gradient; 0: none */
  bool reads_theta;             /* P g also depends on theta */
  bool reads_before;            /* P g depends on P g of the previous step (0 in the first step) */
  wl_layout phi;                /* group "precondition" */
  int64_t scratch;              /* number of wl_reals of scratch for the functions of `ops` */
  int64_t factor;               /* number of wl_reals of the factor, which derivatives treat as constant */
};

extern const wl_precondition_ops *const wl_preconditions[]; /* ends with NULL; [0] is "none" */
const wl_variant *wl_precondition_variants(void);

/* Creates a preconditioner from the sections `precondition` and `episode`. `theta` is borrowed and must be valid as
 * long as the preconditioner. `theta` may be NULL for "none". For "none" without clipping, *out is NULL. */
wl_status wl_precondition_create(const wl_config *config, const wl_layout *theta,
                                 wl_precondition **out);
void wl_precondition_destroy(wl_precondition **p);

/* Returns the number of wl_reals of scratch for n parameters. For "none", n may be larger than theta->size. */
int64_t wl_precondition_scratch(const wl_precondition *p, int64_t n);
/* Returns the number of wl_reals of state of a unit with n parameters. p may be NULL. */
static inline int64_t wl_precondition_state(const wl_precondition *p, int64_t n) {
  return p && p->reads_before ? wl_pad(n) : 0;
}
/* Draws the initial meta-parameters. */
void wl_precondition_init(const wl_precondition *p, uint64_t seed, wl_real *phi);
/* These functions clip the gradient and call the functions of `ops`. find_factor reads in->n and in->g. */
void wl_precondition_find_factor(const wl_precondition *p, const wl_gradient *in, wl_real *factor,
                                 wl_real *scratch);
void wl_precondition_apply(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                           wl_real *out, wl_real *scratch);
void wl_precondition_adjoint(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                             const wl_gradient_bar *bar, wl_real *scratch);

#endif
