/* elementwise.h - defines hand-designed coordinatewise rules.
 *
 * A coordinatewise rule applies the same function f to every coordinate separately. f depends on a few scalars a, b,
 * ...:
 *
 *   (u_t, s_{t+1}) = f(g_t, theta_t, s_t; a_t, b_t, ...)
 *
 * The file of a rule defines the scalars (key, range), f for the 16 lanes of a block, and the vector-Jacobian product
 * (vjp) of f. elementwise.c implements the other parts for all rules: options, schedules, learned scalars, and the
 * adjoint of a chunk. The values of a scalar can be learned for the run, for each tensor, for each step, or for each
 * step and tensor. sgd.c is the smallest example, and adam.c is the largest. */
#ifndef WL_RULE_ELEMENTWISE_H
#define WL_RULE_ELEMENTWISE_H

#include <math.h>

#include "rule/rule.h"
#include "rule/schedule.h"

/* The square root in the working precision. */
#ifdef WL_DOUBLE
#define WL_SQRT sqrt
#else
#define WL_SQRT sqrtf
#endif

enum { WL_ELEMENTWISE_MAX_SCALARS = 8, WL_ELEMENTWISE_MAX_WIDTH = 4 };

typedef enum wl_scalar_range {
  WL_SCALAR_FREE,    /* learnable; phi holds the value, which may have any sign */
  WL_SCALAR_UNIT,    /* learnable, in (0, 1); phi holds the logit of the value */
  WL_SCALAR_CONSTANT /* not learnable */
} wl_scalar_range;

/* One scalar of a rule. `key` is the name of a REAL option of the rule. The scalar's tensor in phi has the name
 * "rule.<key>". */
typedef struct wl_scalar {
  const char *key;
  wl_scalar_range range;
} wl_scalar;

/* One scalar x at one step, for the lanes of one block. */
typedef struct wl_coefficient {
  wl_real value[WL_LANES]; /* x_t; the rate (scalar 0) is multiplied by the schedule's factor */
  wl_real complement[WL_LANES]; /* 1 - x_t, for WL_SCALAR_UNIT, without cancellation */
  wl_real
      correction[WL_LANES]; /* 1 / (1 - x_0 x_1 ... x_t), the bias correction of a running mean */
} wl_coefficient;

/* Adjoints of the members of wl_coefficient; `value` includes the path through `complement`. The caller sets both
 * members to zero before vjp. */
typedef struct wl_coefficient_bar {
  wl_real value[WL_LANES], correction[WL_LANES];
} wl_coefficient_bar;

typedef struct wl_elementwise {
  int64_t state_width; /* number of reals of state for each coordinate, at most WL_ELEMENTWISE_MAX_WIDTH */
  bool reads_theta;
  double cost; /* FLOP per coordinate-step, forward and backward */
  int scalars; /* at most WL_ELEMENTWISE_MAX_SCALARS; [0] is the rate */
  const wl_scalar *scalar;
  /* Shapes: c [scalars]; g, theta, u [16]; s, s_next [width][16]. s and s_next are different arrays. theta is NULL if
   * the rule does not read theta. */
  void (*step)(const wl_coefficient *restrict c, const wl_real *restrict g,
               const wl_real *restrict theta, const wl_real *restrict s, wl_real *restrict s_next,
               wl_real *restrict u);
  /* lam [16] is the adjoint of u. mu [width][16] is the adjoint of s_next on entry and of s on return. gbar, thetabar
   * [16] and bar [scalars] are results; thetabar is set only if the rule reads theta. */
  void (*vjp)(const wl_coefficient *restrict c, const wl_real *restrict g,
              const wl_real *restrict theta, const wl_real *restrict s,
              const wl_real *restrict s_next, const wl_real *restrict lam, wl_real *restrict mu,
              wl_real *restrict gbar, wl_real *restrict thetabar, wl_coefficient_bar *restrict bar);
} wl_elementwise;

/* These functions compute decoupled weight decay, u -= a w theta, and its adjoint. Both functions are called after the
 * step and the adjoint of the rule without decay. a is the rate (scalar 0), and w is the decay (scalar `decay`). */
static inline void wl_decay_step(const wl_coefficient *restrict c, int decay,
                                 const wl_real *restrict theta, wl_real *restrict u) {
  for (int l = 0; l < WL_LANES; l++) u[l] -= c[0].value[l] * c[decay].value[l] * theta[l];
}
static inline void wl_decay_vjp(const wl_coefficient *restrict c, int decay,
                                const wl_real *restrict theta, const wl_real *restrict lam,
                                wl_real *restrict thetabar, wl_coefficient_bar *restrict bar) {
  for (int l = 0; l < WL_LANES; l++) {
    const wl_real a = c[0].value[l], w = c[decay].value[l];
    thetabar[l] = -a * w * lam[l];
    bar[0].value[l] -= lam[l] * w * theta[l];
    bar[decay].value[l] = -a * lam[l] * theta[l];
  }
}

/* Defines <id>_step and <id>_vjp. Both call the function of the rule `plain` and then apply decoupled weight decay. */
#define WL_DEFINE_DECAYED(id, plain, decay)                                                     \
  static void id##_step(const wl_coefficient *restrict c, const wl_real *restrict g,            \
                        const wl_real *restrict theta, const wl_real *restrict s,               \
                        wl_real *restrict s_next, wl_real *restrict u) {                        \
    plain##_step(c, g, NULL, s, s_next, u);                                                     \
    wl_decay_step(c, decay, theta, u);                                                          \
  }                                                                                             \
  static void id##_vjp(const wl_coefficient *restrict c, const wl_real *restrict g,             \
                       const wl_real *restrict theta, const wl_real *restrict s,                \
                       const wl_real *restrict s_next, const wl_real *restrict lam,             \
                       wl_real *restrict mu, wl_real *restrict gbar, wl_real *restrict thetabar, \
                       wl_coefficient_bar *restrict bar) {                                      \
    plain##_vjp(c, g, NULL, s, s_next, lam, mu, gbar, NULL, bar);                               \
    wl_decay_vjp(c, decay, theta, lam, thetabar, bar);                                          \
  }

/* Receives the values of a rule's keys. `learn` is borrowed while the rule is created. */
typedef struct wl_elementwise_keys {
  double scalar[WL_ELEMENTWISE_MAX_SCALARS];
  wl_schedule schedule;
  wl_strings learn;
  enum { WL_PER_RUN, WL_PER_TENSOR, WL_PER_STEP, WL_PER_STEP_TENSOR } learn_per;
} wl_elementwise_keys;

/* The member that receives the value of scalar i. */
#define WL_SCALAR_SLOT(i) WL_SLOT(wl_elementwise_keys, scalar[i])
/* The keys that all these rules have. Each rule's table of options begins with these keys. */
/* clang-format off */
#define WL_ELEMENTWISE_OPTIONS(default_rate)                                                      \
  {"rate", WL_OPT_REAL, default_rate, NULL, 0, 1e9, "1", "Learning rate.", WL_SCALAR_SLOT(0)},    \
  WL_SCHEDULE_OPTIONS(wl_elementwise_keys, schedule),                                             \
  {"learn", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1",                                                \
   "Scalars of the rule that are learned as meta-parameters, e.g. [rate, momentum].",             \
   WL_SLOT(wl_elementwise_keys, learn)},                                                          \
  {"learn_per", WL_OPT_CHOICE, "run", "run|tensor|step|step_tensor", 0, 0, "1",                   \
   "One learned value of each scalar for the run, for each inner tensor, for each step of the "   \
   "episode, or for each step and tensor.", WL_SLOT(wl_elementwise_keys, learn_per)}
/* Options for the scalars of rules with moments. The arguments are the indices of the scalars. */
#define WL_MOMENT_OPTIONS(beta1, beta2, epsilon)                                                  \
  {"beta1", WL_OPT_REAL, "0.9", NULL, 0, 0.999999999, "1",                                        \
   "Decay of the running mean.", WL_SCALAR_SLOT(beta1)},                                          \
  {"beta2", WL_OPT_REAL, "0.999", NULL, 0, 0.999999999, "1",                                      \
   "Decay of the running mean square.", WL_SCALAR_SLOT(beta2)},                                   \
  {"epsilon", WL_OPT_REAL, "1e-8", NULL, 1e-30, 1e9, "1", "Added to the root of the mean square.", \
   WL_SCALAR_SLOT(epsilon)}
#define WL_DECAY_OPTION(fallback, index)                                                          \
  {"weight_decay", WL_OPT_REAL, fallback, NULL, 0, 1e9, "1",                                      \
   "Coefficient of decoupled weight decay, which is multiplied by the rate.", WL_SCALAR_SLOT(index)}
#define WL_MOMENTUM_OPTION(index)                                                                 \
  {"momentum", WL_OPT_REAL, "0.9", NULL, 0, 0.999999999, "1",                                     \
   "Decay of the running sum of gradients.", WL_SCALAR_SLOT(index)}
/* clang-format on */

/* Implementations of the members of wl_rule_ops. `definition` is borrowed and must be valid as long as the rule. */
wl_status wl_elementwise_create(const wl_elementwise *definition, const wl_map *options,
                                const wl_rule_setting *setting, wl_rule *rule);
void wl_elementwise_destroy(wl_rule *rule);
void wl_elementwise_init(const wl_rule *rule, uint64_t seed, wl_real *phi);
void wl_elementwise_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
void wl_elementwise_step(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
void wl_elementwise_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                             double *phi_grad);
wl_status wl_elementwise_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                   int threads, void **out);
void wl_elementwise_ws_destroy(void *impl);
size_t wl_elementwise_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                               int threads);

#endif
