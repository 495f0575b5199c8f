/* window.h - the engine: runs K consecutive steps of an episode, and computes their meta-loss and its gradient.
 *
 *   g_t = grad L_in(theta_t; phi);  g~_t = P(phi) g_t;  (u_t, s_{t+1}) = rule(g~_t, theta_t, s_t, t; phi)
 *   theta_{t+1} = theta_t + u_t;    F = sum_{k=0..K} w_k T(L_out(theta_k; phi))
 *
 * The backward pass computes lam, the adjoint of theta, and mu, the adjoint of s. It starts with lam = w_K T'(L_K) grad
 * L_out(theta_K) and mu = 0. For k = K-1 .. 0:
 *
 *   (gbar, thetabar, mu, phibar) = rule^T(u: lam, s: mu);   gbar <- P^T gbar (+ dP term)
 *   lam <- lam + thetabar + w_k T'(L_k) grad L_out(theta_k) [+ H_k gbar]
 *   phi-gradient += phibar + w_k T'(L_k) dL_out/dphi [+ (d grad L_in/dphi)^T gbar]
 *
 * The terms in brackets are computed only in second order. If the rule reads L_in(theta_k), second order also uses the
 * adjoint of this input. Its product with grad L_in is added to lam. Its product with dL_in/dphi is added to the
 * phi-gradient.
 *
 * This module uses neither MPI nor HDF5. */
#ifndef WL_UNROLL_WINDOW_H
#define WL_UNROLL_WINDOW_H

#include "unroll/imitation.h"
#include "unroll/unit.h"

typedef enum wl_weights {
  WL_WEIGHTS_SUM,
  WL_WEIGHTS_MEAN,
  WL_WEIGHTS_LAST,
  WL_WEIGHTS_LIST
} wl_weights;
typedef enum wl_transform {
  WL_LOSS_PLAIN,
  WL_LOSS_LOG,
  WL_LOSS_LOG_RATIO,
  WL_LOSS_CLIPPED
} wl_transform;

/* The values that a window stores for its backward pass. The bits of the result do not depend on this choice.
 *
 *   activations  the values of each step that the rule's adjoint needs, if the rule stores such values
 *   states       in second order, the rule's state before each step, from which the step is run again; in first order,
 *                the same as recompute
 *   recompute    gradients, and the state every WL_CHUNK_STEPS steps; the rule's steps are run again
 *   snapshots    theta and state at the starts of a small number of segments; whole segments are run again
 *   auto         the fastest kind within `memory`; if there is no bound, activations or states only up to
 *                WL_WINDOW_UNASKED bytes */
typedef enum wl_storage {
  WL_STORAGE_AUTO,
  WL_STORAGE_ACTIVATIONS,
  WL_STORAGE_STATES,
  WL_STORAGE_RECOMPUTE,
  WL_STORAGE_SNAPSHOTS
} wl_storage;
enum { WL_WINDOW_UNASKED = 256 << 20 };

/* The settings of a window, from the section `window` of the configuration. */
typedef struct wl_window_spec {
  const wl_map *map; /* the section `window`, borrowed, because error messages name its keys; NULL if `memory` is 0 */
  int64_t steps;     /* K */
  wl_weights weights;
  int64_t earlier;        /* WL_WEIGHTS_LAST: number of losses before the last loss that also have weight */
  const double *list;     /* [K+1] for WL_WEIGHTS_LIST, borrowed; w_0 .. w_K */
  wl_transform transform; /* T */
  double clip;            /* WL_LOSS_CLIPPED: T(L) = min(L, clip) */
  bool fresh;             /* true: the outer loss uses separate minibatches; false: it uses the inner minibatches */
  wl_split outer_split;
  bool second_order;
  const wl_imitation *imitation; /* NULL if there is no imitation; borrowed; only units that imitate use this pointer */
  bool replayed; /* the window belongs to a stored trajectory, which the gradient of theta_0 has already used */
  wl_storage storage;
  int64_t memory; /* largest number of bytes of traces and snapshots; 0: no bound */
} wl_window_spec;

typedef struct wl_unroll_ws wl_unroll_ws;
/* Returns WL_ERR_CONFIG if spec->memory is too small for a window with a gradient. */
wl_status wl_unroll_check_memory(const wl_model *model, const wl_task *task,
                                 const wl_window_spec *spec);
/* Creates the workspace for windows of this model, task and settings. If `with_gradient` is false, windows only run
 * forward, and the only gradients are those of Leap and Reptile. Borrows model and task. The caller frees *out with
 * wl_unroll_ws_destroy. */
wl_status wl_unroll_ws_create(const wl_model *model, const wl_task *task,
                              const wl_window_spec *spec, bool with_gradient, int threads,
                              wl_unroll_ws **out);
void wl_unroll_ws_destroy(wl_unroll_ws **ws);
/* Returns the number of bytes that wl_unroll_ws_create will allocate, for the estimate printed before a run. */
int64_t wl_unroll_ws_bytes(const wl_model *model, const wl_task *task, const wl_window_spec *spec,
                           bool with_gradient, int threads);
/* Converts phi [model->phi.size] to working precision and packs it. Call this after every change of phi. */
void wl_unroll_set_phi(wl_unroll_ws *ws, const double *phi);
/* Sets the weights of imitation. Before the first call the workspace has the weights of meta-step 0. */
void wl_unroll_set_imitation(wl_unroll_ws *ws, const wl_imitation_weights *weights);
/* Returns the current weights of imitation. The workspace owns them. */
const wl_imitation_weights *wl_unroll_imitation(const wl_unroll_ws *ws);
/* These functions return buffers for losses that are computed outside a window: the task's workspace, and the part of
 * phi that belongs to the network (NULL if there is none). The buffers are borrowed. */
wl_task_ws *wl_unroll_task_ws(wl_unroll_ws *ws);
const wl_real *wl_unroll_warp(const wl_unroll_ws *ws);
/* Writes a description of the storage that windows of this task will use, for example "activations" or "recompute in
 * segments of 200 steps". */
void wl_unroll_describe_storage(const wl_model *model, const wl_task *task,
                                const wl_window_spec *spec, char *text, size_t size);

/* A function that is called at each inner step and at each chunk of a backward pass. If it returns true, the window
 * ends immediately with WL_TRY_AGAIN, and the state of the window's unit is undefined. */
typedef bool (*wl_interrupt)(void *context);
/* Sets the function `asked`, which is then called with `context`. NULL: no function is called. */
void wl_unroll_set_interrupt(wl_unroll_ws *ws, wl_interrupt asked, void *context);

/* Starts the episode: draws the task, sets theta_0 (learned or drawn), and sets the rule's state to zero. */
wl_status wl_unit_start(wl_unroll_ws *ws, wl_unit *unit, const wl_episode *episode);

/* The values of an inner step, for observers. All arrays are padded and borrowed. */
typedef struct wl_step_view {
  int64_t t;
  double loss;          /* inner loss at theta_t */
  double outer_loss;    /* NaN if it was not evaluated, because it is on a separate batch and has no weight */
  const wl_real *theta; /* theta_{t+1}; theta_t = theta - u up to rounding */
  const wl_real *g, *u; /* raw gradient at theta_t, update u_t */
  const wl_real *state; /* s_{t+1} */
} wl_step_view;

/* An observer of the steps of a window. Several observers form a linked list. */
typedef struct wl_observer {
  void (*step)(void *context, const wl_step_view *step);
  /* Called when theta_K is reached and all losses are finite. May be NULL. */
  void (*end)(void *context, wl_unroll_ws *ws, const wl_unit *unit);
  void *context;
  const struct wl_observer *next;
} wl_observer;

/* Optional outputs of a window. If all members are zero, there are no optional outputs. */
typedef struct wl_window_options {
  /* [model->phi.size] the meta-gradient is added to this vector; NULL: the window only runs forward */
  double *phi_grad;
  double *losses;   /* [steps + 1] outer losses */
  /* [steps][WL_IMITATION_TERMS] imitation terms of a unit that imitates; the meta-loss is then F, not F'
   * (imitation.h) */
  double *imitation;
  const wl_observer *observers;
} wl_window_options;

typedef struct wl_window_result {
  double meta_loss;             /* F */
  double first_loss, last_loss; /* L_out at theta_0 and theta_K of the window */
  double mean_loss;             /* mean of L_out(theta_k) over all k = 0 .. K at which L_out was evaluated */
  int64_t steps;                /* number of steps done: K, or fewer if the run is not finite */
  bool finite;                  /* losses, parameters and gradient are all finite */
} wl_window_result;

/* Runs `steps` <= K steps from the unit's (theta, s, t), and advances the unit. A workspace with a gradient stores the
 * trace of these steps. Terms of the meta-gradient that need no trace are added to options->phi_grad. A non-finite run
 * is not an error: result->finite is then false, and the caller must not use phi_grad. */
wl_status wl_window_forward(wl_unroll_ws *ws, wl_unit *unit, int64_t steps,
                            const wl_window_options *options, wl_window_result *result);
/* Adds the rest of the meta-gradient of the workspace's last window to phi_grad. */
wl_status wl_window_backward(wl_unroll_ws *ws, double *phi_grad);
/* Runs the forward pass. If options->phi_grad is set, also runs the backward pass and computes the gradients of Leap
 * and Reptile. */
wl_status wl_window_run(wl_unroll_ws *ws, wl_unit *unit, int64_t steps,
                        const wl_window_options *options, wl_window_result *result);
/* Returns the loss at the unit's theta on the minibatch of the unit's next inner step. */
double wl_unroll_inner_loss(wl_unroll_ws *ws, const wl_unit *unit);

#endif
