/* task.h - task families, which are distributions of training problems, and drawn tasks.
 *
 * A family is one file that defines a wl_task_family (name, options, summary, functions). families.def lists all
 * families. wl_task is a configured family. A wl_task is const after creation, and threads share it. wl_task_ws
 * contains the drawn task of one episode and the tape's buffers. All random values are pure functions of (seed, space,
 * episode, unit, step); see base/rng.h. */
#ifndef WL_TASK_TASK_H
#define WL_TASK_TASK_H

#include "base/options.h"
#include "base/plugin.h"
#include "base/rng.h"
#include "tensor/tape.h"

typedef struct wl_task wl_task;
typedef struct wl_task_ws wl_task_ws;

/* The identity of an episode, which determines its drawn task. */
typedef struct wl_episode {
  uint64_t seed;
  wl_space space;
  int64_t index; /* episode number */
  int64_t unit;  /* number of the unit */
} wl_episode;

static inline bool wl_same_episode(const wl_episode *a, const wl_episode *b) {
  return a->seed == b->seed && a->space == b->space && a->index == b->index && a->unit == b->unit;
}

typedef enum wl_split { WL_SPLIT_TRAIN, WL_SPLIT_HELDOUT } wl_split;

/* Identifies the data of a loss. Families without data ignore a wl_batch. Few-shot families use the support set for
 * WL_FOR_INNER_BATCH and the query set for WL_FOR_OUTER_BATCH. */
typedef struct wl_batch {
  wl_purpose purpose; /* WL_FOR_INNER_BATCH, WL_FOR_OUTER_BATCH, WL_FOR_EVAL_BATCH */
  wl_split split;
  int64_t step; /* inner step; for WL_FOR_EVAL_BATCH, number of the batch */
} wl_batch;

/* For tasks with two inner parameters and a warp layer. The parameters are drawn from [-half, half]^2. `image` is the
 * node omega(theta), (1,2), the output of the warp layer. half is 0 for other tasks. */
typedef struct wl_plane {
  double half;
  wl_node image;
} wl_plane;

struct wl_task {
  const struct wl_task_family *family;
  void *impl; /* the family's constants; set by family->create and freed by family->destroy */
  wl_tape *tape;              /* built and finished by family->create; owned */
  int64_t n;                  /* number of inner parameters */
  size_t draw_bytes;          /* size of one drawn task's data in the workspace, set by family->create */
  double cost; /* cost of one gradient in FLOP if the tape does not compute the loss; else 0 */
  double proportion;          /* proportion in a mixture */
  struct wl_augment *augment; /* the augmentations; NULL: none; owned */
  struct wl_warp *warp;       /* warp layers, added by family->create (NULL: none); owned */
  bool held_statistics;       /* batch norm uses the training split's statistics in evaluations */
  int64_t eval_batches; /* number of batches (WL_FOR_EVAL_BATCH) of the fixed sample, at least 1 */
  wl_plane plane;
};

typedef struct wl_task_family {
  const char *name, *summary;
  const wl_option *options;
  /* Reads options and data, builds and finishes task->tape, and sets n, draw_bytes and eval_batches. */
  wl_status (*create)(const wl_map *options, uint64_t seed, wl_task *task);
  void (*destroy)(wl_task *task); /* frees impl; the caller owns the other members */
  /* Draws the episode's task into `draw` (draw_bytes, zeroed by the caller); NULL: nothing to draw. */
  wl_status (*sample)(const wl_task *task, const wl_episode *episode, void *draw);
  /* Writes theta_0 [n], the initial parameters of an episode without a learned initialisation. */
  wl_status (*theta0)(const wl_task *task, const wl_episode *episode, wl_real *theta);
  /* Writes the tape's inputs for this batch. NULL: `bind` writes them. */
  void (*load)(const wl_task *task, const wl_episode *episode, const void *draw,
               const wl_batch *batch, wl_tape_ws *tape_ws);
  /* Writes the inputs that are the same for all batches of an episode. This function is called once for each episode,
   * and may be NULL. */
  void (*bind)(const wl_task *task, const wl_episode *episode, const void *draw,
               wl_tape_ws *tape_ws);
  /* Computes the loss and its gradient [n] (NULL: not computed). With this function, the tape has only the layout of
   * theta, and the family supports only first order. If the function is NULL, the tape computes loss and gradient. */
  double (*loss)(const wl_task *task, const wl_episode *episode, const wl_batch *batch, const wl_real *theta,
                 wl_real *gradient);
  /* Returns the first failure of `loss`; a loss that failed is NaN. NULL: `loss` cannot fail. */
  wl_status (*status)(const wl_task *task);
  /* Tasks have a support set and a query set. For WL_FOR_EVAL_BATCH, the held-out split is the query set. */
  bool few_shot;
} wl_task_family;

/* Sizes of the structs that a family in a plug-in shares with the program (base/plugin.h). */
#define WL_TASK_LAYOUT                                                                         \
  ((WL_SHARED_LAYOUT * 251 + (uint32_t)sizeof(wl_task_family)) * 251 * 251 +                   \
   (uint32_t)sizeof(wl_task) * 251 + (uint32_t)(sizeof(wl_episode) + sizeof(wl_batch)))
extern const struct wl_plugin_kind wl_task_plugins;

/* All families; the last entry is NULL. wl_task_variants returns the families as variants of the section `task`. */
extern const wl_task_family *const wl_task_families[];
const wl_variant *wl_task_variants(void);
/* Options of all families: proportion, statistics of batch norm, augmentations, warp layers. Ends with key NULL. */
extern const wl_option wl_task_common_options[];

/* Creates a task of the family that `options` names, and reads its data files. The caller frees *out with
 * wl_task_destroy. `options` is not used after the call. */
wl_status wl_task_create(const wl_map *options, uint64_t seed, wl_task **out);
/* wl_task_wants_warp returns true if the options contain warp layers. wl_task_create_unwarped creates the task without
 * warp layers, for rules that do not support them. */
bool wl_task_wants_warp(const wl_map *options);
wl_status wl_task_create_unwarped(const wl_map *options, uint64_t seed, wl_task **out);
void wl_task_destroy(wl_task **task);
static inline const wl_layout *wl_task_theta(const wl_task *task) {
  return wl_tape_theta_layout(task->tape);
}
/* Sets the initial values of the tape's phi leaves, which are the parameters of the warp layers. The values are a pure
 * function of the seed. */
void wl_task_phi0(const wl_task *task, uint64_t seed, wl_real *phi);
/* Returns true if the task's augmentations change theta_0. Augmentations never change a learned theta_0. */
bool wl_task_moves_start(const wl_task *task);
/* Returns the number of floating-point operations of one gradient. The number is used to distribute work over ranks. */
double wl_task_cost(const wl_task *task);

wl_status wl_task_ws_create(const wl_task *task, bool with_tangent, wl_task_ws **out);
void wl_task_ws_destroy(wl_task_ws **ws);
size_t wl_task_ws_bytes(const wl_task *task, bool with_tangent);

/* Returns the factor of the losses of the bound episode (`loss_scale`). */
double wl_task_loss_scale(const wl_task_ws *ws);

/* Draws the episode's task into the workspace, unless the workspace already contains this task. */
wl_status wl_task_bind(const wl_task *task, wl_task_ws *ws, const wl_episode *episode);
/* wl_task_ws_tape returns the tape's workspace, borrowed. wl_task_load writes a batch of the bound episode to its
 * inputs. Code that writes the data of a loss to a file calls these functions. */
wl_tape_ws *wl_task_ws_tape(wl_task_ws *ws);
void wl_task_load(const wl_task *task, wl_task_ws *ws, const wl_batch *batch);
/* Writes theta_0 [n] of the bound episode. The caller sets the padding. */
wl_status wl_task_theta0(const wl_task *task, const wl_task_ws *ws, wl_real *theta);

/* The point at which a loss or derivative is computed: a batch of the bound episode, theta and phi. */
typedef struct wl_task_point {
  const wl_batch *batch;
  const wl_real *theta, *phi; /* [n], [phi of the tape]; phi is NULL if the tape has none */
} wl_task_point;
/* Returns the first failure of a loss of this task. The value of a failed loss is NaN. Only losses that the tape does
 * not compute can fail. Call this function after losses were computed. */
wl_status wl_task_status(const wl_task *task);
/* Returns the loss at a point. Writes grad_theta [n] and grad_phi [tape's phi] unless they are NULL. Allocates no
 * memory. */
double wl_task_loss(const wl_task *task, wl_task_ws *ws, const wl_task_point *at,
                    wl_real *grad_theta, wl_real *grad_phi);
/* Computes the Hessian-vector product of the batch's loss at theta along (v, 0), v [n]: hv_theta = H v [n] and hv_phi =
 * (d grad_theta / d phi)^T v [tape's phi]. First runs the forward and reverse pass. Allocates no memory. */
void wl_task_hvp(const wl_task *task, wl_task_ws *ws, const wl_task_point *at, const wl_real *v,
                 wl_real *hv_theta, wl_real *hv_phi);
/* Computes omega(theta) [2] of the bound episode, for tasks with a plane. */
void wl_task_image(const wl_task *task, wl_task_ws *ws, const wl_real *theta, const wl_real *phi,
                   wl_real *image);
/* Does the same as wl_task_hvp, but does not repeat the forward and reverse pass. The point must be the point of the
 * last wl_task_hvp or of the last wl_task_loss with a gradient in this workspace. theta and phi must have the same
 * values as in that call; their addresses may differ. */
void wl_task_hvp_here(const wl_task *task, wl_task_ws *ws, const wl_task_point *at,
                      const wl_real *v, wl_real *hv_theta, wl_real *hv_phi);
/* Returns the mean loss over the fixed evaluation sample of a split. *accuracy receives the accuracy on this sample,
 * unless `accuracy` is NULL. Batch norm uses the statistics of each batch. With held_statistics, it uses the statistics
 * of the training split's sample at theta. */
double wl_task_evaluate(const wl_task *task, wl_task_ws *ws, wl_split split, const wl_real *theta,
                        const wl_real *phi, double *accuracy);

#endif
