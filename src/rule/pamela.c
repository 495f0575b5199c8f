/* pamela.c - defines the update rule `pamela`: gradient descent with a decay of the parameters and
 * with a gradient skip connection, as in ALFA and PAMELA.
 *
 *   u_t = -a_t g_t - d_t theta_t - k_t u_{t-1},   u_{-1} = 0
 *
 * Here a is the rate, d is the decay, k is the coefficient `skip`, and u_{t-1} is the state.
 * Because theta_{t+1} = theta_t + u_t, the new parameters are theta_{t+1} = (1 - d) theta_t - a g -
 * k (theta_t - theta_{t-1}). With d = 0, P = 1 - k and a = P q, the step is theta_{t+1} = P
 * (theta_t - q g) + k theta_{t-1}. The term k theta_{t-1} is PAMELA's gradient skip connection over
 * one step (Rajasegaran et al. 2020). With k = 0, the step is the step of ALFA (Baik et al. 2020).
 * To learn all coefficients, use the settings `learn: [rate, decay, skip]` and `learn_per:
 * step_tensor`. All three scalars may be positive or negative. With k = -b, the rule is gradient
 * descent with heavy-ball momentum b. */
#include "rule/elementwise.h"

enum { RATE, DECAY, SKIP, SCALARS };

static void pamela_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                        const wl_real *restrict theta, const wl_real *restrict s,
                        wl_real *restrict s_next, wl_real *restrict u) {
  for (int l = 0; l < WL_LANES; l++) {
    u[l] = -(c[RATE].value[l] * g[l]) - c[DECAY].value[l] * theta[l] - c[SKIP].value[l] * s[l];
    s_next[l] = u[l];
  }
}

static void pamela_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                       const wl_real *restrict theta, const wl_real *restrict s,
                       const wl_real *restrict s_next, const wl_real *restrict lam,
                       wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                       wl_coefficient_bar *restrict bar) {
  (void)s_next;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real ubar = lam[l] + mu[l];
    gbar[l] = -c[RATE].value[l] * ubar;
    thetabar[l] = -c[DECAY].value[l] * ubar;
    mu[l] = -c[SKIP].value[l] * ubar;
    bar[RATE].value[l] = -ubar * g[l];
    bar[DECAY].value[l] = -ubar * theta[l];
    bar[SKIP].value[l] = -ubar * s[l];
  }
}

static const wl_scalar scalars[SCALARS] = {
    {"rate", WL_SCALAR_FREE}, {"decay", WL_SCALAR_FREE}, {"skip", WL_SCALAR_FREE}};

static const wl_option pamela_options[] = {
    WL_ELEMENTWISE_OPTIONS("0.01"),
    {"decay", WL_OPT_REAL, "0", NULL, 0, 0, "1",
     "Fraction of the parameters that a step subtracts from the parameters.",
     WL_SCALAR_SLOT(DECAY)},
    {"skip", WL_OPT_REAL, "0", NULL, 0, 0, "1",
     "Factor k: each step subtracts k times the previous step. With the value -0.9, the rule has "
     "heavy-ball momentum with the coefficient 0.9.",
     WL_SCALAR_SLOT(SKIP)},
    {0}};

static const wl_elementwise pamela_rule = {.state_width = 1,
                                           .reads_theta = true,
                                           .cost = 14,
                                           .scalars = SCALARS,
                                           .scalar = scalars,
                                           .step = pamela_step,
                                           .vjp = pamela_vjp};

WL_DEFINE_RULE(
    pamela,
    "gradient descent with a decay of the parameters and with gradient skip connections (PAMELA)",
    elementwise);
