/* rule.h - declares the update rules. A rule computes updates from preconditioned gradients, and it
 * computes the adjoints of these updates.
 *
 *   (u_t, s_{t+1}) = rule(g_t, theta_t, s_t, t, T, L_t; phi),   theta_{t+1} = theta_t + u_t
 *
 * Each rule has one source file, which defines a wl_rule_ops. The file rules.def lists all rules.
 * Arrays over coordinates are padded to a multiple of WL_LANES and aligned to 64 bytes. The number
 * of threads does not change any bit of the results.
 *
 * The state of a unit consists of wl_rule_state_reals(rule, theta) numbers, which are zero at the
 * start of an episode. There are two kinds of rules. A coordinatewise rule updates each coordinate
 * separately. The state of a coordinatewise rule is an array [block][state_width][WL_LANES]. The
 * other rules use the shapes of theta's tensors. The state of such a rule consists of named fields,
 * one after the other. The fields with one number for each coordinate [pad(n)] are the first. The
 * fields of rows, of columns, of tensors and of all of theta follow (wl_state_extent). */
#ifndef WL_RULE_RULE_H
#define WL_RULE_RULE_H

#include "base/layout.h"
#include "base/options.h"
#include "base/plugin.h"
#include "base/real.h"
#include "base/rng.h"

typedef struct wl_rule wl_rule;
typedef struct wl_rule_ws wl_rule_ws;

/* Largest number of consecutive steps in one call of wl_rule_backward. Meta-gradients are summed
 * over chunks of steps and over groups of blocks in a fixed order. Meta-gradients therefore do not
 * depend on the key `window.storage` or on the number of threads. */
enum { WL_CHUNK_STEPS = 20 };

/* A chunk consists of K steps of one episode for all blocks, from step t0 to step t0+K-1. K is at
 * most WL_CHUNK_STEPS. The adjoint of each coordinate is computed from k = K-1 to k = 0:
 *   (gbar_k, thetabar, sbar, phibar) = rule^T (u: lam, s: mu)
 *   lam <- lam + thetabar + loss_weight[k] loss_grad[k];   mu <- sbar;   phi_grad += phibar */
typedef struct wl_rule_chunk {
  int64_t t0, steps, blocks;
  int64_t horizon;      /* number T of steps in the episode; 0: the number is unknown */
  const double *loss;   /* [steps] minibatch losses at theta_k; NULL: the losses are unknown */
  const wl_real *g;     /* [steps][16 * blocks] preconditioned gradients */
  const wl_real *theta; /* [steps][16 * blocks] theta_k; NULL if the rule does not read theta */
  const wl_real *state; /* [blocks][width][16] rule state s_{t0} */
  /* [steps][blocks][rule->activations] values that the steps stored; NULL: the backward pass
   * computes the steps again */
  const wl_real *activations;
  /* [blocks][rule->activations] values that step t0 - 1 stored; if this pointer is not NULL, these
   * values replace `state` */
  const wl_real *activations_before;
  /* [steps][16 * blocks] gradient of the outer loss at theta_k; NULL: the meta-loss does not
   * contain these losses */
  const wl_real *loss_grad;
  /* [steps] weight of each outer loss in the meta-loss, times the derivative of the loss
   * transform */
  const double *loss_weight;
  wl_real *lam; /* [16 * blocks] in: adjoint of theta_{t0+K}; out: adjoint of theta_{t0} */
  /* [blocks][width][16] in: adjoint of s_{t0+K}; out: adjoint of s_{t0}; NULL: the adjoint of
   * s_{t0+K} is zero, and the adjoint of s_{t0} is not needed */
  wl_real *mu;
  /* [steps][16 * blocks] out: adjoint of g; NULL: this adjoint is not needed */
  wl_real *gbar;
  /* [steps] the adjoint of `loss` is added to this array; NULL: this adjoint is not needed */
  double *loss_bar;
} wl_rule_chunk;

/* The arguments of one inner step. */
typedef struct wl_inner_step {
  /* t: number of previous steps; horizon: number T of steps in the episode, or 0 if this number
   * is unknown */
  int64_t t, horizon;
  double loss; /* minibatch loss at theta_t; NaN: the loss is unknown */
  int64_t blocks;
  const wl_real *g;     /* [16 * blocks] preconditioned gradient */
  const wl_real *theta; /* [16 * blocks] theta_t; NULL if the rule does not read theta */
  const wl_real *s_in;
  wl_real *s_out; /* new state; may be the same array as s_in */
  wl_real *u;     /* [16 * blocks] out: update */
  /* [blocks][rule->activations] out: values that the backward pass can read instead of computing
   * the step again. Other results do not depend on this array. If the pointer is NULL, the step
   * stores nothing. The pointer is always NULL if rule->activations is 0. */
  wl_real *activations;
} wl_inner_step;

/* The kinds of fields in the state of a rule that uses the shapes of tensors. A field has one
 * number for each coordinate, row, column or tensor, or one number for all of theta. */
typedef enum wl_state_extent {
  WL_STATE_COORDINATE,
  WL_STATE_ROW,    /* one number for each row of a tensor (tensors.h) */
  WL_STATE_COLUMN, /* one number for each column of a tensor (tensors.h) */
  WL_STATE_TENSOR,
  WL_STATE_WHOLE
} wl_state_extent;

typedef struct wl_state_field {
  const char *name;
  wl_state_extent extent;
} wl_state_field;

/* The properties of the training for which a rule is created. */
typedef struct wl_rule_setting {
  /* inner parameters of the first task; borrowed, and must remain valid until the rule is
   * destroyed */
  const wl_layout *theta;
  /* number of steps in the longest episode; schedules run over this number of steps, and a scalar
   * with a value for each step has this number of values */
  int64_t episode_steps;
  /* true: there are several tasks, whose tensors differ, so a rule must not learn a scalar for each
   * tensor */
  bool mixture;
} wl_rule_setting;

typedef struct wl_rule_ops {
  const char *name, *summary;
  const wl_option *options;
  wl_status (*create)(const wl_map *options, const wl_rule_setting *setting, wl_rule *rule);
  void (*destroy)(wl_rule *rule);
  /* Draws the initial meta-parameters phi [rule->phi.size] from the stream
   * (seed, WL_FOR_META_INIT). */
  void (*init)(const wl_rule *rule, uint64_t seed, wl_real *phi);
  /* Copies phi to the workspace, in the layout that the kernels read. The program calls this
   * function after every change of phi. */
  void (*pack)(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
  void (*step)(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
  /* Computes the adjoint of a chunk. Adds the adjoint of phi to phi_grad [rule->phi.size]. */
  void (*backward)(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                   double *phi_grad);
  /* Allocates the rule's workspace for the inner parameters theta. A workspace contains, for
   * example, packed weights and scratch memory of the threads. `adjoint` is true if `backward` will
   * be called with this workspace. */
  wl_status (*ws_create)(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads,
                         void **out);
  void (*ws_destroy)(void *impl);
  size_t (*ws_bytes)(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads);
} wl_rule_ops;

/* Defines the rule wl_rule_<id> from the static variables `<id>_rule` and `<id>_options`. The rule
 * has the functions wl_<kind>_create, wl_<kind>_destroy, and so on, which several rules share. The
 * function wl_<kind>_create also receives `<id>_rule`. */
#define WL_DEFINE_RULE(id, text, kind)                                                \
  static wl_status id##_create(const wl_map *options, const wl_rule_setting *setting, \
                               wl_rule *rule) {                                       \
    return wl_##kind##_create(&id##_rule, options, setting, rule);                    \
  }                                                                                   \
  extern const wl_rule_ops wl_rule_##id;                                              \
  const wl_rule_ops wl_rule_##id = {.name = #id,                                      \
                                    .summary = text,                                  \
                                    .options = id##_options,                          \
                                    .create = id##_create,                            \
                                    .destroy = wl_##kind##_destroy,                   \
                                    .init = wl_##kind##_init,                         \
                                    .pack = wl_##kind##_pack,                         \
                                    .step = wl_##kind##_step,                         \
                                    .backward = wl_##kind##_backward,                 \
                                    .ws_create = wl_##kind##_ws_create,               \
                                    .ws_destroy = wl_##kind##_ws_destroy,             \
                                    .ws_bytes = wl_##kind##_ws_bytes}

struct wl_rule {
  const wl_rule_ops *ops;
  void *impl;
  /* layout of the rule's meta-parameters; all tensors of the layout have the group "rule"; the
   * layout is empty if the rule learns nothing */
  wl_layout phi;
  int64_t state_width; /* number of wl_real elements in the state of one coordinate */
  bool tensorwise;
  /* true: the rule has a schedule for runs whose number of steps is unknown (horizon 0) */
  bool any_horizon;
  /* fields in the state of a rule that uses the shapes of tensors; the first fields are those of
   * coordinates; borrowed */
  const wl_state_field *fields;
  int n_fields;
  /* the reason why the rule has no adjoint, as a string for messages; NULL: the rule has an
   * adjoint */
  const char *forward_only;
  /* number of wl_real elements that a step can store for each block, so that the backward pass need
   * not compute the step again; 0: a step stores nothing */
  int64_t activations;
  bool reads_theta;
  /* true: the adjoint of g omits a term on purpose, so this adjoint differs from the exact
   * derivative */
  bool partial_gbar;
  /* number of floating-point operations of the forward and the backward pass of one
   * coordinate-step */
  double cost;
};

struct wl_rule_ws {
  void *impl;
  const wl_layout *theta; /* borrowed */
  int threads;
  const wl_rule_ops *ops;
};

/* A number that depends on the sizes of the structures that a plug-in's rule shares with the
 * program. The program refuses a plug-in if its number differs from the number of the program
 * (base/plugin.h). */
#define WL_RULE_LAYOUT                                                                         \
  ((WL_SHARED_LAYOUT * 251 + (uint32_t)sizeof(wl_rule_ops)) * 251 * 251 +                      \
   (uint32_t)sizeof(wl_rule) * 251 +                                                           \
   (uint32_t)(sizeof(wl_inner_step) + sizeof(wl_rule_chunk) + sizeof(wl_rule_setting)))
extern const struct wl_plugin_kind wl_rule_plugins;

/* table of all update rules; the table ends with NULL */
extern const wl_rule_ops *const wl_rules[];
const wl_variant *wl_rule_variants(void);

wl_status wl_rule_create(const wl_map *options, const wl_rule_setting *setting, wl_rule **out);
/* Creates a rule from `count` keys and their values. The first key must be "rule.name". Keys that
 * are missing from `keys` have their default values. */
wl_status wl_rule_create_by(const wl_override *keys, int count, const wl_rule_setting *setting,
                            wl_rule **out);
/* Creates a hand-designed rule with the rate `rate` and with the default values of all other keys.
 * Baselines use such a rule. */
wl_status wl_rule_create_fixed(const char *name, double rate, wl_rule **out);
/* Does the same as wl_rule_create_fixed, and also sets the key `schedule` to "constant", "linear"
 * or "cosine". */
wl_status wl_rule_create_scheduled(const char *name, double rate, const char *schedule,
                                   wl_rule **out);
void wl_rule_destroy(wl_rule **rule);
/* Returns the number of wl_real elements in the rule state of a unit with the inner parameters
 * theta. */
int64_t wl_rule_state_reals(const wl_rule *rule, const wl_layout *theta);
/* Returns an index in the state array of n coordinates: the index of element j of the state of
 * `coordinate`, where j is less than state_width. */
int64_t wl_rule_state_index(const wl_rule *rule, int64_t n, int64_t coordinate, int64_t j);
/* Creates a workspace for the inner parameters theta, which the workspace borrows. `adjoint` must
 * be true if wl_rule_backward will be called. For a coordinatewise rule, theta may be a layout
 * without tensors, in which only the member `size` is set. */
wl_status wl_rule_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads,
                            wl_rule_ws **out);
void wl_rule_ws_destroy(wl_rule_ws **ws);
size_t wl_rule_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads);
void wl_rule_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
void wl_rule_step(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
void wl_rule_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                      double *phi_grad);

#endif
