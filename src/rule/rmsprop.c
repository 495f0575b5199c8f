/* rmsprop.c - defines the update rule RMSprop (Tieleman and Hinton 2012, lecture 6.5).
 *
 *   v' = d v + (1 - d) g^2,   u = -a g / (sqrt(v') + e)
 *
 * Here a is the rate, d is the decay, and the key `epsilon` sets e. The state v starts at zero. The
 * class torch.optim.RMSprop with alpha = d uses the same formulas as this file. In TensorFlow 1, v
 * starts at one, and epsilon is added before the square root is computed. */
#include "rule/elementwise.h"

enum { RATE, DECAY, EPSILON, SCALARS };

static void rmsprop_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                         const wl_real *restrict theta, const wl_real *restrict s,
                         wl_real *restrict s_next, wl_real *restrict u) {
  (void)theta;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real v = c[DECAY].value[l] * s[l] + c[DECAY].complement[l] * (g[l] * g[l]);
    s_next[l] = v;
    u[l] = -c[RATE].value[l] * (g[l] / (WL_SQRT(v) + c[EPSILON].value[l]));
  }
}

/* If v' is zero, g is also zero. The derivative through v' is then set to 0, because 1 / sqrt(v')
 * is infinite. */
static void rmsprop_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                        const wl_real *restrict theta, const wl_real *restrict s,
                        const wl_real *restrict s_next, const wl_real *restrict lam,
                        wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                        wl_coefficient_bar *restrict bar) {
  (void)theta, (void)thetabar;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real root = WL_SQRT(s_next[l]);
    const wl_real inverse = 1 / (root + c[EPSILON].value[l]);
    const wl_real x = g[l] * inverse; /* x: the update divided by -a */
    /* direct: contribution of the numerator of x to the adjoint of g */
    const wl_real direct = -c[RATE].value[l] * lam[l] * inverse;
    const wl_real half = s_next[l] > 0 ? (wl_real)0.5 / root : 0;
    const wl_real vbar = mu[l] - direct * x * half;
    gbar[l] = direct + 2 * c[DECAY].complement[l] * g[l] * vbar;
    mu[l] = c[DECAY].value[l] * vbar;
    bar[RATE].value[l] = -lam[l] * x;
    bar[DECAY].value[l] = vbar * (s[l] - g[l] * g[l]);
  }
}

static const wl_scalar scalars[SCALARS] = {
    {"rate", WL_SCALAR_FREE}, {"decay", WL_SCALAR_UNIT}, {"epsilon", WL_SCALAR_CONSTANT}};

static const wl_option rmsprop_options[] = {
    WL_ELEMENTWISE_OPTIONS("0.001"),
    {"decay", WL_OPT_REAL, "0.9", NULL, 0, 0.999999999, "1",
     "Decay of the running mean of squared gradients.", WL_SCALAR_SLOT(DECAY)},
    {"epsilon", WL_OPT_REAL, "1e-8", NULL, 1e-30, 1e9, "1",
     "Number that is added to the root mean square of gradients before the division.",
     WL_SCALAR_SLOT(EPSILON)},
    {0}};

static const wl_elementwise rmsprop_rule = {.state_width = 1,
                                            .cost = 30,
                                            .scalars = SCALARS,
                                            .scalar = scalars,
                                            .step = rmsprop_step,
                                            .vjp = rmsprop_vjp};

WL_DEFINE_RULE(rmsprop, "RMSprop: gradient divided by the root of a running mean of the squared "
                        "gradient",
               elementwise);
