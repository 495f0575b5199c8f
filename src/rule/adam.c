/* adam.c - implements the update rules Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter
 * 2019).
 *
 *   m' = b1 m + (1 - b1) g            q1 = 1 / (1 - b1^(t+1))
 *   v' = b2 v + (1 - b2) g^2          q2 = 1 / (1 - b2^(t+1))
 *   x  = q1 m' / (sqrt(q2 v') + e)
 *   u  = -a x                         Adam
 *   u  = -a (x + w theta)             AdamW
 *
 * Here g is the gradient, and a is the rate. The decays of the two moments are b1 and b2. The keys
 * `epsilon` and `weight_decay` set e and w. The state (m, v) starts at zero. The classes
 * torch.optim.Adam and torch.optim.AdamW use the same formulas as this file. If b1 or b2 has a
 * learned value for each step, the code replaces the power b^(t+1) by the product of the values up
 * to step t. */
#include "rule/elementwise.h"

enum { RATE, BETA1, BETA2, EPSILON, ADAM_SCALARS, WEIGHT_DECAY = ADAM_SCALARS, ADAMW_SCALARS };

static void adam_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                      const wl_real *restrict theta, const wl_real *restrict s,
                      wl_real *restrict s_next, wl_real *restrict u) {
  (void)theta;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real m = c[BETA1].value[l] * s[l] + c[BETA1].complement[l] * g[l];
    const wl_real v = c[BETA2].value[l] * s[WL_LANES + l] + c[BETA2].complement[l] * (g[l] * g[l]);
    s_next[l] = m;
    s_next[WL_LANES + l] = v;
    const wl_real root = WL_SQRT(c[BETA2].correction[l] * v);
    u[l] = -c[RATE].value[l] * (c[BETA1].correction[l] * m / (root + c[EPSILON].value[l]));
  }
}

/* If v' is zero, all gradients up to this step were zero. The derivative through v' is then set to
 * 0, because 1 / sqrt(v') is infinite. */
static void adam_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                     const wl_real *restrict theta, const wl_real *restrict s,
                     const wl_real *restrict s_next, const wl_real *restrict lam,
                     wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                     wl_coefficient_bar *restrict bar) {
  (void)theta, (void)thetabar;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real m = s_next[l], v = s_next[WL_LANES + l];
    const wl_real q1 = c[BETA1].correction[l], q2 = c[BETA2].correction[l];
    const wl_real root = WL_SQRT(q2 * v);
    const wl_real inverse = 1 / (root + c[EPSILON].value[l]);
    const wl_real x = q1 * m * inverse;
    const wl_real hatbar = -c[RATE].value[l] * lam[l] * inverse; /* hatbar: adjoint of q1 m' */
    const wl_real half = v > 0 ? (wl_real)0.5 / root : 0;
    const wl_real squarebar = -hatbar * x * half; /* squarebar: adjoint of q2 v' */
    const wl_real mbar = mu[l] + hatbar * q1;
    const wl_real vbar = mu[WL_LANES + l] + squarebar * q2;
    gbar[l] = c[BETA1].complement[l] * mbar + 2 * c[BETA2].complement[l] * g[l] * vbar;
    mu[l] = c[BETA1].value[l] * mbar;
    mu[WL_LANES + l] = c[BETA2].value[l] * vbar;
    bar[RATE].value[l] = -lam[l] * x;
    bar[BETA1].value[l] = mbar * (s[l] - g[l]);
    bar[BETA1].correction[l] = hatbar * m;
    bar[BETA2].value[l] = vbar * (s[WL_LANES + l] - g[l] * g[l]);
    bar[BETA2].correction[l] = squarebar * v;
  }
}

WL_DEFINE_DECAYED(adamw, adam, WEIGHT_DECAY)

/* The indices of the scalars of AdamW. Adam uses all scalars of AdamW except weight_decay. */
static const wl_scalar scalars[ADAMW_SCALARS] = {{"rate", WL_SCALAR_FREE},
                                                 {"beta1", WL_SCALAR_UNIT},
                                                 {"beta2", WL_SCALAR_UNIT},
                                                 {"epsilon", WL_SCALAR_CONSTANT},
                                                 {"weight_decay", WL_SCALAR_FREE}};

#define ADAM_OPTIONS WL_ELEMENTWISE_OPTIONS("0.001"), WL_MOMENT_OPTIONS(BETA1, BETA2, EPSILON)

static const wl_option adam_options[] = {ADAM_OPTIONS, {0}};
static const wl_option adamw_options[] = {ADAM_OPTIONS, WL_DECAY_OPTION("0.01", WEIGHT_DECAY), {0}};

static const wl_elementwise adam_rule = {.state_width = 2,
                                         .cost = 55,
                                         .scalars = ADAM_SCALARS,
                                         .scalar = scalars,
                                         .step = adam_step,
                                         .vjp = adam_vjp};

static const wl_elementwise adamw_rule = {.state_width = 2,
                                          .reads_theta = true,
                                          .cost = 65,
                                          .scalars = ADAMW_SCALARS,
                                          .scalar = scalars,
                                          .step = adamw_step,
                                          .vjp = adamw_vjp};

WL_DEFINE_RULE(adam,
               "Adam: step from bias-corrected running means of the gradient and of the squared "
               "gradient",
               elementwise);
WL_DEFINE_RULE(adamw, "AdamW: Adam with decoupled weight decay", elementwise);
