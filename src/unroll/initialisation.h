/* initialisation.h - learned initial parameters theta_0, and their gradients.
 *
 *   maml      the adjoint of theta_0 in the episode's first window (Finn et al. 2017)
 *   leap      the length of the path, step by step (Flennerhag et al. 2019):
 *             d_i = sqrt(||theta_{i+1} - theta_i||^2 + dL^2),  dL = L_{i+1} - L_i
 *             grad += ((theta_i - theta_{i+1}) - dL grad L_i) / d_i,  dL taken as -|dL|
 *   reptile   theta_0 - theta_T (Nichol et al. 2018): grad += theta_i - theta_{i+1}
 *
 * Leap and Reptile need only the forward pass; their sums run over all windows of an episode. Each tensor has its own
 * method: `name`, unless a list names another. Leap measures the path of its tensors only. Tensors named `fresh` are
 * drawn again for each episode. Those named `shared` start with the same vector for each output (UNICORN-MAML, Ye and
 * Chao 2022), learned or drawn: a weight (in,out) is in phi (in), a bias one number, and the gradient of each is the
 * sum over the outputs. */
#ifndef WL_UNROLL_INITIALISATION_H
#define WL_UNROLL_INITIALISATION_H

#include "base/layout.h"
#include "base/options.h"
#include "base/real.h"

typedef struct wl_initialisation wl_initialisation;

/* One inner step theta_i -> theta_{i+1}. Arrays over all coordinates, borrowed. */
typedef struct wl_path_step {
  const wl_real *g;       /* grad L_in(theta_i) */
  const wl_real *u;       /* theta_{i+1} - theta_i */
  double loss, next_loss; /* L_in at theta_i and theta_{i+1}; next_loss NaN unless losses */
} wl_path_step;

typedef struct wl_initialisation_ops wl_initialisation_ops;

/* A drawn tensor whose outputs all start with the same values. */
typedef struct wl_drawn_vector {
  int64_t from, size, copies; /* where it begins in theta; inputs (1: a bias), outputs */
} wl_drawn_vector;

struct wl_initialisation {
  wl_layout phi; /* "theta0.<tensor>" of each learned tensor, group "initialisation" */
  int64_t *from; /* [phi.count] where the tensor begins in theta */
  int64_t *
      copies; /* [phi.count] elements of the tensor that start from one number; 1 unless `shared` */
  wl_drawn_vector *drawn; /* [n_drawn] */
  int n_drawn;
  const wl_initialisation_ops **method; /* [phi.count] how the tensor is learned */
  bool adjoint;                         /* some tensor is learned through the adjoint of theta_0 */
  bool path;                            /* some tensor is learned from the path */
  bool losses;                          /* ... and reads next_loss of its steps */
  bool any_fresh;                       /* some tensors are not learned */
  bool loss_term;                       /* leap: dL is part of the length */
  bool stabilise;                       /* leap: dL > 0 changes its sign */
};

/* The configuration's `initialisation` section. */
extern const wl_variant wl_initialisation_variants[];
/* *out is NULL for "none". WL_ERR_CONFIG when a list names no tensor of theta, or one that another
 * list has, or when all tensors are fresh. */
wl_status wl_initialisation_create(const wl_map *map, const wl_layout *theta,
                                   wl_initialisation **out);
void wl_initialisation_destroy(wl_initialisation **init);

/* Learned tensors of theta from theta0 [phi.size], and back. */
void wl_initialisation_start(const wl_initialisation *init, const wl_real *theta0, wl_real *theta);
void wl_initialisation_extract(const wl_initialisation *init, const wl_real *theta,
                               wl_real *theta0);
/* Whether the tensor at this offset in phi is learned through the adjoint of theta_0. */
bool wl_initialisation_is_adjoint(const wl_initialisation *init, int64_t offset);
/* grad [phi.size] += lam, the adjoint of theta_0, for the tensors that are learned by it. */
void wl_initialisation_adjoint(const wl_initialisation *init, const wl_real *lam, double *grad);
/* grad [phi.size] += one step's part of the gradient of the tensors that are learned from the path. */
void wl_initialisation_step(const wl_initialisation *init, const wl_path_step *step, double *grad);

#endif
