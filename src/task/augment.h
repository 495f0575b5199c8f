/* augment.h - changes a task at random in each episode. The changes (augmentations) apply to the
 * loss, the parameters, their initial values and the gradients.
 *
 * - The loss L is replaced by L~(theta) = s (L(c o theta) + <xi_t, theta>).
 * - The initial parameters theta_0 are replaced by theta_0~ = j o theta_0 / c.
 * - s is the value of the key loss_scale.
 * - c contains a factor for each parameter. The key reparametrise determines whether there is one
 *   factor for all parameters, one for each tensor, or one for each parameter. A factor of c is
 *   log-uniform in reparametrise_range. The network computes the same function, but its parameters
 *   have another scale (Celo: Moudgil et al. 2025).
 * - j contains a factor for the initial values of each tensor. With probability scale_jitter, the
 *   factors are log-uniform in scale_jitter_range. In all other episodes, the factors of j are 1.
 * - xi_t is Gaussian noise with the standard deviation gradient_noise. The noise is drawn for each
 *   inner step and is added to inner losses only. The noise is a term of the loss, so the noisy
 *   gradient is the exact gradient of L~.
 *
 * The operator o multiplies two vectors element by element. A log-uniform number is one whose logarithm is uniformly
 * distributed. All drawn values depend only on the seed, the space (wl_space), and the indices of the episode and the
 * unit. The noise also depends on the inner step. The functions of this file return the exact gradients and
 * Hessian-vector products of L~. Only files of src/task include this header. */
#ifndef WL_TASK_AUGMENT_H
#define WL_TASK_AUGMENT_H

#include "base/draw.h"
#include "task/task.h"

/* Values of wl_stream.step for the purpose WL_FOR_DRAW. Each drawn quantity has a different value. */
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
  /* these lists are valid only during the creation of the task */
  wl_reals reparametrise_range, scale_jitter_range;
  double scale_jitter;
} wl_augment_keys;

/* Expands to the rows that declare the keys of the augmentations in a family's options table.
 * `type` is the struct into which the family reads its keys. `member` is the member of this struct
 * that has the type wl_augment_keys. */
/* clang-format off */
#define WL_AUGMENT_OPTIONS(type, member)                                                          \
  {"loss_scale", WL_OPT_REAL, "1.0", NULL, 1e-12, 1e12, "1",                                      \
   "Factor by which the loss, and therefore every gradient, is multiplied.",                                        \
   WL_SLOT(type, member.loss_scale), WL_KEY_DRAW},                                                \
  {"gradient_noise", WL_OPT_REAL, "0", NULL, 0, 1e12, "1",                                        \
   "Standard deviation of the Gaussian noise added to each inner gradient, before `loss_scale`.", \
   WL_SLOT(type, member.gradient_noise), WL_KEY_DRAW},                                            \
  {"reparametrise", WL_OPT_CHOICE, "none", "none|global|tensor|parameter", 0, 0, "1",             \
   "Divide the initial parameters by random factors, and multiply the parameters by these factors in the network. " \
   "There is one factor for all parameters (global), for each tensor, or for each parameter.", \
   WL_SLOT(type, member.reparametrise)},                                                          \
  {"reparametrise_range", WL_OPT_REALS, "[1e-3, 1e3]", NULL, 1e-12, 1e12, "1",                    \
   "[low, high]: log-uniform range of the factors of `reparametrise`.", WL_SLOT(type, member.reparametrise_range)}, \
  {"scale_jitter", WL_OPT_REAL, "0", NULL, 0, 1, "1",                                             \
   "Fraction of the episodes in which the initial values are changed. "                           \
   "The values of each tensor are then multiplied by a random factor.",                           \
   WL_SLOT(type, member.scale_jitter)},                                                           \
  {"scale_jitter_range", WL_OPT_REALS, "[0.03, 2]", NULL, 1e-12, 1e12, "1",                       \
   "[low, high]: log-uniform range of the factors of `scale_jitter`.", WL_SLOT(type, member.scale_jitter_range)}
/* clang-format on */

typedef struct wl_augment wl_augment; /* the augmentations that the keys of a task describe */
/* the values that were drawn for the current episode, and buffers for results */
typedef struct wl_augment_ws wl_augment_ws;

/* Creates the augmentations from `keys`, which were read from `options`. *out is NULL if the augmentations change
 * nothing. `options` is used only for error messages. */
wl_status wl_augment_create(const wl_augment_keys *keys, const wl_map *options, wl_augment **out);
void wl_augment_destroy(wl_augment **augment);
/* Returns true if the augmentations change the initial parameters theta_0. */
bool wl_augment_moves_start(const wl_augment *augment);
/* Returns the number of floating-point operations that augmentations add to one gradient of n
 * parameters. */
double wl_augment_cost(const wl_augment *augment, int64_t n);

wl_status wl_augment_ws_create(const wl_augment *augment, int64_t n, wl_augment_ws **out);
void wl_augment_ws_destroy(wl_augment_ws **ws);
size_t wl_augment_ws_bytes(const wl_augment *augment, int64_t n);
void wl_augment_bind(wl_augment_ws *ws, const wl_layout *theta, const wl_episode *episode);
double wl_augment_loss_scale(const wl_augment_ws *ws);

/* Replaces the initial parameters theta_0 in `theta` by theta_0~. */
void wl_augment_start(const wl_augment_ws *ws, const wl_layout *layout, wl_real *theta);
/* Returns c o theta [n], which is valid until the next call of this function. Returns `theta` if
 * the augmentations have no factors c. */
const wl_real *wl_augment_theta(wl_augment_ws *ws, const wl_real *theta);
/* Returns the result of the last call of wl_augment_theta, or `theta` if the augmentations have no
 * factors c. */
const wl_real *wl_augment_last(const wl_augment_ws *ws, const wl_real *theta);
/* Returns c o v [n] in a buffer of the workspace, or `v` if the augmentations have no factors c. */
const wl_real *wl_augment_direction(wl_augment_ws *ws, const wl_real *v);
/* Returns L~(theta). `loss` is L(c o theta). */
double wl_augment_loss(wl_augment_ws *ws, const wl_batch *batch, const wl_real *theta, double loss);
/* Replaces the gradients of L in grad_theta [n] and grad_phi [n_phi] by the gradients of L~. A
 * gradient whose argument is NULL is not computed. */
void wl_augment_gradient(wl_augment_ws *ws, const wl_batch *batch, wl_real *grad_theta,
                         wl_real *grad_phi, int64_t n_phi);
/* Replaces the products of the Hessian of L with c o v by the products of the Hessian of L~ with v.
 * A product whose argument is NULL is not computed. */
void wl_augment_product(const wl_augment_ws *ws, wl_real *hv_theta, wl_real *hv_phi, int64_t n_phi);

#endif
