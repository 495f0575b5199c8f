/* soft_clip.c - implements gradient descent with bounded steps. The absolute value of a step is
 * less than the product of the learning rate a and the bound c.
 *
 *   u = -a g r,   r = 1 / sqrt(1 + (g / c)^2)          a: learning rate, c: bound
 *
 * With d(g r)/dg = r^3 and d(g r)/dc = (g / c)^3 r^3, the adjoints are:
 *
 *   gbar = -a r^3 ubar,   abar = -g r ubar,   cbar = -a (g / c)^3 r^3 ubar
 *
 * docs/plugins.md explains this example. Build it with: warploom plugin build soft_clip.c */
#include <math.h>
#include <warploom/rule.h>

enum { RATE, BOUND, SCALARS };

static wl_real shrink(wl_real ratio) {
  return (wl_real)(1 / sqrt(1 + (double)ratio * (double)ratio));
}

static void soft_clip_step(const wl_coefficient *restrict c, const wl_real *restrict g,
                           const wl_real *restrict theta, const wl_real *restrict s,
                           wl_real *restrict s_next, wl_real *restrict u) {
  (void)theta, (void)s, (void)s_next;
  for (int l = 0; l < WL_LANES; l++)
    u[l] = -c[RATE].value[l] * g[l] * shrink(g[l] / c[BOUND].value[l]);
}

static void soft_clip_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,
                          const wl_real *restrict theta, const wl_real *restrict s,
                          const wl_real *restrict s_next, const wl_real *restrict lam,
                          wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar,
                          wl_coefficient_bar *restrict bar) {
  (void)theta, (void)s, (void)s_next, (void)mu, (void)thetabar;
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real a = c[RATE].value[l], ratio = g[l] / c[BOUND].value[l];
    const wl_real r = shrink(ratio), cubed = r * r * r;
    gbar[l] = -a * cubed * lam[l];
    bar[RATE].value[l] = -g[l] * r * lam[l];
    bar[BOUND].value[l] = -a * ratio * ratio * ratio * cubed * lam[l];
  }
}

static const wl_scalar scalars[SCALARS] = {{"rate", WL_SCALAR_FREE}, {"bound", WL_SCALAR_FREE}};

static const wl_option soft_clip_options[] = {
    WL_ELEMENTWISE_OPTIONS("0.1"),
    {"bound", WL_OPT_REAL, "1.0", NULL, 1e-12, 1e12, "1", "Gradient above which steps grow very little.",
     WL_SCALAR_SLOT(BOUND)},
    {0}};

static const wl_elementwise soft_clip_rule = {.cost = 20,
                                              .scalars = SCALARS,
                                              .scalar = scalars,
                                              .step = soft_clip_step,
                                              .vjp = soft_clip_vjp};

WL_DEFINE_RULE(soft_clip, "gradient descent with steps of bounded length", elementwise);
WL_PLUGIN_RULE(wl_rule_soft_clip);
