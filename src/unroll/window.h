/* window.h - declares the engine. The engine runs windows of K consecutive inner steps, and computes
 * the meta-loss F of each window and the gradient of F. The forward pass is:
 *
 *   g_t = grad L_in(theta_t; phi);  g~_t = P(phi) g_t;  (u_t, s_{t+1}) = rule(g~_t, theta_t, s_t, t; phi)
 *   theta_{t+1} = theta_t + u_t;    F = sum_{k=0..K} w_k T(L_out(theta_k; phi))
 *
 * The backward pass computes lam, the adjoint of theta, and mu, the adjoint of s. The start values
 * are lam = w_K T'(L_K) grad L_out(theta_K) and mu = 0. Then, for k = K-1 .. 0:
 *
 *   (gbar, thetabar, mu, phibar) = rule^T(u: lam, s: mu);   gbar <- P^T gbar (+ dP term)
 *   lam <- lam + thetabar + w_k T'(L_k) grad L_out(theta_k) [+ H_k gbar]
 *   phi-gradient += phibar + w_k T'(L_k) dL_out/dphi [+ (d grad L_in/dphi)^T gbar]
 *
 * The terms in brackets are computed only in second order. If L_in(theta_k) is an input of the
 * rule, second order also uses the adjoint of this input. This adjoint times grad L_in is added to
 * lam, and this adjoint times dL_in/dphi is added to the phi-gradient.
 *
 * The engine uses neither MPI nor HDF5. */
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

/* wl_storage determines which values a window stores for its backward pass. The bits of the result
 * do not depend on the storage.
 *
 * - activations: the values that the rule's adjoint needs at each step. If the rule stores no
 *   activations, `recompute` is used instead.
 * - states: the rule's state before each step. The backward pass runs each step again from the
 *   state before the step. In first order, `recompute` is used instead of `states`.
 * - recompute: the gradients, and the state before every WL_CHUNK_STEPS-th step. The backward pass
 *   runs the rule's steps again.
 * - snapshots: theta and state at the start of each segment of the window. The backward pass runs
 *   whole segments again.
 * - auto: of the storages that need at most `memory` bytes, the one with the fastest backward
 *   pass. If there is no bound, activations or states are stored only if they need at most
 *   WL_WINDOW_UNASKED bytes. */
typedef enum wl_storage {
  WL_STORAGE_AUTO,
  WL_STORAGE_ACTIVATIONS,
  WL_STORAGE_STATES,
  WL_STORAGE_RECOMPUTE,
  WL_STORAGE_SNAPSHOTS
} wl_storage;
enum { WL_WINDOW_UNASKED = 256 << 20 };

/* Settings of a window, from the section `window` of the configuration. */
typedef struct wl_window_spec {
  /* the section `window`, whose keys error messages name; borrowed; may be NULL if `memory` is 0 */
  const wl_map *map;
  int64_t steps; /* the number K of inner steps in a full window */
  wl_weights weights;
  /* for WL_WEIGHTS_LAST: the last `earlier` + 1 losses of the window have the weight 1, and the
   * other losses have the weight 0 */
  int64_t earlier;
  const double *list;     /* for WL_WEIGHTS_LIST, the weights w_0 .. w_K [K+1], borrowed */
  wl_transform transform; /* the transform T of each outer loss */
  /* upper bound of the loss in the transform WL_LOSS_CLIPPED, which is T(L) = min(L, clip) */
  double clip;
  /* true if outer losses use separate minibatches; false if outer losses use the minibatches of the
   * inner losses */
  bool fresh;
  wl_split outer_split;
  bool second_order;
  /* settings of imitation, borrowed; only units that imitate use them; NULL if there is no
   * imitation */
  const wl_imitation *imitation;
  /* true for a replayed window. A replayed window adds nothing to the gradient of theta_0, because
   * the episode has already added its contribution to this gradient. */
  bool replayed;
  wl_storage storage;
  int64_t memory; /* largest number of bytes of traces and snapshots; 0 means no bound */
} wl_window_spec;

typedef struct wl_unroll_ws wl_unroll_ws;
/* Returns WL_ERR_CONFIG if spec->memory is too small for a window with a backward pass. */
wl_status wl_unroll_check_memory(const wl_model *model, const wl_task *task,
                                 const wl_window_spec *spec);
/* Creates a workspace for windows that train the parameters of `task` with `model`. `spec` contains
 * the settings of the windows. If `with_gradient` is false, windows have no backward pass, and only
 * the gradients of Leap and Reptile are available. Borrows model and task. The caller frees *out
 * with wl_unroll_ws_destroy. */
wl_status wl_unroll_ws_create(const wl_model *model, const wl_task *task,
                              const wl_window_spec *spec, bool with_gradient, int threads,
                              wl_unroll_ws **out);
void wl_unroll_ws_destroy(wl_unroll_ws **ws);
/* Returns the number of bytes that wl_unroll_ws_create allocates. The estimate of the memory that
 * is printed before a run uses this number. */
int64_t wl_unroll_ws_bytes(const wl_model *model, const wl_task *task, const wl_window_spec *spec,
                           bool with_gradient, int threads);
/* Copies phi [model->phi.size] to the workspace, in working precision and in the layout that the
 * kernels need. Call this function after every change of phi. */
void wl_unroll_set_phi(wl_unroll_ws *ws, const double *phi);
/* Sets the weights of imitation. A new workspace has the weights of meta-step 0. */
void wl_unroll_set_imitation(wl_unroll_ws *ws, const wl_imitation_weights *weights);
/* Returns the current weights of imitation, which the workspace owns. */
const wl_imitation_weights *wl_unroll_imitation(const wl_unroll_ws *ws);
/* To compute losses outside a window, a caller needs the workspace of the task and the parameters
 * of the warp layers. wl_unroll_task_ws returns a pointer to the workspace, and wl_unroll_warp
 * returns a pointer to the parameters. Both pointers belong to `ws`. The pointer to the parameters
 * is NULL if there are no warp layers. */
wl_task_ws *wl_unroll_task_ws(wl_unroll_ws *ws);
const wl_real *wl_unroll_warp(const wl_unroll_ws *ws);
/* Writes to `text` the name of the storage that windows of this task will use, for example
 * "activations" or "recompute in segments of 200 steps". */
void wl_unroll_describe_storage(const wl_model *model, const wl_task *task,
                                const wl_window_spec *spec, char *text, size_t size);

/* Type of a function that windows call at each inner step and at each chunk of the backward pass.
 * If the function returns true, the window ends immediately with WL_TRY_AGAIN, and the state of the
 * unit is undefined. */
typedef bool (*wl_interrupt)(void *context);
/* Windows of this workspace will call the function `asked` with the argument `context`. If `asked`
 * is NULL, windows call no function. */
void wl_unroll_set_interrupt(wl_unroll_ws *ws, wl_interrupt asked, void *context);

/* Starts an episode of the unit: draws the task, sets theta to theta_0 (learned or drawn), and sets
 * the state of the rule to zero. */
wl_status wl_unit_start(wl_unroll_ws *ws, wl_unit *unit, const wl_episode *episode);

/* The values of an inner step that observers receive. All arrays are padded to whole blocks and
 * borrowed. */
typedef struct wl_step_view {
  int64_t t;
  double loss; /* inner loss at theta_t */
  /* outer loss at theta_t; NaN if the outer loss was not evaluated, because it uses a separate
   * minibatch and has the weight 0 */
  double outer_loss;
  const wl_real *theta; /* theta_{t+1}; theta_t is theta - u up to rounding errors */
  const wl_real *g, *u; /* raw gradient at theta_t, and update u_t */
  const wl_real *state; /* the state s_{t+1} after the step */
} wl_step_view;

/* An observer of a window. Its function `step` is called after each inner step of the window.
 * Several observers form a linked list. */
typedef struct wl_observer {
  void (*step)(void *context, const wl_step_view *step);
  /* Called after the last step if all inner losses are finite. The pointer may be NULL. */
  void (*end)(void *context, wl_unroll_ws *ws, const wl_unit *unit);
  void *context;
  const struct wl_observer *next;
} wl_observer;

/* Optional outputs of a window. If a member is NULL, the window does not compute this output. */
typedef struct wl_window_options {
  /* [model->phi.size] vector to which the meta-gradient is added; NULL means that the window only
   * runs forward */
  double *phi_grad;
  double *losses; /* [steps + 1] receives the outer losses at theta_0 .. theta_K */
  /* [steps][WL_IMITATION_TERMS] receives the imitation terms of a unit that imitates. If this
   * member is set, the meta-loss of the result is F instead of F' (imitation.h). */
  double *imitation;
  const wl_observer *observers;
} wl_window_options;

typedef struct wl_window_result {
  double meta_loss;             /* the meta-loss F of the window */
  double first_loss, last_loss; /* outer losses at theta_0 and at theta_K of the window */
  /* mean of the outer losses that were evaluated in the window */
  double mean_loss;
  /* number of completed inner steps; smaller than the requested number if the run is not finite */
  int64_t steps;
  bool finite; /* true if losses, parameters and gradient are all finite */
} wl_window_result;

/* Runs `steps` <= K inner steps from the current theta, state and t of the unit, and advances the
 * unit. A workspace with a backward pass stores the trace of the steps. The terms of the
 * meta-gradient that need no backward pass are added to options->phi_grad. A non-finite run is not
 * an error: the function sets result->finite to false, and the caller must not use phi_grad. */
wl_status wl_window_forward(wl_unroll_ws *ws, wl_unit *unit, int64_t steps,
                            const wl_window_options *options, wl_window_result *result);
/* Runs the backward pass of the last window of the workspace. Adds to phi_grad the terms of the
 * meta-gradient that need a backward pass. */
wl_status wl_window_backward(wl_unroll_ws *ws, double *phi_grad);
/* Runs the forward pass of a window. If options->phi_grad is not NULL, also computes the gradients
 * of Leap and Reptile and runs the backward pass. */
wl_status wl_window_run(wl_unroll_ws *ws, wl_unit *unit, int64_t steps,
                        const wl_window_options *options, wl_window_result *result);
/* Returns the inner loss at the current theta of the unit, on the minibatch of the next inner
 * step. */
double wl_unroll_inner_loss(wl_unroll_ws *ws, const wl_unit *unit);

#endif
