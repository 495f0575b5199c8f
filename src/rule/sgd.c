/* sgd.c - defines the update rule `sgd`, which is gradient descent. With the rate a and the
 * gradient g, the update is
 *
 *   u = -a g
 *
 * The class torch.optim.SGD without momentum uses the same formula as this file. The rule has no
 * state. */
#include "rule/elementwise.h"

enum { RATE, SCALARS };

static void sgd_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                     const wl_real *restrict theta, const wl_real *restrict s,
                     wl_real *restrict s_next, wl_real *restrict u) {
  (void)theta, (void)s, (void)s_next;
  for (int l = 0; l < WL_LANES; l++) u[l] = -c[RATE].value[l] * g[l];
}

static void sgd_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                    const wl_real *restrict theta, const wl_real *restrict s,
                    const wl_real *restrict s_next, const wl_real *restrict lam,
                    wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                    wl_coefficient_bar *restrict bar) {
  (void)theta, (void)s, (void)s_next, (void)mu, (void)thetabar;
  for (int l = 0; l < WL_LANES; l++) {
    gbar[l] = -c[RATE].value[l] * lam[l];
    bar[RATE].value[l] = -lam[l] * g[l];
  }
}

static const wl_scalar scalars[SCALARS] = {{"rate", WL_SCALAR_FREE}};

static const wl_option sgd_options[] = {WL_ELEMENTWISE_OPTIONS("0.1"), {0}};

static const wl_elementwise sgd_rule = {
    .cost = 5, .scalars = SCALARS, .scalar = scalars, .step = sgd_step, .vjp = sgd_vjp};

WL_DEFINE_RULE(sgd, "gradient descent", elementwise);
