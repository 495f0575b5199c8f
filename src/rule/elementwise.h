/* elementwise.h - declares how a hand-designed coordinatewise rule is defined.
 *
 * A coordinatewise rule applies the same function f to every coordinate separately. The function f
 * depends on a few scalars a, b, ...:
 *
 *   (u_t, s_{t+1}) = f(g_t, theta_t, s_t; a_t, b_t, ...)
 *
 * The source file of a rule defines the scalars, the function f, and the vector-Jacobian product
 * (vjp) of f. The functions f and vjp process the 16 coordinates of a block together. The file
 * elementwise.c implements the options, the schedules, the learned scalars and the adjoint of a
 * chunk for all rules. A scalar can have one learned value, one value for each tensor, one for each
 * step, or one for each combination of step and tensor. The smallest example is sgd.c, and the
 * largest is adam.c. */
#ifndef WL_RULE_ELEMENTWISE_H
#define WL_RULE_ELEMENTWISE_H

#include <math.h>

#include "rule/rule.h"
#include "rule/schedule.h"

/* Computes the square root of a number of type wl_real. */
#ifdef WL_DOUBLE
#define WL_SQRT sqrt
#else
#define WL_SQRT sqrtf
#endif

enum { WL_ELEMENTWISE_MAX_SCALARS = 8, WL_ELEMENTWISE_MAX_WIDTH = 4 };

typedef enum wl_scalar_range {
  /* the scalar can be learned; phi contains the value, which may have any sign */
  WL_SCALAR_FREE,
  /* the scalar can be learned and is between 0 and 1; phi contains the logit of the value */
  WL_SCALAR_UNIT,
  WL_SCALAR_CONSTANT /* the scalar cannot be learned */
} wl_scalar_range;

/* The description of one scalar of a rule. `key` is the name of the rule's option that sets the
 * scalar. If the scalar is learned, its tensor in phi has the name "rule.<key>". */
typedef struct wl_scalar {
  const char *key;
  wl_scalar_range range;
} wl_scalar;

/* The coefficients of a scalar x at one step, for each lane of a block. */
typedef struct wl_coefficient {
  wl_real value[WL_LANES]; /* x_t; scalar 0, the rate, is multiplied by the schedule's factor */
  /* 1 - x_t, computed without cancellation; set only for scalars of the kind WL_SCALAR_UNIT */
  wl_real complement[WL_LANES];
  wl_real
      /* 1 / (1 - x_0 x_1 ... x_t), which corrects the bias of a running mean */
      correction[WL_LANES];
} wl_coefficient;

/* The adjoints of the members of wl_coefficient. The adjoint of `value` includes the dependence of
 * `complement` on x_t. The caller sets both members to zero before the call of vjp. */
typedef struct wl_coefficient_bar {
  wl_real value[WL_LANES], correction[WL_LANES];
} wl_coefficient_bar;

typedef struct wl_elementwise {
  /* number of wl_real elements in the state of one coordinate, at most WL_ELEMENTWISE_MAX_WIDTH */
  int64_t state_width;
  bool reads_theta;
  /* number of floating-point operations of the forward and the backward pass of one
   * coordinate-step */
  double cost;
  int scalars; /* number of scalars, at most WL_ELEMENTWISE_MAX_SCALARS; scalar 0 is the rate */
  const wl_scalar *scalar;
  /* Computes the update u and the new state s_next. The arrays are c [scalars], g, theta and u
   * [16], and s and s_next [width][16]. The arrays s and s_next do not overlap. If the rule does
   * not read theta, `theta` is NULL. */
  void (*step)(const wl_coefficient *restrict c, const wl_real *restrict g,
               const wl_real *restrict theta, const wl_real *restrict s, wl_real *restrict s_next,
               wl_real *restrict u);
  /* Computes the adjoints gbar [16] of g, thetabar [16] of theta and bar [scalars] of the
   * coefficients. The array lam [16] is the adjoint of u. The array mu [width][16] contains the
   * adjoint of s_next before the call and the adjoint of s after the call. The function sets
   * thetabar only if the rule reads theta. */
  void (*vjp)(const wl_coefficient *restrict c, const wl_real *restrict g,
              const wl_real *restrict theta, const wl_real *restrict s,
              const wl_real *restrict s_next, const wl_real *restrict lam, wl_real *restrict mu,
              wl_real *restrict gbar, wl_real *restrict thetabar, wl_coefficient_bar *restrict bar);
} wl_elementwise;

/* These functions compute decoupled weight decay, u -= a w theta, and its adjoint. The functions
 * for the decay are called after the functions of the rule without decay. Here a is the rate
 * (scalar 0), and w is the scalar with the index `decay`. */
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

/* Defines the functions <id>_step and <id>_vjp. Each function calls the corresponding function of
 * the rule `plain` first, and then the function for decoupled weight decay. */
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

/* The values of a rule's options. `learn` is borrowed and valid only while the rule is created. */
typedef struct wl_elementwise_keys {
  double scalar[WL_ELEMENTWISE_MAX_SCALARS];
  wl_schedule schedule;
  wl_strings learn;
  enum { WL_PER_RUN, WL_PER_TENSOR, WL_PER_STEP, WL_PER_STEP_TENSOR } learn_per;
} wl_elementwise_keys;

/* The member of wl_elementwise_keys into which the value of scalar i is read. */
#define WL_SCALAR_SLOT(i) WL_SLOT(wl_elementwise_keys, scalar[i])
/* The options that all hand-designed coordinatewise rules have. The table of options of each rule
 * begins with these options. */
/* clang-format off */
#define WL_ELEMENTWISE_OPTIONS(default_rate)                                                      \
  {"rate", WL_OPT_REAL, default_rate, NULL, 0, 1e9, "1", "Learning rate.", WL_SCALAR_SLOT(0)},    \
  WL_SCHEDULE_OPTIONS(wl_elementwise_keys, schedule),                                             \
  {"learn", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1",                                                \
   "Scalars of the rule that are meta-parameters, for example [rate, momentum].",                 \
   WL_SLOT(wl_elementwise_keys, learn)},                                                          \
  {"learn_per", WL_OPT_CHOICE, "run", "run|tensor|step|step_tensor", 0, 0, "1",                   \
   "Number of learned values of a scalar. run: one. tensor: one for each inner tensor. step: one "\
   "for each step. step_tensor: one for each combination of step and tensor.", WL_SLOT(wl_elementwise_keys, learn_per)}
/* The options of rules that use running means of the gradient and of the squared gradient. The
 * arguments of the macro are the indices of the scalars beta1, beta2 and epsilon. */
#define WL_MOMENT_OPTIONS(beta1, beta2, epsilon)                                                  \
  {"beta1", WL_OPT_REAL, "0.9", NULL, 0, 0.999999999, "1",                                        \
   "Decay of the running mean of gradients.", WL_SCALAR_SLOT(beta1)},                             \
  {"beta2", WL_OPT_REAL, "0.999", NULL, 0, 0.999999999, "1",                                      \
   "Decay of the running mean of squared gradients.", WL_SCALAR_SLOT(beta2)},                     \
  {"epsilon", WL_OPT_REAL, "1e-8", NULL, 1e-30, 1e9, "1", "Number added to the root mean square of gradients.", \
   WL_SCALAR_SLOT(epsilon)}
#define WL_DECAY_OPTION(fallback, index)                                                          \
  {"weight_decay", WL_OPT_REAL, fallback, NULL, 0, 1e9, "1",                                      \
   "Coefficient of decoupled weight decay. The rate multiplies this coefficient.", WL_SCALAR_SLOT(index)}
#define WL_MOMENTUM_OPTION(index)                                                                 \
  {"momentum", WL_OPT_REAL, "0.9", NULL, 0, 0.999999999, "1",                                     \
   "Decay of the running sum of gradients.", WL_SCALAR_SLOT(index)}
/* clang-format on */

/* These functions implement the members of wl_rule_ops. The rule borrows `definition`, which must
 * remain valid until the rule is destroyed. */
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
