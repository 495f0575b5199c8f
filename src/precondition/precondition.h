/* precondition.h - declares the preconditioners. A preconditioner is a learned map P(phi) of the
 * gradient, which is applied before the update rule.
 *
 *   g' = clip(g),  g~ = P(phi) g';   adjoint: gbar = (dclip/dg)^T P^T g~bar,  phibar += d<g~bar, P(phi) g'>/dphi
 *
 * The gradient is clipped before a preconditioner is applied. The configuration's keys
 * episode.clip_value and episode.clip_norm set the bounds; clip_value is applied first. Some
 * preconditioners compute a part of P, called the factor, from the gradient of each inner step. The
 * factor of `gap` consists of singular vectors. Derivatives treat the factor as constant. */
#ifndef WL_PRECONDITION_PRECONDITION_H
#define WL_PRECONDITION_PRECONDITION_H

#include "base/layout.h"
#include "precondition/episode.h"
#include "base/real.h"

typedef struct wl_precondition wl_precondition;

/* The inputs of a preconditioner at one inner step. */
typedef struct wl_gradient {
  int64_t t, n;          /* t: number of the inner step; n: number of parameters */
  const wl_real *g;      /* [n] gradient of the inner loss */
  const wl_real *theta;  /* [n] parameters; may be NULL if reads_theta is false */
  /* [p->factor] the factor: the part of P that was computed from the gradient */
  const wl_real *factor;
  const wl_real *before; /* [n] P g of the previous step; may be NULL if reads_before is false */
} wl_gradient;

/* The adjoints of a preconditioner at one inner step. */
typedef struct wl_gradient_bar {
  const wl_real *out; /* [n] adjoint of P g */
  /* [n] result: adjoint of g; may be the same array as `out`; NULL: this adjoint is not needed */
  wl_real *g;
  wl_real *theta;  /* [n] if reads_theta is true, the adjoint of theta is added to this array */
  wl_real *before; /* [n] result: adjoint of `before`, if reads_before is true */
  double *phi;     /* [phi.size] the adjoint of phi is added to this array */
} wl_gradient_bar;

typedef struct wl_precondition_ops {
  const char *name, *summary;
  const wl_option *options;
  /* Reads the options and sets the members impl, phi, scratch, factor, reads_theta and reads_before
   * of p. The members p->steps and p->theta are already set. */
  wl_status (*create)(const wl_map *options, const wl_layout *theta, wl_precondition *p);
  void (*destroy)(wl_precondition *p);
  void (*init)(const wl_precondition *p, uint64_t seed, wl_real *phi);
  /* Computes the factor, which is the part of P that depends on the gradient. The pointer is NULL
   * if P has no factor. */
  void (*find_factor)(const wl_precondition *p, const wl_real *g, wl_real *factor,
                      wl_real *scratch);
  /* Computes out = P g for theta->size elements and does not change padding elements. The array
   * `scratch` has p->scratch elements. */
  void (*apply)(const wl_precondition *p, const wl_real *phi, const wl_gradient *in, wl_real *out,
                wl_real *scratch);
  void (*adjoint)(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                  const wl_gradient_bar *bar, wl_real *scratch);
} wl_precondition_ops;

struct wl_precondition {
  const wl_precondition_ops *ops;
  void *impl;
  const wl_layout *theta;       /* borrowed */
  int64_t steps;                /* largest number T of inner steps in an episode */
  double clip_value, clip_norm; /* bounds of the gradient before preconditioning; 0: no bound */
  bool reads_theta;             /* true: P g also depends on theta */
  /* true: P g also depends on P g of the previous step; in the first step, that value is 0 */
  bool reads_before;
  /* layout of the preconditioner's meta-parameters; all tensors of the layout have the group
   * "precondition" */
  wl_layout phi;
  /* number of wl_real elements in the scratch memory of the functions in `ops` */
  int64_t scratch;
  int64_t factor; /* number of wl_real elements in the factor */
};

/* table of all preconditioners; the table ends with NULL, and element 0 is "none" */
extern const wl_precondition_ops *const wl_preconditions[];
const wl_variant *wl_precondition_variants(void);

/* Creates a preconditioner from the configuration's sections `precondition` and `episode`. The
 * preconditioner borrows `theta`, which must remain valid until the preconditioner is destroyed.
 * For the preconditioner "none", `theta` may be NULL. For "none", *out is NULL if the configuration
 * sets no bounds of the gradient. */
wl_status wl_precondition_create(const wl_config *config, const wl_layout *theta,
                                 wl_precondition **out);
void wl_precondition_destroy(wl_precondition **p);

/* Returns the number of wl_real elements in the scratch memory for n parameters. For the
 * preconditioner "none", n may be larger than theta->size. */
int64_t wl_precondition_scratch(const wl_precondition *p, int64_t n);
/* Returns how many wl_real elements the preconditioner adds to the state of a unit with n
 * parameters. `p` may be NULL. */
static inline int64_t wl_precondition_state(const wl_precondition *p, int64_t n) {
  return p && p->reads_before ? wl_pad(n) : 0;
}
/* Draws the initial meta-parameters. */
void wl_precondition_init(const wl_precondition *p, uint64_t seed, wl_real *phi);
/* These functions clip the gradient and then call the members of `ops`. The function
 * wl_precondition_find_factor reads only the members n and g of `in`. */
void wl_precondition_find_factor(const wl_precondition *p, const wl_gradient *in, wl_real *factor,
                                 wl_real *scratch);
void wl_precondition_apply(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                           wl_real *out, wl_real *scratch);
void wl_precondition_adjoint(const wl_precondition *p, const wl_real *phi, const wl_gradient *in,
                             const wl_gradient_bar *bar, wl_real *scratch);

#endif
