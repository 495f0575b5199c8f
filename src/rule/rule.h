/* rule.h - update rules: from preconditioned gradients to updates, with their adjoints.
 *
 *   (u_t, s_{t+1}) = rule(g_t, theta_t, s_t, t; phi),   theta_{t+1} = theta_t + u_t
 *
 * A rule is one file that fills a wl_rule_ops and is listed in rules.def. Arrays over
 * coordinates are padded to blocks of WL_LANES and 64-byte aligned. State is
 * array-of-structures-of-arrays: [block][width][WL_LANES]. Every result for a block is
 * the same bits however blocks are split over calls and threads. */
#ifndef WL_RULE_RULE_H
#define WL_RULE_RULE_H

#include "base/layout.h"
#include "base/options.h"
#include "base/real.h"
#include "base/rng.h"

typedef struct wl_rule wl_rule;
typedef struct wl_rule_ws wl_rule_ws;

/* Longest run of steps that the engine hands to wl_rule_backward at once. Meta-gradients are
 * summed over (chunk of steps, group of blocks) in one fixed order, so that memory policy,
 * window storage and threads never change a bit. */
enum { WL_CHUNK_STEPS = 20 };

/* K consecutive steps of one episode, t0 .. t0+K-1, 1 <= K <= WL_CHUNK_STEPS, all blocks.
 * The adjoint recursion per coordinate, k = K-1 .. 0:
 *   (gbar_k, thetabar, sbar, phibar) = rule^T (u: lam, s: mu)
 *   lam <- lam + thetabar + loss_weight[k] loss_grad[k];   mu <- sbar;   phi_grad += phibar */
typedef struct wl_rule_chunk {
  int64_t t0, steps, blocks;
  const wl_real *g;     /* [steps][16 blocks] preconditioned gradients */
  const wl_real *theta; /* [steps][16 blocks]; NULL where the rule does not read theta */
  const wl_real *state; /* [blocks][width][16] s_{t0} */
  const wl_real
      *tape; /* [steps][blocks][rule->tape] as taped steps left it; NULL: steps are replayed */
  const wl_real
      *tape_before; /* [blocks][rule->tape] of step t0 - 1, stands in for state; may be NULL */
  const wl_real *loss_grad;  /* [steps][16 blocks] grad L_out(theta_k); NULL: no loss term */
  const double *loss_weight; /* [steps] w_k times the derivative of the loss transform */
  wl_real *lam;              /* [16 blocks] in: adjoint of theta_{t0+K}; out: of theta_{t0} */
  wl_real *mu;               /* [blocks][width][16] in: adjoint of s_{t0+K}; out: of s_{t0};
                              * NULL: zero, and not wanted */
  wl_real *gbar;             /* [steps][16 blocks] out: adjoint of g; NULL: not wanted */
} wl_rule_chunk;

/* What a rule is made for. */
typedef struct wl_rule_setting {
  const wl_layout *theta; /* inner parameters of the (first) task; borrowed for the rule's life */
  int64_t episode_steps;  /* T, longest episode; for schedules and per-step scalars */
  bool mixture;           /* tasks differ: per-tensor scalars are a configuration error */
} wl_rule_setting;

typedef struct wl_rule_ops {
  const char *name, *summary;
  const wl_option *options;
  wl_status (*create)(const wl_map *options, const wl_rule_setting *setting, wl_rule *rule);
  void (*destroy)(wl_rule *rule);
  /* Initial meta-parameters, rule->phi.size of them, from (seed, WL_FOR_META_INIT). */
  void (*init)(const wl_rule *rule, uint64_t seed, wl_real *phi);
  /* Packs phi for the hot loop into the workspace; called after every change of phi. */
  void (*pack)(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
  /* One step of blocks [0, blocks): s_in -> s_out (may be the same array), u. */
  void (*step)(const wl_rule *rule, wl_rule_ws *ws, int64_t t, int64_t blocks, const wl_real *g,
               const wl_real *theta, const wl_real *s_in, wl_real *s_out, wl_real *u);
  /* The same bits, and into tape [blocks][rule->tape] what spares the adjoint a replay. NULL where
   * rule->tape is 0. */
  void (*step_taped)(const wl_rule *rule, wl_rule_ws *ws, int64_t t, int64_t blocks,
                     const wl_real *g, const wl_real *theta, const wl_real *s_in, wl_real *s_out,
                     wl_real *u, wl_real *tape);
  /* Adjoint of a chunk; adds into phi_grad [rule->phi.size] in double. */
  void (*backward)(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                   double *phi_grad);
  /* Workspace of the rule's own (packed weights, thread scratch) for up to max_blocks. */
  wl_status (*ws_create)(const wl_rule *rule, int64_t max_blocks, int threads, void **out);
  void (*ws_destroy)(void *impl);
  size_t (*ws_bytes)(const wl_rule *rule, int64_t max_blocks, int threads);
} wl_rule_ops;

struct wl_rule {
  const wl_rule_ops *ops;
  void *impl;
  wl_layout phi;       /* meta-parameters, group "rule"; empty for a fixed rule */
  int64_t state_width; /* reals of state per coordinate; state starts at zero */
  int64_t tape;        /* reals that a taped step keeps of a block; 0: the rule keeps none */
  bool reads_theta;
  bool partial_gbar; /* the adjoint of g leaves something out on purpose */
  double cost;       /* FLOP per coordinate-step, forward and backward */
};

struct wl_rule_ws {
  void *impl;
  int64_t max_blocks;
  int threads;
  const wl_rule_ops *ops;
};

extern const wl_rule_ops *const wl_rules[]; /* ends with NULL */
const wl_variant *wl_rule_variants(void);

wl_status wl_rule_create(const wl_map *options, const wl_rule_setting *setting, wl_rule **out);
/* A hand-designed rule at a given rate and otherwise default options, for baselines. */
wl_status wl_rule_create_fixed(const char *name, double rate, wl_rule **out);
void wl_rule_destroy(wl_rule **rule);
wl_status wl_rule_ws_create(const wl_rule *rule, int64_t max_blocks, int threads, wl_rule_ws **out);
void wl_rule_ws_destroy(wl_rule_ws **ws);
size_t wl_rule_ws_bytes(const wl_rule *rule, int64_t max_blocks, int threads);
void wl_rule_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
void wl_rule_step(const wl_rule *rule, wl_rule_ws *ws, int64_t t, int64_t blocks, const wl_real *g,
                  const wl_real *theta, const wl_real *s_in, wl_real *s_out, wl_real *u);
/* With tape NULL a plain step. */
void wl_rule_step_taped(const wl_rule *rule, wl_rule_ws *ws, int64_t t, int64_t blocks,
                        const wl_real *g, const wl_real *theta, const wl_real *s_in, wl_real *s_out,
                        wl_real *u, wl_real *tape);
void wl_rule_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                      double *phi_grad);

#endif
