/* initialisation.h - declares functions that learn the initial parameters theta_0 with MAML, Leap
 * or Reptile.
 *
 * - MAML (Finn et al. 2017): the gradient is the adjoint of theta_0 in the first window of an
 *   episode.
 * - Leap (Flennerhag et al. 2019): the gradient is the gradient of the length of the path of theta.
 *   The path step from theta_i to theta_{i+1} has the length d_i and adds g_i to the gradient. If
 *   the key `stabilise` is set, -|dL| replaces dL in g_i:
 *
 *     d_i = sqrt(||theta_{i+1} - theta_i||^2 + dL^2),   dL = L_{i+1} - L_i
 *     g_i = ((theta_i - theta_{i+1}) - dL grad L_i) / d_i
 *
 * - Reptile (Nichol et al. 2018): the gradient is theta_0 - theta_T. Each inner step adds
 *   theta_i - theta_{i+1} to the gradient.
 *
 * Leap and Reptile need only the forward pass. The gradients of Leap and Reptile are sums over all
 * windows of an episode. The key `name` sets the method of all tensors, except tensors in the list
 * of another method. Leap measures the path only in the tensors that it learns. Tensors in the list
 * `fresh` are drawn again for each episode. In a learned or drawn tensor of the list `shared`, all
 * outputs start with the same vector (UNICORN-MAML, Ye and Chao 2022). In phi, a shared weight with
 * the shape (in, out) has the shape (in), and a shared bias is one number. The gradient of a shared
 * tensor is the sum over the outputs. */
#ifndef WL_UNROLL_INITIALISATION_H
#define WL_UNROLL_INITIALISATION_H

#include "base/layout.h"
#include "base/options.h"
#include "base/real.h"

typedef struct wl_initialisation wl_initialisation;

/* One path step: the inner step from theta_i to theta_{i+1}. The arrays have one element for each
 * coordinate and are borrowed. */
typedef struct wl_path_step {
  const wl_real *g;       /* gradient of the inner loss at theta_i */
  const wl_real *u;       /* the update theta_{i+1} - theta_i */
  /* loss is the inner loss at theta_i. next_loss is the inner loss at theta_{i+1}, or NaN if
   * wl_initialisation.losses is false. */
  double loss, next_loss;
} wl_path_step;

typedef struct wl_initialisation_ops wl_initialisation_ops;

/* A tensor that is drawn for each episode, and in which all outputs start with the same vector. */
typedef struct wl_drawn_vector {
  /* from: index in theta of the first element of the tensor. size: number of inputs of the layer,
   * or 1 for a bias. copies: number of outputs of the layer. */
  int64_t from, size, copies;
} wl_drawn_vector;

struct wl_initialisation {
  /* layout of the learned tensors: the names are "theta0.<tensor>", and the group is
   * "initialisation" */
  wl_layout phi;
  int64_t *from; /* [phi.count] index in theta of the first element of each learned tensor */
  /* [phi.count] for each learned tensor, number of elements of theta that start with the same
   * element of phi: the number of outputs for a tensor in the list `shared`, and 1 for all other
   * tensors */
  int64_t *copies;
  wl_drawn_vector *drawn; /* [n_drawn] */
  int n_drawn;
  const wl_initialisation_ops **method; /* [phi.count] method that learns each tensor */
  /* true if at least one tensor is learned with the adjoint of theta_0 */
  bool adjoint;
  bool path;                            /* true if at least one tensor is learned from path steps */
  /* true if a method needs the member next_loss of wl_path_step */
  bool losses;
  bool any_fresh;                       /* true if at least one tensor is drawn for each episode */
  /* for Leap, true if the length d_i includes the change dL of the loss */
  bool loss_term;
  /* for Leap, true if g_i contains -|dL| instead of dL */
  bool stabilise;
};

/* The methods that the section `initialisation` may name, and the keys of each method. */
extern const wl_variant wl_initialisation_variants[];
/* Creates the initialisation from `map`, the section `initialisation` of the configuration. Sets
 * *out to NULL for the name "none". Returns WL_ERR_CONFIG if a list names an unknown tensor, if a
 * tensor is in several lists, or if no tensor is learned. Not collective. */
wl_status wl_initialisation_create(const wl_map *map, const wl_layout *theta,
                                   wl_initialisation **out);
void wl_initialisation_destroy(wl_initialisation **init);

/* The function wl_initialisation_start copies the learned tensors from theta0 [phi.size] to theta,
 * and repeats the vectors of shared tensors. The function wl_initialisation_extract copies the
 * learned tensors from theta to theta0. */
void wl_initialisation_start(const wl_initialisation *init, const wl_real *theta0, wl_real *theta);
void wl_initialisation_extract(const wl_initialisation *init, const wl_real *theta,
                               wl_real *theta0);
/* Returns true if the tensor with the offset `offset` in the layout `phi` is learned with the
 * adjoint of theta_0. */
bool wl_initialisation_is_adjoint(const wl_initialisation *init, int64_t offset);
/* For the tensors that are learned with the adjoint of theta_0, adds `lam`, the adjoint of theta_0,
 * to `grad` [phi.size]. */
void wl_initialisation_adjoint(const wl_initialisation *init, const wl_real *lam, double *grad);
/* For the tensors that are learned from path steps, adds the gradient of one path step to `grad`
 * [phi.size]. */
void wl_initialisation_step(const wl_initialisation *init, const wl_path_step *step, double *grad);

#endif
