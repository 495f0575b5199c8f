/* initialisation.h - learned initial parameters theta_0, and their gradients.
 *
 *   maml      the adjoint of theta_0 in the episode's first window (Finn et al. 2017)
 *   leap      the length of the path, step by step (Flennerhag et al. 2019):
 *             d_i = sqrt(||theta_{i+1} - theta_i||^2 + dL^2),  dL = L_{i+1} - L_i
 *             grad += ((theta_i - theta_{i+1}) - dL grad L_i) / d_i,  dL replaced by -|dL|
 *   reptile   theta_0 - theta_T (Nichol et al. 2018): grad += theta_i - theta_{i+1}
 *
 * Leap and Reptile need only the forward pass, and their sums run over all windows of an episode. The key `name` sets
 * the method of all tensors, except tensors in the list of another method. Leap measures the path of its own tensors
 * only. Tensors in the list `fresh` are drawn again for each episode. Tensors in the list `shared` start with the same
 * vector for each output (UNICORN-MAML, Ye and Chao 2022), whether they are learned or drawn. In phi, a shared weight
 * (in,out) has the shape (in), and a shared bias is one number. Its gradient is the sum over the outputs. */
#ifndef WL_UNROLL_INITIALISATION_H
#define WL_UNROLL_INITIALISATION_H

#include "base/layout.h"
#include "base/options.h"
#include "base/real.h"

typedef struct wl_initialisation wl_initialisation;

/* One inner step theta_i -> theta_{i+1}. The arrays cover all coordinates and are borrowed. */
typedef struct wl_path_step {
  const wl_real *g;       /* grad L_in(theta_i) */
  const wl_real *u;       /* theta_{i+1} - theta_i */
  double loss, next_loss; /* L_in at theta_i and at theta_{i+1}; next_loss is NaN unless `losses` is set */
} wl_path_step;

typedef struct wl_initialisation_ops wl_initialisation_ops;

/* A drawn tensor in which all outputs start with the same values. */
typedef struct wl_drawn_vector {
  /* `from`: first element in theta; `size`: number of inputs (1 for a bias); `copies`: number of outputs */
  int64_t from, size, copies;
} wl_drawn_vector;

struct wl_initialisation {
  wl_layout phi; /* "theta0.<tensor>" for each learned tensor, group "initialisation" */
  int64_t *from; /* [phi.count] index of the tensor's first element in theta */
  int64_t *
      /* [phi.count] number of elements of the tensor that start from one number; 1 unless the tensor is `shared` */
      copies;
  wl_drawn_vector *drawn; /* [n_drawn] */
  int n_drawn;
  const wl_initialisation_ops **method; /* [phi.count] how the tensor is learned */
  bool adjoint;                         /* at least one tensor is learned through the adjoint of theta_0 */
  bool path;                            /* at least one tensor is learned from the path */
  bool losses;                          /* a method needs next_loss of the path's steps */
  bool any_fresh;                       /* some tensors are not learned */
  bool loss_term;                       /* for Leap: dL is part of the length */
  bool stabilise;                       /* for Leap: dL is replaced by -|dL| */
};

/* The configuration's section `initialisation`. */
extern const wl_variant wl_initialisation_variants[];
/* Creates the initialisation. *out is NULL for the name "none". Returns WL_ERR_CONFIG if a list has a name that is not
 * a tensor of theta or is in another list, or if all tensors are fresh. Not collective. */
wl_status wl_initialisation_create(const wl_map *map, const wl_layout *theta,
                                   wl_initialisation **out);
void wl_initialisation_destroy(wl_initialisation **init);

/* These functions copy the learned tensors from theta0 [phi.size] to theta, and from theta to theta0. */
void wl_initialisation_start(const wl_initialisation *init, const wl_real *theta0, wl_real *theta);
void wl_initialisation_extract(const wl_initialisation *init, const wl_real *theta,
                               wl_real *theta0);
/* Returns true if the tensor at this offset in phi is learned through the adjoint of theta_0. */
bool wl_initialisation_is_adjoint(const wl_initialisation *init, int64_t offset);
/* Adds `lam`, the adjoint of theta_0, to grad [phi.size] for the tensors that are learned through the adjoint. */
void wl_initialisation_adjoint(const wl_initialisation *init, const wl_real *lam, double *grad);
/* Adds the term of one path step to `grad` [phi.size], for the tensors that are learned from the path. */
void wl_initialisation_step(const wl_initialisation *init, const wl_path_step *step, double *grad);

#endif
