/* augment.h - augmentations: random changes of a task's loss, parameters, initial values and gradients in each episode.
 *
 *   L~(theta) = s (L(c o theta) + <xi_t, theta>)
 *   theta_0~  = j o theta_0 / c
 *
 *   s    The factor loss_scale.
 *   c    The key reparametrise: one factor for all parameters, for each tensor or for each parameter, log-uniform in
 *        reparametrise_range. The network is the same, but the scale of the parameters differs (Celo: Moudgil et al.
 *        2025).
 *   j    A factor of each tensor's initial values. With probability scale_jitter, the factor is log-uniform in
 *        scale_jitter_range, otherwise 1.
 *   xi   The key gradient_noise: N(0, sd^2), drawn for each inner step. Only inner losses have this term. The noise is
 *        a term of the loss, and therefore a gradient is still the gradient of its loss.
 *
 * o multiplies elements, and log-uniform means that the logarithm is uniform. All drawn values are functions of the
 * episode. Gradients and Hessian-vector products are exact for L~. Private to src/task. */
#ifndef WL_TASK_AUGMENT_H
#define WL_TASK_AUGMENT_H

#include "base/draw.h"
#include "task/task.h"

/* Values of a stream's member `step` for WL_FOR_DRAW, which identify the drawn quantity. */
enum {
  WL_DRAW_OF_LOSS_SCALE,
  WL_DRAW_OF_GRADIENT_NOISE,
  WL_DRAW_OF_REPARAMETRISATION,
  WL_DRAW_OF_SCALE_JITTER,
  WL_DRAW_OF_DATA_FRACTION
};

typedef struct wl_augment_keys {
  wl_draw loss_scale, gradient_noise;
  enum {
    WL_REPARAMETRISE_NONE,
    WL_REPARAMETRISE_GLOBAL,
    WL_REPARAMETRISE_TENSOR,
    WL_REPARAMETRISE_PARAMETER
  } reparametrise;
  wl_reals reparametrise_range, scale_jitter_range; /* borrowed while the task is created */
  double scale_jitter;
} wl_augment_keys;

/* The rows of the augmentations for the options table of a family. The family reads its keys into the struct `type`.
 * This struct has a member `member` of type wl_augment_keys. */
/* clang-format off */
#define WL_AUGMENT_OPTIONS(type, member)                                                          \
  {"loss_scale", WL_OPT_REAL, "1.0", NULL, 1e-12, 1e12, "1",                                      \
   "Factor of the loss, and therefore of every gradient.",                                        \
   WL_SLOT(type, member.loss_scale), WL_KEY_DRAW},                                                \
  {"gradient_noise", WL_OPT_REAL, "0", NULL, 0, 1e12, "1",                                        \
   "Standard deviation of the Gaussian noise added to each inner gradient, before `loss_scale`.", \
   WL_SLOT(type, member.gradient_noise), WL_KEY_DRAW},                                            \
  {"reparametrise", WL_OPT_CHOICE, "none", "none|global|tensor|parameter", 0, 0, "1",             \
   "Divide the initial parameters by a random factor and multiply them by it in the network: one " \
   "factor for all, for each tensor, or for each parameter.",                                     \
   WL_SLOT(type, member.reparametrise)},                                                          \
  {"reparametrise_range", WL_OPT_REALS, "[1e-3, 1e3]", NULL, 1e-12, 1e12, "1",                    \
   "[low, high]: range of these factors, which are log-uniform.", WL_SLOT(type, member.reparametrise_range)}, \
  {"scale_jitter", WL_OPT_REAL, "0", NULL, 0, 1, "1",                                             \
   "Fraction of the episodes in which the initial values of each tensor are multiplied by a "     \
   "random factor.",                                                                              \
   WL_SLOT(type, member.scale_jitter)},                                                           \
  {"scale_jitter_range", WL_OPT_REALS, "[0.03, 2]", NULL, 1e-12, 1e12, "1",                       \
   "[low, high]: range of these factors, which are log-uniform.", WL_SLOT(type, member.scale_jitter_range)}
/* clang-format on */

typedef struct wl_augment wl_augment; /* the configured augmentations */
/* the augmentations of the bound episode, and buffers */
typedef struct wl_augment_ws wl_augment_ws;

/* Creates the augmentations from `keys`, which were read from `options`. *out is NULL if the augmentations change
 * nothing. `options` is used only for error messages. */
wl_status wl_augment_create(const wl_augment_keys *keys, const wl_map *options, wl_augment **out);
void wl_augment_destroy(wl_augment **augment);
/* Returns true if the augmentations change theta_0. */
bool wl_augment_moves_start(const wl_augment *augment);
/* Returns the number of floating-point operations for the augmentation of one gradient of n parameters. */
double wl_augment_cost(const wl_augment *augment, int64_t n);

wl_status wl_augment_ws_create(const wl_augment *augment, int64_t n, wl_augment_ws **out);
void wl_augment_ws_destroy(wl_augment_ws **ws);
size_t wl_augment_ws_bytes(const wl_augment *augment, int64_t n);
void wl_augment_bind(wl_augment_ws *ws, const wl_layout *theta, const wl_episode *episode);
double wl_augment_loss_scale(const wl_augment_ws *ws);

/* Changes theta_0 of the network to theta_0~, in place. */
void wl_augment_start(const wl_augment_ws *ws, const wl_layout *layout, wl_real *theta);
/* Returns c o theta [n], which is valid until the next call. Returns `theta` if there is no c. */
const wl_real *wl_augment_theta(wl_augment_ws *ws, const wl_real *theta);
/* Returns c o theta of the last call, or `theta` if there is no c. */
const wl_real *wl_augment_last(const wl_augment_ws *ws, const wl_real *theta);
/* Returns c o v [n] in a buffer of the workspace, or `v` if there is no c. */
const wl_real *wl_augment_direction(wl_augment_ws *ws, const wl_real *v);
/* Returns L~(theta), given `loss` = L(c o theta). */
double wl_augment_loss(wl_augment_ws *ws, const wl_batch *batch, const wl_real *theta, double loss);
/* Replaces dL/d(c o theta) and dL/dphi [n_phi] by the gradients of L~. An argument that is NULL is not computed. */
void wl_augment_gradient(wl_augment_ws *ws, const wl_batch *batch, wl_real *grad_theta,
                         wl_real *grad_phi, int64_t n_phi);
/* Replaces the products of the Hessian of L with c o v by the products of the Hessian of L~ with v. An argument that is
 * NULL is not computed. */
void wl_augment_product(const wl_augment_ws *ws, wl_real *hv_theta, wl_real *hv_phi, int64_t n_phi);

#endif
