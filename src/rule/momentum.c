/* momentum.c - defines the update rule `momentum`: gradient descent with momentum (Polyak 1964, the
 * heavy ball method).
 *
 *   v' = b v + g,   u = -a v'
 *
 * Here a is the rate, b is the momentum, and v is the state. The class torch.optim.SGD with
 * momentum=b uses the same formulas as this file. The rate multiplies the running sum v, so a
 * schedule also changes the contributions of earlier gradients. */
#include "rule/elementwise.h"

enum { RATE, MOMENTUM, SCALARS };

static void momentum_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                          const wl_real *restrict theta, const wl_real *restrict s,
                          wl_real *restrict s_next, wl_real *restrict u) {
  (void)theta;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real v = c[MOMENTUM].value[l] * s[l] + g[l];
    s_next[l] = v;
    u[l] = -c[RATE].value[l] * v;
  }
}

static void momentum_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                         const wl_real *restrict theta, const wl_real *restrict s,
                         const wl_real *restrict s_next, const wl_real *restrict lam,
                         wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                         wl_coefficient_bar *restrict bar) {
  (void)g, (void)theta, (void)thetabar;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real vbar = mu[l] - c[RATE].value[l] * lam[l];
    gbar[l] = vbar;
    mu[l] = c[MOMENTUM].value[l] * vbar;
    bar[RATE].value[l] = -lam[l] * s_next[l];
    bar[MOMENTUM].value[l] = vbar * s[l];
  }
}

static const wl_scalar scalars[SCALARS] = {{"rate", WL_SCALAR_FREE}, {"momentum", WL_SCALAR_UNIT}};

static const wl_option momentum_options[] = {
    WL_ELEMENTWISE_OPTIONS("0.01"), WL_MOMENTUM_OPTION(MOMENTUM), {0}};

static const wl_elementwise momentum_rule = {.state_width = 1,
                                             .cost = 10,
                                             .scalars = SCALARS,
                                             .scalar = scalars,
                                             .step = momentum_step,
                                             .vjp = momentum_vjp};

WL_DEFINE_RULE(momentum, "gradient descent with momentum (the heavy ball method)", elementwise);
