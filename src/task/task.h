/* task.h - declares task families, which are distributions of training problems, and the functions
 * that draw a task and compute its loss.
 *
 * A family is defined in one file, as a wl_task_family (name, options, summary, functions). The
 * file families.def lists all families. The type wl_task represents a configured family. A wl_task
 * does not change after its creation, and all threads share it. Each thread has a wl_task_ws, which
 * contains the drawn task of one episode and the buffers of the tape. All random values are pure
 * functions of the seed, the space (wl_space), the episode, the unit and the step (base/rng.h). */
#ifndef WL_TASK_TASK_H
#define WL_TASK_TASK_H

#include "base/options.h"
#include "base/plugin.h"
#include "base/rng.h"
#include "tensor/tape.h"

typedef struct wl_task wl_task;
typedef struct wl_task_ws wl_task_ws;

/* Identifies an episode and thereby the task that is drawn for the episode. */
typedef struct wl_episode {
  uint64_t seed;
  wl_space space;
  int64_t index; /* episode number */
  int64_t unit;  /* index of the unit */
} wl_episode;

static inline bool wl_same_episode(const wl_episode *a, const wl_episode *b) {
  return a->seed == b->seed && a->space == b->space && a->index == b->index && a->unit == b->unit;
}

typedef enum wl_split { WL_SPLIT_TRAIN, WL_SPLIT_HELDOUT } wl_split;

/* Identifies the data on which a loss is computed. Families that have no data ignore the batch.
 * Few-shot families use the support set for WL_FOR_INNER_BATCH and the query set for
 * WL_FOR_OUTER_BATCH. */
typedef struct wl_batch {
  wl_purpose purpose; /* one of WL_FOR_INNER_BATCH, WL_FOR_OUTER_BATCH and WL_FOR_EVAL_BATCH */
  wl_split split;
  /* index of the inner step, or index of the batch in the fixed sample for WL_FOR_EVAL_BATCH */
  int64_t step;
} wl_batch;

/* Describes a task that has two inner parameters and a warp layer, such as a task of the family
 * `mountain`. The initial parameters are drawn from [-half, half]^2. `image` is the output of the
 * warp layer omega(theta), of shape (1,2). For all other tasks, `half` is 0. */
typedef struct wl_plane {
  double half;
  wl_node image;
} wl_plane;

struct wl_task {
  const struct wl_task_family *family;
  void *impl; /* data of the family, which family->create allocates and family->destroy frees */
  wl_tape *tape; /* the network and its loss, built by family->create; the task owns the tape */
  int64_t n;                  /* number of inner parameters */
  size_t draw_bytes; /* number of bytes of a drawn task in the workspace, set by family->create */
  /* number of floating-point operations of one gradient if family->loss computes the loss, or 0
   * otherwise */
  double cost;
  double proportion;          /* relative frequency of this task if the configuration has several
                               * tasks */
  struct wl_augment *augment; /* the augmentations, owned by the task, or NULL if there are none */
  /* the warp layers that family->create adds, owned by the task, or NULL if there are none */
  struct wl_warp *warp;
  /* true: in evaluations, batch norm uses the statistics of the training split */
  bool held_statistics;
  int64_t eval_batches; /* number of batches in the fixed sample of an evaluation, at least 1 */
  wl_plane plane;
};

typedef struct wl_task_family {
  const char *name, *summary;
  const wl_option *options;
  /* Reads the options and the data of a task, and builds and finishes task->tape. Sets n,
   * draw_bytes and eval_batches of the task. */
  wl_status (*create)(const wl_map *options, uint64_t seed, wl_task *task);
  void (*destroy)(wl_task *task); /* Frees task->impl. The caller frees the other members of the
                                   * task. */
  /* Draws the task of an episode into `draw`, which has draw_bytes bytes that the caller has set to
   * zero. The pointer `sample` is NULL if a task has no drawn data. */
  wl_status (*sample)(const wl_task *task, const wl_episode *episode, void *draw);
  /* Writes the initial parameters theta_0 [n] of an episode. An episode starts from theta_0 unless
   * the initialisation is learned. */
  wl_status (*theta0)(const wl_task *task, const wl_episode *episode, wl_real *theta);
  /* Writes the data of a batch to the tape's inputs. The pointer `load` is NULL if `bind` writes
   * all inputs. */
  void (*load)(const wl_task *task, const wl_episode *episode, const void *draw,
               const wl_batch *batch, wl_tape_ws *tape_ws);
  /* Writes the inputs of the tape that are the same for all batches of an episode. This function is
   * called once for each episode. The pointer `bind` is NULL if there are no such inputs. */
  void (*bind)(const wl_task *task, const wl_episode *episode, const void *draw,
               wl_tape_ws *tape_ws);
  /* Returns the loss and writes its gradient [n] unless `gradient` is NULL. If a family has the
   * function `loss`, the tape has only the layout of theta, and only first order is supported. If
   * the pointer `loss` is NULL, the tape computes the loss and the gradient. */
  double (*loss)(const wl_task *task, const wl_episode *episode, const wl_batch *batch, const wl_real *theta,
                 wl_real *gradient);
  /* Returns WL_OK if no call of the function `loss` has failed, or the status of the first call
   * that failed. A call of `loss` that fails returns NaN. The pointer `status` is NULL if `loss`
   * cannot fail. */
  wl_status (*status)(const wl_task *task);
  /* true: the tasks of the family have a support set and a query set. In evaluations, the held-out
   * split is the query set. */
  bool few_shot;
} wl_task_family;

/* A number that depends on the sizes of the structs that a family in a plug-in shares with the
 * program (base/plugin.h). */
#define WL_TASK_LAYOUT                                                                         \
  ((WL_SHARED_LAYOUT * 251 + (uint32_t)sizeof(wl_task_family)) * 251 * 251 +                   \
   (uint32_t)sizeof(wl_task) * 251 + (uint32_t)(sizeof(wl_episode) + sizeof(wl_batch)))
extern const struct wl_plugin_kind wl_task_plugins;

/* wl_task_families contains all families and then NULL. wl_task_variants returns the families as
 * variants of the section `task`. */
extern const wl_task_family *const wl_task_families[];
const wl_variant *wl_task_variants(void);
/* The options that every family has: the relative frequency of the task, the statistics of batch
 * norm, the augmentations and the warp layers. The last row has the key NULL. */
extern const wl_option wl_task_common_options[];

/* Creates a task of the family that `options` names, and reads its data files. The caller frees
 * *out with wl_task_destroy. The task does not use `options` after this call. */
wl_status wl_task_create(const wl_map *options, uint64_t seed, wl_task **out);
/* The function wl_task_wants_warp returns true if the options contain warp layers. The function
 * wl_task_create_unwarped creates the task without warp layers, for rules that do not support warp
 * layers. */
bool wl_task_wants_warp(const wl_map *options);
wl_status wl_task_create_unwarped(const wl_map *options, uint64_t seed, wl_task **out);
void wl_task_destroy(wl_task **task);
static inline const wl_layout *wl_task_theta(const wl_task *task) {
  return wl_tape_theta_layout(task->tape);
}
/* Writes the initial values of the warp layers' parameters to `phi`. These initial values depend
 * only on the seed. */
void wl_task_phi0(const wl_task *task, uint64_t seed, wl_real *phi);
/* Returns true if the task's augmentations change the initial parameters theta_0. A learned
 * initialisation is never changed. */
bool wl_task_moves_start(const wl_task *task);
/* Returns the number of floating-point operations of one gradient. The number is used to distribute work over ranks. */
double wl_task_cost(const wl_task *task);

wl_status wl_task_ws_create(const wl_task *task, bool with_tangent, wl_task_ws **out);
void wl_task_ws_destroy(wl_task_ws **ws);
size_t wl_task_ws_bytes(const wl_task *task, bool with_tangent);

/* Returns the factor (`loss_scale`) by which the losses of the bound episode are multiplied. */
double wl_task_loss_scale(const wl_task_ws *ws);

/* Draws the task of an episode into the workspace. Does nothing if the workspace already contains
 * this task. */
wl_status wl_task_bind(const wl_task *task, wl_task_ws *ws, const wl_episode *episode);
/* wl_task_ws_tape returns the tape's workspace. `ws` owns this workspace. The function wl_task_load
 * writes a batch of the bound episode to the inputs of this tape. Other modules call these
 * functions when they need the data of a loss and not only its value. */
wl_tape_ws *wl_task_ws_tape(wl_task_ws *ws);
void wl_task_load(const wl_task *task, wl_task_ws *ws, const wl_batch *batch);
/* Writes the initial parameters theta_0 [n] of the bound episode. The caller sets the padding after
 * element n. */
wl_status wl_task_theta0(const wl_task *task, const wl_task_ws *ws, wl_real *theta);

/* The point at which a loss or derivative is computed: a batch of the bound episode, theta and phi. */
typedef struct wl_task_point {
  const wl_batch *batch;
  /* the inner parameters theta [n], and the tape's meta-parameters phi; `phi` is NULL if the tape
   * has no meta-parameters */
  const wl_real *theta, *phi;
} wl_task_point;
/* Returns WL_OK if no computation of a loss of this task has failed, or the status of the first
 * failure. Only family->loss can fail, and wl_task_loss then returns NaN. Call this function after
 * losses were computed, because wl_task_loss returns no status. */
wl_status wl_task_status(const wl_task *task);
/* Returns the loss at the point `at`. Writes the gradients grad_theta [n] and grad_phi, which has
 * one element for each meta-parameter of the tape. A gradient is not computed if its pointer is
 * NULL. The function allocates no memory. */
double wl_task_loss(const wl_task *task, wl_task_ws *ws, const wl_task_point *at,
                    wl_real *grad_theta, wl_real *grad_phi);
/* Computes Hessian-vector products of the loss at a point, along the direction v [n] of theta. The
 * results are hv_theta = H v [n], and hv_phi = (d grad_theta / d phi)^T v, which has one element
 * for each meta-parameter of the tape. The function first computes the loss and the gradient, and
 * allocates no memory. */
void wl_task_hvp(const wl_task *task, wl_task_ws *ws, const wl_task_point *at, const wl_real *v,
                 wl_real *hv_theta, wl_real *hv_phi);
/* Writes the two elements of omega(theta), for the bound episode, to `image`. The task must have a
 * wl_plane. */
void wl_task_image(const wl_task *task, wl_task_ws *ws, const wl_real *theta, const wl_real *phi,
                   wl_real *image);
/* Computes the same products as wl_task_hvp, but does not compute the loss and the gradient again.
 * The point must be that of the last call of wl_task_hvp in this workspace, or of the last call of
 * wl_task_loss with a gradient. The arrays theta and phi must have the same values as in that call,
 * but may have other addresses. */
void wl_task_hvp_here(const wl_task *task, wl_task_ws *ws, const wl_task_point *at,
                      const wl_real *v, wl_real *hv_theta, wl_real *hv_phi);
/* Returns the mean loss over the fixed evaluation sample of a split. *accuracy receives the
 * accuracy on this sample, unless `accuracy` is NULL. If task->held_statistics is false, batch norm
 * uses the statistics of each batch. If task->held_statistics is true, batch norm uses the
 * statistics of the training split's sample at theta. */
double wl_task_evaluate(const wl_task *task, wl_task_ws *ws, wl_split split, const wl_real *theta,
                        const wl_real *phi, double *accuracy);

#endif
