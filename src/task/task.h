/* task.h - task families: distributions of training problems, and one drawn episode of one.
 *
 * A family is one file that fills a wl_task_family (name, options, summary, functions) and
 * is listed in families.def. wl_task is a configured family: const after creation, shared
 * by threads. wl_task_ws holds one drawn episode and the tape's buffers. What is drawn is a
 * pure function of (seed, space, episode, unit, step): see base/rng.h. */
#ifndef WL_TASK_TASK_H
#define WL_TASK_TASK_H

#include "base/options.h"
#include "base/rng.h"
#include "tensor/tape.h"

typedef struct wl_task wl_task;
typedef struct wl_task_ws wl_task_ws;

/* Which drawn task: the identity of an episode. */
typedef struct wl_episode {
  uint64_t seed;
  wl_space space;
  int64_t index; /* episode number */
  int64_t unit;  /* unit of work within it */
} wl_episode;

static inline bool wl_same_episode(const wl_episode *a, const wl_episode *b) {
  return a->seed == b->seed && a->space == b->space && a->index == b->index && a->unit == b->unit;
}

typedef enum wl_split { WL_SPLIT_TRAIN, WL_SPLIT_HELDOUT } wl_split;

/* Which data a loss is taken on. Families without data (quadratics: the drawn functions are
 * the data) ignore it. Few-shot families map WL_FOR_INNER_BATCH to the support set and
 * WL_FOR_OUTER_BATCH to the query set. */
typedef struct wl_batch {
  wl_purpose purpose; /* WL_FOR_INNER_BATCH, WL_FOR_OUTER_BATCH, WL_FOR_EVAL_BATCH */
  wl_split split;
  int64_t step; /* inner step; for WL_FOR_EVAL_BATCH the number of the batch */
} wl_batch;

/* What the functions of a family see. `impl` and `draw_bytes` are set by create. */
/* Two inner parameters, drawn from [-half, half]^2 and warped themselves: `image` is the node omega(theta),
 * (1,2). half 0: the task is not of this kind. */
typedef struct wl_plane {
  double half;
  wl_node image;
} wl_plane;

struct wl_task {
  const struct wl_task_family *family;
  void *impl;                 /* the family's own constants; freed by family->destroy */
  wl_tape *tape;              /* built by family->create, finished; owned */
  int64_t n;                  /* inner parameters */
  size_t draw_bytes;          /* size of one drawn task's data in the workspace */
  double proportion;          /* share in a mixture */
  struct wl_augment *augment; /* how episodes vary it; NULL: not at all; owned */
  struct wl_warp *warp;       /* warp layers, placed by family->create; NULL: none; owned */
  bool held_statistics;       /* evaluations normalise by the training split's statistics */
  int64_t eval_batches; /* batches of WL_FOR_EVAL_BATCH that make up the fixed sample (>= 1) */
  wl_plane plane;
};

typedef struct wl_task_family {
  const char *name, *summary;
  const wl_option *options;
  /* Reads options, loads data, builds and finishes task->tape, sets n, draw_bytes,
   * eval_batches. */
  wl_status (*create)(const wl_map *options, uint64_t seed, wl_task *task);
  void (*destroy)(wl_task *task); /* frees impl; the caller owns the rest */
  /* Draws the episode's task into `draw` (draw_bytes, zeroed); NULL: nothing to draw. */
  wl_status (*sample)(const wl_task *task, const wl_episode *episode, void *draw);
  /* theta_0, n elements (unlearned initialisation). */
  wl_status (*theta0)(const wl_task *task, const wl_episode *episode, wl_real *theta);
  /* Fills the tape's inputs for this batch. NULL: inputs are filled by `bind`. */
  void (*load)(const wl_task *task, const wl_episode *episode, const void *draw,
               const wl_batch *batch, wl_tape_ws *tape_ws);
  /* Called once per drawn episode, for inputs that all its batches share; may be NULL. */
  void (*bind)(const wl_task *task, const wl_episode *episode, const void *draw,
               wl_tape_ws *tape_ws);
  /* Tasks have a support set and a query set; the latter is what WL_FOR_EVAL_BATCH loads for the
   * held-out split. */
  bool few_shot;
} wl_task_family;

/* All families, ends with NULL; and the same as variants for the configuration's `task` section. */
extern const wl_task_family *const wl_task_families[];
const wl_variant *wl_task_variants(void);
/* Options that every family has beside its own: proportion, augmentations, warp layers. Ends with key NULL. */
extern const wl_option wl_task_common_options[];

/* Configures the family that the map's selector names. Data files are read here. */
wl_status wl_task_create(const wl_map *options, uint64_t seed, wl_task **out);
/* The same network without warp layers, for rules that know none. */
/* Whether the options ask for warp layers. */
bool wl_task_wants_warp(const wl_map *options);
wl_status wl_task_create_unwarped(const wl_map *options, uint64_t seed, wl_task **out);
void wl_task_destroy(wl_task **task);
static inline const wl_layout *wl_task_theta(const wl_task *task) {
  return wl_tape_theta_layout(task->tape);
}
/* Initial values of the tape's phi leaves, the warp layers' parameters: a pure function of the seed. */
void wl_task_phi0(const wl_task *task, uint64_t seed, wl_real *phi);
/* Whether episodes start from theta_0 changed by the task's augmentations, which a learned theta_0 is not. */
bool wl_task_moves_start(const wl_task *task);
/* FLOP of one gradient, for balancing. */
double wl_task_cost(const wl_task *task);

wl_status wl_task_ws_create(const wl_task *task, bool with_tangent, wl_task_ws **out);
void wl_task_ws_destroy(wl_task_ws **ws);
size_t wl_task_ws_bytes(const wl_task *task, bool with_tangent);

/* Factor on the losses of the bound episode (`loss_scale`). */
double wl_task_loss_scale(const wl_task_ws *ws);

/* Draws the episode into the workspace unless it already holds that episode. */
wl_status wl_task_bind(const wl_task *task, wl_task_ws *ws, const wl_episode *episode);
/* The tape's workspace with its inputs, and filling it with a batch of the bound episode: for
 * those who write out what a loss was taken on. Borrowed. */
wl_tape_ws *wl_task_ws_tape(wl_task_ws *ws);
void wl_task_load(const wl_task *task, wl_task_ws *ws, const wl_batch *batch);
/* theta_0 of the bound episode, n elements; padding is the caller's. */
wl_status wl_task_theta0(const wl_task *task, const wl_task_ws *ws, wl_real *theta);

/* Loss of a batch; grad_theta [n] and grad_phi [tape's phi] where not NULL. Allocates nothing. */
double wl_task_loss(const wl_task *task, wl_task_ws *ws, const wl_batch *batch,
                    const wl_real *theta, const wl_real *phi, wl_real *grad_theta,
                    wl_real *grad_phi);
/* Where a derivative is taken. */
typedef struct wl_task_point {
  const wl_batch *batch;
  const wl_real *theta, *phi; /* [n], [phi of the tape]; phi NULL: there is none */
} wl_task_point;
/* Hessian-vector product of the batch's loss at theta along (v, 0): hv_theta = H v [n],
 * hv_phi = (d grad_theta / d phi)^T v. Runs forward and reverse first. Allocates nothing. */
void wl_task_hvp(const wl_task *task, wl_task_ws *ws, const wl_task_point *at, const wl_real *v,
                 wl_real *hv_theta, wl_real *hv_phi);
/* omega(theta) [2] of the bound episode, for tasks with a plane. */
void wl_task_image(const wl_task *task, wl_task_ws *ws, const wl_real *theta, const wl_real *phi,
                   wl_real *image);
/* The same where the workspace's last wl_task_loss with a gradient, or wl_task_hvp, was taken: nothing
 * is run again. theta and phi hold what they held then, here or elsewhere. */
void wl_task_hvp_here(const wl_task *task, wl_task_ws *ws, const wl_task_point *at,
                      const wl_real *v, wl_real *hv_theta, wl_real *hv_phi);
/* Mean loss over the fixed evaluation sample of a split, and its accuracy (NULL: not wanted). Batch norm
 * takes each batch's own statistics, or those of the training split's sample at theta. */
double wl_task_evaluate(const wl_task *task, wl_task_ws *ws, wl_split split, const wl_real *theta,
                        const wl_real *phi, double *accuracy);

#endif
