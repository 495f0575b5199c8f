/* controller_kernel.h - the passes of the rule `controller` over coordinates, for each instruction set.
 *
 *   moments  m' = .9 m + .1 g,  s' = .99 s + .01 g,  v' = .99 v + .01 g^2, and the sums below
 *   ratios   sum of (m / (sqrt v + e))^2 with bias-corrected m and v
 *   blends   z = m + k1 (g - m) + k2 (s - m)
 *   updates  u = c0 N + (c1 z + c2 s) / (sqrt v + e); N the orthogonal factor of z, NULL: none
 *
 * All arrays are over the coordinates of theta; a call does `count` of them from `first` on. */
#ifndef WL_RULE_CONTROLLER_KERNEL_H
#define WL_RULE_CONTROLLER_KERNEL_H

#include "base/real.h"

enum wl_controller_sums {
  WL_SUM_GM,
  WL_SUM_GG,
  WL_SUM_MM,
  WL_SUM_MS,
  WL_SUM_SS,
  WL_SUM_PM,
  WL_SUM_PP,
  WL_SUM_V,
  WL_CONTROLLER_SUMS
};

typedef struct wl_controller_pass {
  const wl_real *g, *p;     /* gradient, parameters */
  const wl_real *m, *s, *v; /* before `moments` the old ones, after it the new ones */
  wl_real *m_out, *s_out, *v_out;
  wl_real *z, *u; /* z: blends write it, updates read N from it */
} wl_controller_pass;

typedef struct wl_controller_scalars {
  double m, s, v; /* bias corrections */
  double epsilon; /* e */
  double k1, k2, c0, c1, c2;
} wl_controller_scalars;

typedef struct wl_controller_kernel {
  void (*moments)(const wl_controller_pass *pass, int64_t first, int64_t count, double *sums);
  double (*ratios)(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                   int64_t count);
  void (*blends)(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                 int64_t count);
  void (*updates)(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                  int64_t count);
} wl_controller_kernel;

/* The table for this processor. */
const wl_controller_kernel *wl_controller_kernel_select(void);

#endif
