/* lion.c - implements the update rule Lion (Chen et al. 2023). The step depends on the sign of a
 * running mean of gradients.
 *
 *   u  = -a (sign(b1 m + (1 - b1) g) + w theta)
 *   m' = b2 m + (1 - b2) g
 *
 * Here g is the gradient, and a is the rate. The keys `beta1`, `beta2` and `weight_decay` set b1,
 * b2 and w. The state m starts at zero. The number b1 cannot be learned, because the derivative of
 * the sign function is zero. */
#include "rule/elementwise.h"

enum { RATE, BETA1, BETA2, WEIGHT_DECAY, SCALARS };

static wl_real sign_of(wl_real x) { return (wl_real)((x > 0) - (x < 0)); }

static void lion_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                      const wl_real *restrict theta, const wl_real *restrict s,
                      wl_real *restrict s_next, wl_real *restrict u) {
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real b1 = c[BETA1].value[l];
    const wl_real x = sign_of(b1 * s[l] + (1 - b1) * g[l]);
    u[l] = -c[RATE].value[l] * (x + c[WEIGHT_DECAY].value[l] * theta[l]);
    s_next[l] = c[BETA2].value[l] * s[l] + c[BETA2].complement[l] * g[l];
  }
}

static void lion_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                     const wl_real *restrict theta, const wl_real *restrict s,
                     const wl_real *restrict s_next, const wl_real *restrict lam,
                     wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                     wl_coefficient_bar *restrict bar) {
  (void)s_next;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real a = c[RATE].value[l], w = c[WEIGHT_DECAY].value[l], b1 = c[BETA1].value[l];
    const wl_real x = sign_of(b1 * s[l] + (1 - b1) * g[l]), mbar = mu[l];
    bar[RATE].value[l] = -lam[l] * (x + w * theta[l]);
    bar[WEIGHT_DECAY].value[l] = -a * lam[l] * theta[l];
    bar[BETA2].value[l] = mbar * (s[l] - g[l]);
    thetabar[l] = -a * w * lam[l];
    gbar[l] = c[BETA2].complement[l] * mbar;
    mu[l] = c[BETA2].value[l] * mbar;
  }
}

static const wl_scalar scalars[SCALARS] = {{"rate", WL_SCALAR_FREE},
                                           {"beta1", WL_SCALAR_CONSTANT},
                                           {"beta2", WL_SCALAR_UNIT},
                                           {"weight_decay", WL_SCALAR_FREE}};

static const wl_option lion_options[] = {
    WL_ELEMENTWISE_OPTIONS("0.0001"),
    {"beta1", WL_OPT_REAL, "0.9", NULL, 0, 0.999999999, "1",
     "Weight of the running mean in the step's direction; the gradient has the weight 1 - beta1.",
     WL_SCALAR_SLOT(BETA1)},
    {"beta2", WL_OPT_REAL, "0.99", NULL, 0, 0.999999999, "1",
     "Decay of the running mean of gradients.", WL_SCALAR_SLOT(BETA2)},
    WL_DECAY_OPTION("0", WEIGHT_DECAY),
    {0}};

static const wl_elementwise lion_rule = {.state_width = 1,
                                         .reads_theta = true,
                                         .cost = 25,
                                         .scalars = SCALARS,
                                         .scalar = scalars,
                                         .step = lion_step,
                                         .vjp = lion_vjp};

WL_DEFINE_RULE(lion,
               "Lion: step along the sign of a mean of gradients, with decoupled weight decay",
               elementwise);
