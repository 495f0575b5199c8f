/* imitation.h - declares functions with which the learned rule imitates a hand-designed rule,
 * called the teacher.
 *
 * In an episode in which the unit imitates the teacher, the teacher receives the same raw gradients
 * as the learned rule, and has a separate state. At step k, let e_k be the update of the teacher,
 * and let l_k be the update of the learned rule. The step adds a weighted mean of the two updates
 * to theta, and F' replaces the meta-loss F:
 *
 *   theta_{k+1} = theta_k + f e_k + (1 - f) l_k
 *   F' = (1 - a - b - c) F + W mean_k (a D_cos + b D_mag + c D_dist)
 *
 * W is the sum of the weights of the window's losses. D_cos, D_mag and D_dist are the imitation
 * terms:
 *
 *   D_cos = 1 - <e, l> / (|e| |l|),   D_mag = mean | |e| - |l| |,   D_dist = |l - e|^2 / |e|^2
 *
 * D_cos and D_mag are means over the matrices of theta, or over all tensors if theta has no matrix.
 * D_dist uses all coordinates.
 *
 * The numbers f, a, b and c are the values of the keys `force`, `cosine`, `magnitude` and
 * `distance`. The derivative of F' treats e_k as a constant, as first-order training treats the
 * inner gradient as a constant. Forward-only estimators use another formula, which is in
 * src/estimator/antithetic.c. Chen et al. 2020 use only D_dist (c = 1) in some of the episodes. The
 * method ELO uses D_cos, D_mag and the factor f. */
#ifndef WL_UNROLL_IMITATION_H
#define WL_UNROLL_IMITATION_H

#include "rule/rule.h"

enum { WL_IMITATE_COSINE, WL_IMITATE_MAGNITUDE, WL_IMITATE_DISTANCE, WL_IMITATION_TERMS };

/* The weights of the teacher, of the loss and of the imitation terms at one meta-step. */
typedef struct wl_imitation_weights {
  double force;                    /* the weight f of the teacher in the mean of the two updates */
  double task;                     /* weight of the task's loss: 1 - a - b - c */
  double term[WL_IMITATION_TERMS]; /* the weights a, b, c */
} wl_imitation_weights;

typedef struct wl_imitation wl_imitation;

/* The table wl_imitation_options contains the keys of the section `imitation` that are available
 * with every teacher. The function wl_imitation_variants returns the list of teachers. */
extern const wl_option wl_imitation_options[];
const wl_variant *wl_imitation_variants(void);

/* Reads the section `imitation` and creates the teacher. Sets *out to NULL if the configuration has
 * no teacher. Borrows `config`, which must exist as long as *out. Not collective. */
wl_status wl_imitation_create(const wl_config *config, const wl_rule_setting *setting,
                              wl_imitation **out);
void wl_imitation_destroy(wl_imitation **imitation);
/* Returns the teacher, which `imitation` owns. */
const wl_rule *wl_imitation_teacher(const wl_imitation *imitation);
/* Returns the value of the key `scale`, the factor of the imitation terms in forward-only
 * estimators. */
double wl_imitation_scale(const wl_imitation *imitation);
/* Returns the number of inner steps over which the teacher's schedule runs: the value of the key
 * `span`, or `horizon` if `span` is 0. */
int64_t wl_imitation_span(const wl_imitation *imitation, int64_t horizon);
/* Returns the probability that an episode in stage `stage` of the curriculum imitates. */
double wl_imitation_share(const wl_imitation *imitation, int64_t stage);
/* The key `share` must have one number, or one number for each of the `stages` stages; otherwise,
 * the function returns WL_ERR_CONFIG. */
wl_status wl_imitation_check_stages(const wl_imitation *imitation, int64_t stages);
/* Returns the weights at meta-step `meta_step`. */
wl_imitation_weights wl_imitation_at(const wl_imitation *imitation, int64_t meta_step);

/* Computes D_cos, D_mag and D_dist of the teacher's update `expert` [theta->size] and the rule's
 * update `learned` [theta->size]. */
void wl_imitation_compare(const wl_layout *theta, const wl_real *expert, const wl_real *learned,
                          double term[WL_IMITATION_TERMS]);
/* Sets `bar` [theta->size] to the derivative of sum_i slope[i] D_i with respect to `learned`. If an
 * update is zero, D_cos is 1 and its derivative is defined as zero. */
void wl_imitation_adjoint(const wl_layout *theta, const double slope[WL_IMITATION_TERMS],
                          const wl_real *expert, const wl_real *learned, wl_real *bar);

#endif
