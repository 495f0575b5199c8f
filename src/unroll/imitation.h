/* imitation.h - a hand-designed rule as the teacher of the learned rule: forced paths and losses of imitation.
 *
 * In an episode that imitates, the teacher receives the raw gradients of the same path and has a separate state. With
 * the teacher's update e_k and the learned rule's update l_k:
 *
 *   theta_{k+1} = theta_k + f e_k + (1 - f) l_k                                  forced path
 *   F'          = (1 - a - b - c) F + W mean_k (a D_cos + b D_mag + c D_dist)    W = sum of the window's weights
 *
 *   D_cos  = 1 - <e, l> / |e| |l|,  D_mag = mean | |e| - |l| |    means over the matrices of theta, or over all of its
 *                                                                 tensors if theta has no matrix
 *   D_dist = |l - e|^2 / |e|^2                                    over all coordinates
 *
 * f, a, b and c are the keys `force`, `cosine`, `magnitude` and `distance`. The derivative treats e_k as a constant, as
 * first-order training does with the gradient. The formula of the forward-only estimators is in
 * src/estimator/antithetic.c. Chen et al. 2020 use c = 1 in a share of the episodes. ELO uses a, b and f. */
#ifndef WL_UNROLL_IMITATION_H
#define WL_UNROLL_IMITATION_H

#include "rule/rule.h"

enum { WL_IMITATE_COSINE, WL_IMITATE_MAGNITUDE, WL_IMITATE_DISTANCE, WL_IMITATION_TERMS };

/* The weights of imitation at one meta-step. */
typedef struct wl_imitation_weights {
  double force;                    /* f */
  double task;                     /* weight of the task's loss: 1 - a - b - c */
  double term[WL_IMITATION_TERMS]; /* the weights a, b, c */
} wl_imitation_weights;

typedef struct wl_imitation wl_imitation;

/* The keys of the section `imitation` that every teacher has, and the teachers. */
extern const wl_option wl_imitation_options[];
const wl_variant *wl_imitation_variants(void);

/* Creates the teacher. *out is NULL if the configuration has no teacher. Borrows `config`, which must exist as long as
 * *out. Not collective. */
wl_status wl_imitation_create(const wl_config *config, const wl_rule_setting *setting,
                              wl_imitation **out);
void wl_imitation_destroy(wl_imitation **imitation);
/* Returns the teacher. `imitation` owns it. */
const wl_rule *wl_imitation_teacher(const wl_imitation *imitation);
/* Returns the factor of the normalised differences, for forward-only estimators. */
double wl_imitation_scale(const wl_imitation *imitation);
/* Returns the number of steps of the teacher's schedule. If the configuration does not set this number, it is the
 * number of steps of the episode. */
int64_t wl_imitation_span(const wl_imitation *imitation, int64_t horizon);
/* Returns the probability that an episode imitates, in a stage of the curriculum. */
double wl_imitation_share(const wl_imitation *imitation, int64_t stage);
/* Returns WL_ERR_CONFIG if the configuration has neither one share nor one share for each stage. */
wl_status wl_imitation_check_stages(const wl_imitation *imitation, int64_t stages);
/* Returns the weights at meta-step `meta_step`. */
wl_imitation_weights wl_imitation_at(const wl_imitation *imitation, int64_t meta_step);

/* Computes D_cos, D_mag and D_dist of two updates [theta->size]. */
void wl_imitation_compare(const wl_layout *theta, const wl_real *expert, const wl_real *learned,
                          double term[WL_IMITATION_TERMS]);
/* Computes bar = sum_i slope_i dD_i / dlearned. If an update is zero, D_cos is 1 and its derivative is set to zero. */
void wl_imitation_adjoint(const wl_layout *theta, const double slope[WL_IMITATION_TERMS],
                          const wl_real *expert, const wl_real *learned, wl_real *bar);

#endif
