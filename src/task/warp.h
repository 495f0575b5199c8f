/* warp.h - adds warp layers to a task's network. The parameters of a warp layer are
 * meta-parameters.
 *
 *   h <- omega(h; phi)       phi is learned over many tasks and is constant during an inner run
 *
 * Warp layers change the loss as a function of theta, and thereby precondition gradient descent (Flennerhag et al.
 * 2020). Linear warp layers before the activation are called T-Nets (Lee and Choi 2018). The option `warp` is a list of
 * stages. The stages are applied in order after each layer that `warp_after` selects. A stage that does not fit a
 * layer's shape is skipped for this layer. The stages are:
 *
 * - linear: h T for rows h (B,n), where T (n,n) is initially the identity.
 * - scale: h o s, where s has one element for each of the n units or C channels and is initially 1.
 * - residual: h + tanh(h W1 + b1) W2 + b2, where W2 and b2 are initially 0. For images h (B,C,H,W), the products are
 *   3x3 convolutions.
 * - conv3x3: h * K for images, where K (C,C,3,3) is initially the identity.
 * - conv1x1: h * K for images, where K (C,C,1,1) is initially the identity.
 * - batch_norm: h is normalised by the statistics of the batch, multiplied by s and shifted by b. Initially s is 1
 *   and b is 0.
 * - sigmoid, tanh, relu and elu: the function is applied to each element.
 *
 * The operator o multiplies element by element, and the operator * is a convolution. The option
 * `warp_loss` adds a learned term to the loss of a regression's support set. The learned term
 * depends on the last hidden layer h and the target y. With the learned term, the gradient of the
 * loss of a data point need not be a multiple of the error at this point. Learned losses are
 * described in Bechtle et al. 2021 and Baik et al. 2021. The learned term is
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
  const char *layer; /* name of the layer, such as "dense1" or "conv2" */
  /* position before or after the activation; WL_WARP_ONLY if the layer has no activation, so that
   * `warp_side` has no effect */
  wl_warp_side side;
  bool output;       /* true: this is the last layer, which `warp_after: all` does not select */
  int ndim;          /* number of dimensions: 2 for the shape (B,n), and 4 for (B,C,H,W) */
  int64_t channels;  /* n or C */
} wl_warp_site;

/* The keys of the warp layers, which every family has. The lists are valid only during the creation
 * of the task. */
typedef struct wl_warp_keys {
  wl_strings stages, after;
  wl_warp_side side;
  int64_t width, loss;
  double noise;
} wl_warp_keys;

/* Expands to the rows that declare the keys of the warp layers in an options table. `type` is the
 * struct into which the keys are read. `member` is the member of this struct that has the type
 * wl_warp_keys. */
/* clang-format off */
#define WL_WARP_OPTIONS(type, member)                                                             \
  {"warp", WL_OPT_STRINGS, "none", NULL, 0, 0, "1",                                               \
   "List of the stages of a warp layer, or none. The stages are linear, scale, residual, conv3x3, conv1x1, " \
   "batch_norm, sigmoid, tanh, relu and elu.", WL_SLOT(type, member.stages)},                     \
  {"warp_after", WL_OPT_STRINGS, "all", NULL, 0, 0, "1",                                          \
   "Layers after which a warp layer is added, such as [dense1, conv2]. all: every layer except the last.", \
   WL_SLOT(type, member.after)},                                                                  \
  {"warp_side", WL_OPT_CHOICE, "after", "before|after", 0, 0, "1",                                \
   "Position of the warp layer: before the activation of the layer (as in T-Nets) or after the activation.", \
   WL_SLOT(type, member.side)},                                                                   \
  {"warp_width", WL_OPT_INT, "0", NULL, 0, 1e6, "1",                                              \
   "Number of hidden units or channels of `residual`. With 0, there are as many as in the preceding layer.", \
   WL_SLOT(type, member.width)},                                                                  \
  {"warp_loss", WL_OPT_INT, "0", NULL, 0, 1e6, "1",                                               \
   "Number of hidden units of a learned term in the loss of the support set. With 0, there is no such term.", \
   WL_SLOT(type, member.loss)},                                                                   \
  {"warp_noise", WL_OPT_REAL, "0", NULL, 0, 1e3, "1",                                             \
   "Standard deviation of the Gaussian noise on the initial parameters of warp layers.", WL_SLOT(type, member.noise)}
/* clang-format on */

/* Returns true if the options contain a stage or a learned loss. */
bool wl_warp_wanted(const wl_warp_keys *keys);
/* Creates a wl_warp from `keys`, which were read from `options`. *out is NULL if the keys contain
 * neither a stage nor a learned loss. Returns WL_ERR_CONFIG if a stage has an unknown name. */
wl_status wl_warp_create(const wl_warp_keys *keys, const wl_map *options, wl_warp **out);
void wl_warp_destroy(wl_warp **warp);
/* Returns omega(h) if the options select a warp layer at `site`. Returns h if the options select no
 * warp layer there. `warp` may be NULL. */
wl_node wl_warp_insert(wl_warp *warp, wl_tape *tape, wl_node h, const wl_warp_site *site);
/* Returns the learned loss l(h, y) of each row (B,1). The targets y have the shape (B,1). The input
 * h is the last hidden layer that was passed to wl_warp_insert. Returns -1 if the options contain
 * no learned loss. `warp` may be NULL. */
wl_node wl_warp_learned_loss(wl_warp *warp, wl_tape *tape, wl_node y);
/* Returns WL_ERR_CONFIG if the options contain a stage or a layer that the network did not use. The
 * message lists the layers of the network. */
wl_status wl_warp_placed(const wl_warp *warp, const wl_map *options);
/* Writes the initial values of all meta-parameters of the tape to `out`. All meta-parameters of the
 * tape belong to warp layers. */
void wl_warp_init(const wl_warp *warp, const wl_layout *phi, uint64_t seed, wl_real *out);

#endif
