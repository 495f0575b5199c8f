/* nesterov.c - defines the update rule `nesterov`: Nesterov's accelerated gradient in the form of
 * Sutskever et al. 2013.
 *
 *   v' = b v + g,   u = -a (g + b v')
 *
 * Here a is the rate, b is the momentum, and v is the state. The class torch.optim.SGD with
 * momentum=b and nesterov=True uses the same formulas as this file. */
#include "rule/elementwise.h"

enum { RATE, MOMENTUM, SCALARS };

static void nesterov_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                          const wl_real *restrict theta, const wl_real *restrict s,
                          wl_real *restrict s_next, wl_real *restrict u) {
  (void)theta;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real b = c[MOMENTUM].value[l];
    const wl_real v = b * s[l] + g[l];
    s_next[l] = v;
    u[l] = -c[RATE].value[l] * (g[l] + b * v);
  }
}

static void nesterov_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                         const wl_real *restrict theta, const wl_real *restrict s,
                         const wl_real *restrict s_next, const wl_real *restrict lam,
                         wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                         wl_coefficient_bar *restrict bar) {
  (void)theta, (void)thetabar;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real b = c[MOMENTUM].value[l];
    const wl_real direct = -c[RATE].value[l] * lam[l]; /* adjoint of g + b v' */
    const wl_real vbar = mu[l] + b * direct;
    gbar[l] = direct + vbar;
    mu[l] = b * vbar;
    bar[RATE].value[l] = -lam[l] * (g[l] + b * s_next[l]);
    bar[MOMENTUM].value[l] = direct * s_next[l] + vbar * s[l];
  }
}

static const wl_scalar scalars[SCALARS] = {{"rate", WL_SCALAR_FREE}, {"momentum", WL_SCALAR_UNIT}};

static const wl_option nesterov_options[] = {
    WL_ELEMENTWISE_OPTIONS("0.01"), WL_MOMENTUM_OPTION(MOMENTUM), {0}};

static const wl_elementwise nesterov_rule = {.state_width = 1,
                                             .cost = 16,
                                             .scalars = SCALARS,
                                             .scalar = scalars,
                                             .step = nesterov_step,
                                             .vjp = nesterov_vjp};

WL_DEFINE_RULE(nesterov, "Nesterov's accelerated gradient", elementwise);
