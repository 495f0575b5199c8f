/* warp.h - warp layers: meta-parameters between the layers of a task's network.
 *
 *   h <- omega(h; phi)       phi is learned over all tasks and constant while a task adapts theta
 *
 * Warp layers change the task's loss surface. This preconditions gradient descent (Flennerhag et al. 2020). Linear warp
 * layers before the activation are the T-Nets of Lee and Choi 2018. The option `warp` is a list of stages. The stages
 * are applied in order after each layer that `warp_after` selects. A stage that does not fit a layer's shape is skipped
 * for this layer:
 *
 *   stage        h (B,n)                                h (B,C,H,W)                          initial value
 *   linear       h T, T (n,n)                                                                identity
 *   scale        h o s, s (n)                           s per channel (C)                    identity
 *   residual     h + tanh(h W1 + b1) W2 + b2            the same with 3x3 convolutions       W2, b2 = 0
 *   conv3x3                                             h * K, K (C,C,3,3)                   identity
 *   conv1x1                                             h * K, K (C,C,1,1)                   identity
 *   batch_norm   normalised by the batch's statistics, then o s + b                          s = 1, b = 0
 *   sigmoid, tanh, relu, elu                            elementwise
 *
 * o multiplies elements, and * is a convolution. The option `warp_loss` adds a learned term to the loss of a
 * regression's support set. The term depends on the last hidden layer h and the target y. The gradient of a point is
 * then no longer a multiple of the point's error. Sources of learned losses: Bechtle et al. 2021; Baik et al. 2021. The
 * term is
 *
 *   l(h, y) = tanh(h W1 + y v + b1) W2       W2 = 0 at the start
 *
 * The files of src/task and plug-ins use this header. */
#ifndef WL_TASK_WARP_H
#define WL_TASK_WARP_H

#include "base/options.h"
#include "tensor/tape.h"

typedef struct wl_warp wl_warp;

/* The position of a tensor in a network: before or after the activation of a layer. */
typedef enum wl_warp_side { WL_WARP_BEFORE, WL_WARP_AFTER, WL_WARP_ONLY } wl_warp_side;
typedef struct wl_warp_site {
  const char *layer; /* "dense1", "conv2" */
  wl_warp_side side; /* ONLY: there is no activation, and `warp_side` has no effect */
  bool output;       /* the last layer, which "all" does not select */
  int ndim;          /* 2: (B,n), 4: (B,C,H,W) */
  int64_t channels;  /* n or C */
} wl_warp_site;

/* Warp options of every family. Lists are borrowed while the task is created. */
typedef struct wl_warp_keys {
  wl_strings stages, after;
  wl_warp_side side;
  int64_t width, loss;
  double noise;
} wl_warp_keys;

/* A family reads these keys into the struct `type`. This struct has a member `member` of type wl_warp_keys. */
/* clang-format off */
#define WL_WARP_OPTIONS(type, member)                                                             \
  {"warp", WL_OPT_STRINGS, "none", NULL, 0, 0, "1",                                               \
   "Stages of the warp layers, in order: linear, scale, residual, conv3x3, conv1x1, batch_norm, " \
   "sigmoid, tanh, relu, elu. none: the network has no warp layers.", WL_SLOT(type, member.stages)}, \
  {"warp_after", WL_OPT_STRINGS, "all", NULL, 0, 0, "1",                                          \
   "Layers that are followed by a warp layer, e.g. [dense1, conv2]; all: every layer except the last.",\
   WL_SLOT(type, member.after)},                                                                  \
  {"warp_side", WL_OPT_CHOICE, "after", "before|after", 0, 0, "1",                                \
   "Position of the warp layer: before the layer's activation (as in T-Nets), or after the activation.",\
   WL_SLOT(type, member.side)},                                                                   \
  {"warp_width", WL_OPT_INT, "0", NULL, 0, 1e6, "1",                                              \
   "Hidden units or channels of `residual`; 0: the number of the layer before it.",               \
   WL_SLOT(type, member.width)},                                                                  \
  {"warp_loss", WL_OPT_INT, "0", NULL, 0, 1e6, "1",                                               \
   "Hidden units of a learned term of the support loss, for regression (sinusoid); 0: no term.",  \
   WL_SLOT(type, member.loss)},                                                                   \
  {"warp_noise", WL_OPT_REAL, "0", NULL, 0, 1e3, "1",                                             \
   "Standard deviation of the noise added to each initial warp parameter; 0: no noise.", WL_SLOT(type, member.noise)}
/* clang-format on */

/* Returns true if the options contain a stage or a learned loss. */
bool wl_warp_wanted(const wl_warp_keys *keys);
/* Creates the warp from `keys`, which were read from `options`. *out is NULL for `warp: none`. Returns WL_ERR_CONFIG
 * for an unknown stage. */
wl_status wl_warp_create(const wl_warp_keys *keys, const wl_map *options, wl_warp **out);
void wl_warp_destroy(wl_warp **warp);
/* Returns omega(h) if the options select a warp layer at `site`, otherwise h. `warp` may be NULL. */
wl_node wl_warp_insert(wl_warp *warp, wl_tape *tape, wl_node h, const wl_warp_site *site);
/* Returns the learned loss l(h, y) (B,1) of each row for targets y (B,1). h is the last hidden layer that was passed to
 * wl_warp_insert. Returns -1 if the options contain no learned loss. `warp` may be NULL. */
wl_node wl_warp_learned_loss(wl_warp *warp, wl_tape *tape, wl_node y);
/* Returns WL_ERR_CONFIG if a stage or a layer of the options was not used in the network. */
wl_status wl_warp_placed(const wl_warp *warp, const wl_map *options);
/* Sets the initial values of the tape's phi leaves. All of them belong to the warp. */
void wl_warp_init(const wl_warp *warp, const wl_layout *phi, uint64_t seed, wl_real *out);

#endif
