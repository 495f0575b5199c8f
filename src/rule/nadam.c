/* nadam.c - implements the update rules NAdam (Dozat 2016) and NAdamW. NAdam is Adam with Nesterov
 * momentum. The code does not implement Dozat's schedule of the momentum.
 *
 *   m' = b1 m + (1 - b1) g            q1 = 1 / (1 - b1^(t+1)),  p1 = 1 / (1 - b1^(t+2))
 *   v' = b2 v + (1 - b2) g^2          q2 = 1 / (1 - b2^(t+1))
 *   x  = (b1 p1 m' + (1 - b1) q1 g) / (sqrt(q2 v') + e)
 *   u  = -a x                         NAdam
 *   u  = -a (x + w theta)             NAdamW
 *
 * Here g is the gradient, and a is the rate. The decays of the two moments are b1 and b2. The keys
 * `epsilon` and `weight_decay` set e and w. The state (m, v) starts at zero. The functions
 * optax.nadam and optax.nadamw use the same formulas as this file. The code computes p1 from q1
 * with the identity b1^(t+1) = 1 - 1 / q1. */
#include "rule/elementwise.h"

enum { RATE, BETA1, BETA2, EPSILON, NADAM_SCALARS, WEIGHT_DECAY = NADAM_SCALARS, NADAMW_SCALARS };

/* The function power_of returns b1^(t+1). The function next_correction returns p1. */
static wl_real power_of(const wl_coefficient *c, int l) { return 1 - 1 / c[BETA1].correction[l]; }
static wl_real next_correction(const wl_coefficient *c, int l) {
  return 1 / (1 - c[BETA1].value[l] * power_of(c, l));
}

static wl_real direction(const wl_coefficient *c, int l, wl_real m, wl_real g) {
  return c[BETA1].value[l] * next_correction(c, l) * m +
         c[BETA1].complement[l] * c[BETA1].correction[l] * g;
}

static void nadam_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                       const wl_real *restrict theta, const wl_real *restrict s,
                       wl_real *restrict s_next, wl_real *restrict u) {
  (void)theta;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real m = c[BETA1].value[l] * s[l] + c[BETA1].complement[l] * g[l];
    const wl_real v = c[BETA2].value[l] * s[WL_LANES + l] + c[BETA2].complement[l] * (g[l] * g[l]);
    s_next[l] = m;
    s_next[WL_LANES + l] = v;
    const wl_real root = WL_SQRT(c[BETA2].correction[l] * v);
    u[l] = -c[RATE].value[l] * (direction(c, l, m, g[l]) / (root + c[EPSILON].value[l]));
  }
}

/* The adjoint has the terms of adam_vjp and additional terms with the derivatives dp1/db1 = p1^2
 * b1^(t+1) and dp1/dq1 = p1^2 b1 / q1^2. */
static void nadam_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                      const wl_real *restrict theta, const wl_real *restrict s,
                      const wl_real *restrict s_next, const wl_real *restrict lam,
                      wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                      wl_coefficient_bar *restrict bar) {
  (void)theta, (void)thetabar;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real m = s_next[l], v = s_next[WL_LANES + l], b1 = c[BETA1].value[l];
    const wl_real q1 = c[BETA1].correction[l], q2 = c[BETA2].correction[l];
    const wl_real p1 = next_correction(c, l), rest = c[BETA1].complement[l];
    const wl_real root = WL_SQRT(q2 * v);
    const wl_real inverse = 1 / (root + c[EPSILON].value[l]);
    const wl_real x = direction(c, l, m, g[l]) * inverse;
    /* hatbar: adjoint of the numerator of x */
    const wl_real hatbar = -c[RATE].value[l] * lam[l] * inverse;
    const wl_real half = v > 0 ? (wl_real)0.5 / root : 0;
    const wl_real squarebar = -hatbar * x * half; /* squarebar: adjoint of q2 v' */
    const wl_real mbar = mu[l] + hatbar * b1 * p1;
    const wl_real vbar = mu[WL_LANES + l] + squarebar * q2;
    gbar[l] = rest * mbar + 2 * c[BETA2].complement[l] * g[l] * vbar + hatbar * rest * q1;
    mu[l] = b1 * mbar;
    mu[WL_LANES + l] = c[BETA2].value[l] * vbar;
    bar[RATE].value[l] = -lam[l] * x;
    bar[BETA1].value[l] =
        mbar * (s[l] - g[l]) + hatbar * (p1 * m + b1 * m * p1 * p1 * power_of(c, l) - q1 * g[l]);
    bar[BETA1].correction[l] = hatbar * (rest * g[l] + b1 * m * p1 * p1 * b1 / (q1 * q1));
    bar[BETA2].value[l] = vbar * (s[WL_LANES + l] - g[l] * g[l]);
    bar[BETA2].correction[l] = squarebar * v;
  }
}

WL_DEFINE_DECAYED(nadamw, nadam, WEIGHT_DECAY)

static const wl_scalar scalars[NADAMW_SCALARS] = {{"rate", WL_SCALAR_FREE},
                                                  {"beta1", WL_SCALAR_UNIT},
                                                  {"beta2", WL_SCALAR_UNIT},
                                                  {"epsilon", WL_SCALAR_CONSTANT},
                                                  {"weight_decay", WL_SCALAR_FREE}};

#define NADAM_OPTIONS WL_ELEMENTWISE_OPTIONS("0.001"), WL_MOMENT_OPTIONS(BETA1, BETA2, EPSILON)

static const wl_option nadam_options[] = {NADAM_OPTIONS, {0}};
static const wl_option nadamw_options[] = {
    NADAM_OPTIONS, WL_DECAY_OPTION("0.01", WEIGHT_DECAY), {0}};

static const wl_elementwise nadam_rule = {.state_width = 2,
                                          .cost = 75,
                                          .scalars = NADAM_SCALARS,
                                          .scalar = scalars,
                                          .step = nadam_step,
                                          .vjp = nadam_vjp};

static const wl_elementwise nadamw_rule = {.state_width = 2,
                                           .reads_theta = true,
                                           .cost = 85,
                                           .scalars = NADAMW_SCALARS,
                                           .scalar = scalars,
                                           .step = nadamw_step,
                                           .vjp = nadamw_vjp};

WL_DEFINE_RULE(nadam, "NAdam: Adam with Nesterov momentum", elementwise);
WL_DEFINE_RULE(nadamw, "NAdamW: NAdam with decoupled weight decay", elementwise);
