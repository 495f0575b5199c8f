/* rule.h - update rules. A rule computes updates from preconditioned gradients, and the adjoints of the updates.
 *
 *   (u_t, s_{t+1}) = rule(g_t, theta_t, s_t, t, T, L_t; phi),   theta_{t+1} = theta_t + u_t
 *
 * A rule is one file that defines a wl_rule_ops; rules.def lists all rules. Arrays over coordinates are padded to
 * blocks of WL_LANES and aligned to 64 bytes. Results have the same bits for any number of threads.
 *
 * The state of a unit consists of wl_rule_state_reals(rule, theta) reals, which are zero at the start of an episode.
 * There are two kinds of rules:
 *   coordinatewise rules      A rule updates each coordinate separately. The state is [block][state_width][WL_LANES].
 *   rules that see tensors    A rule uses the tensors of theta. The state consists of named fields, one after the
 *                             other. Fields of coordinates [pad(n)] come first, in the order of theta. Then come the
 *                             fields of rows, columns, tensors and of all of theta (wl_state_extent). */
#ifndef WL_RULE_RULE_H
#define WL_RULE_RULE_H

#include "base/layout.h"
#include "base/options.h"
#include "base/plugin.h"
#include "base/real.h"
#include "base/rng.h"

typedef struct wl_rule wl_rule;
typedef struct wl_rule_ws wl_rule_ws;

/* Largest number of consecutive steps in one call of wl_rule_backward. Meta-gradients are summed over chunks of steps
 * and groups of blocks in one fixed order. Meta-gradients therefore do not depend on window storage and number of
 * threads. */
enum { WL_CHUNK_STEPS = 20 };

/* A chunk consists of the steps t0 .. t0+K-1 of one episode for all blocks, 1 <= K <= WL_CHUNK_STEPS. The adjoint of
 * each coordinate is computed for k = K-1 .. 0:
 *   (gbar_k, thetabar, sbar, phibar) = rule^T (u: lam, s: mu)
 *   lam <- lam + thetabar + loss_weight[k] loss_grad[k];   mu <- sbar;   phi_grad += phibar */
typedef struct wl_rule_chunk {
  int64_t t0, steps, blocks;
  int64_t horizon;      /* T of the episode; 0: unknown */
  const double *loss;   /* [steps] minibatch losses at theta_k; NULL: unknown */
  const wl_real *g;     /* [steps][16 blocks] preconditioned gradients */
  const wl_real *theta; /* [steps][16 blocks]; NULL if the rule does not read theta */
  const wl_real *state; /* [blocks][width][16] s_{t0} */
  /* [steps][blocks][rule->activations] values that the steps stored; NULL: the adjoint recomputes the steps */
  const wl_real *activations;
  /* [blocks][rule->activations] values that step t0 - 1 stored; used instead of `state` unless NULL */
  const wl_real *activations_before;
  const wl_real *loss_grad;  /* [steps][16 blocks] grad L_out(theta_k); NULL: no loss term */
  const double *loss_weight; /* [steps] w_k times the derivative of the loss transform */
  wl_real *lam; /* [16 blocks] in: adjoint of theta_{t0+K}; out: adjoint of theta_{t0} */
  wl_real *mu; /* [blocks][width][16] in: adjoint of s_{t0+K}, NULL: zero; out: adjoint of s_{t0} */
  wl_real *gbar;             /* [steps][16 blocks] out: adjoint of g; NULL: not computed */
  double *loss_bar;          /* [steps] in/out: the adjoint of `loss` is added to these values; NULL: not computed */
} wl_rule_chunk;

/* One step of an episode. */
typedef struct wl_inner_step {
  int64_t t, horizon; /* number of steps before this one; T of the episode, 0: unknown */
  double loss;        /* minibatch loss at theta_t; NaN: unknown */
  int64_t blocks;
  const wl_real *g;     /* [16 blocks] preconditioned gradient */
  const wl_real *theta; /* [16 blocks]; NULL if the rule does not read theta */
  const wl_real *s_in;
  wl_real *s_out; /* may be the same array as s_in */
  wl_real *u;     /* [16 blocks] */
  /* [blocks][rule->activations] out: values for the adjoint. With these values, the adjoint does not recompute the
   * step. Other results do not depend on this array. NULL: nothing is stored; always NULL if rule->activations is 0. */
  wl_real *activations;
} wl_inner_step;

/* A named field of a tensorwise rule's state. */
typedef enum wl_state_extent {
  WL_STATE_COORDINATE,
  WL_STATE_ROW,    /* one for each index of a tensor without its largest axis */
  WL_STATE_COLUMN, /* one for each index of a tensor without its second largest axis */
  WL_STATE_TENSOR,
  WL_STATE_WHOLE
} wl_state_extent;

typedef struct wl_state_field {
  const char *name;
  wl_state_extent extent;
} wl_state_field;

/* The training for which a rule is created. */
typedef struct wl_rule_setting {
  const wl_layout
      *theta; /* inner parameters of the (first) task; borrowed, valid as long as the rule */
  int64_t episode_steps; /* T of the longest episode; for schedules and scalars of steps */
  bool mixture;          /* the tasks differ; scalars of tensors are then a configuration error */
} wl_rule_setting;

typedef struct wl_rule_ops {
  const char *name, *summary;
  const wl_option *options;
  wl_status (*create)(const wl_map *options, const wl_rule_setting *setting, wl_rule *rule);
  void (*destroy)(wl_rule *rule);
  /* Draws the initial meta-parameters phi [rule->phi.size] from the stream (seed, WL_FOR_META_INIT). */
  void (*init)(const wl_rule *rule, uint64_t seed, wl_real *phi);
  /* Copies phi into the workspace in a layout for fast steps. This function is called after every change of phi. */
  void (*pack)(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
  void (*step)(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
  /* Computes the adjoint of a chunk. Adds to phi_grad [rule->phi.size] in double. */
  void (*backward)(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                   double *phi_grad);
  /* Allocates the rule's workspace (packed weights, scratch of threads) for inner parameters theta. `adjoint` is true
   * if `backward` will be called with this workspace. */
  wl_status (*ws_create)(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads,
                         void **out);
  void (*ws_destroy)(void *impl);
  size_t (*ws_bytes)(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads);
} wl_rule_ops;

/* Defines wl_rule_<id>, a rule of a common kind, from the static variables `<id>_rule` and `<id>_options`. The rule has
 * the functions wl_<kind>_create, wl_<kind>_destroy, and so on. wl_<kind>_create also receives `<id>_rule`. */
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
  wl_layout phi;       /* meta-parameters, group "rule"; empty for a fixed rule */
  int64_t state_width; /* number of reals of state for each coordinate */
  bool tensorwise;
  const wl_state_field
      *fields; /* fields of a rule that sees tensors, fields of coordinates first; borrowed */
  int n_fields;
  const char
      *forward_only; /* the part without an adjoint, for messages; NULL: the rule has an adjoint */
  int64_t
      activations; /* number of reals that a step can store for each block for the adjoint; 0: none */
  bool reads_theta;
  bool partial_gbar; /* the adjoint of g omits a term by design */
  double cost;       /* FLOP per coordinate-step, forward and backward */
};

struct wl_rule_ws {
  void *impl;
  const wl_layout *theta; /* borrowed */
  int threads;
  const wl_rule_ops *ops;
};

/* Sizes of the structs that a rule in a plug-in shares with the program (base/plugin.h). */
#define WL_RULE_LAYOUT                                                                         \
  ((WL_SHARED_LAYOUT * 251 + (uint32_t)sizeof(wl_rule_ops)) * 251 * 251 +                      \
   (uint32_t)sizeof(wl_rule) * 251 +                                                           \
   (uint32_t)(sizeof(wl_inner_step) + sizeof(wl_rule_chunk) + sizeof(wl_rule_setting)))
extern const struct wl_plugin_kind wl_rule_plugins;

extern const wl_rule_ops *const wl_rules[]; /* ends with NULL */
const wl_variant *wl_rule_variants(void);

wl_status wl_rule_create(const wl_map *options, const wl_rule_setting *setting, wl_rule **out);
/* Creates a rule from values of some of its keys. The first key must be "rule.name". The other keys have their
 * defaults. */
wl_status wl_rule_create_by(const wl_override *keys, int count, const wl_rule_setting *setting,
                            wl_rule **out);
/* Creates a hand-designed rule with the given rate and the default values of all other keys. The rule is for
 * baselines. */
wl_status wl_rule_create_fixed(const char *name, double rate, wl_rule **out);
/* Does the same as wl_rule_create_fixed. Also sets the key `schedule` to "constant", "linear" or "cosine", if the rule
 * has this key. */
wl_status wl_rule_create_scheduled(const char *name, double rate, const char *schedule,
                                   wl_rule **out);
void wl_rule_destroy(wl_rule **rule);
/* Returns the number of reals in the rule state of a unit with inner parameters theta. */
int64_t wl_rule_state_reals(const wl_rule *rule, const wl_layout *theta);
/* Returns the offset of real `j` < state_width of a coordinate in the state over n coordinates. */
int64_t wl_rule_state_index(const wl_rule *rule, int64_t n, int64_t coordinate, int64_t j);
/* Creates a workspace for inner parameters theta, which are borrowed. `adjoint` is true if wl_rule_backward will also
 * be called. A coordinatewise rule accepts a layout of one unnamed vector of n coordinates. */
wl_status wl_rule_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads,
                            wl_rule_ws **out);
void wl_rule_ws_destroy(wl_rule_ws **ws);
size_t wl_rule_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads);
void wl_rule_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
void wl_rule_step(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
void wl_rule_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                      double *phi_grad);

#endif
