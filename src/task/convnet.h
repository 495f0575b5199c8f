/* convnet.h - builds the convolutional classifier of the families that train on images.
 *
 *   h_l = stages(conv(h_{l-1}, W_l) + b_l),  stages: normalise, activate and pool in a chosen order
 *   logits = dense layers on the last h, flattened or averaged over the image;  L = cross-entropy(logits, label)
 *
 * Shapes: h (B,C,H,W), W_l (out,in,k,k). A convolution has padding of k / 2 on each side, and pooling uses 2x2 windows.
 * Batch norm uses the statistics of the batch. In evaluations, it uses the statistics that `norm_statistics` selects.
 * Layer norm uses the statistics of each pixel's channels. Both norms have a scale, initially 1, and a shift, initially
 * 0. The order is norm-act-pool in Ioffe and Szegedy 2015, pool-norm-act in Warp-Grad, and act-pool-norm in
 * Andrychowicz et al. 2016. Private to src/task. */
#ifndef WL_TASK_CONVNET_H
#define WL_TASK_CONVNET_H

#include "task/family.h"
#include "task/initialiser.h"

/* A convolutional classifier: shapes of input and output, options, and nodes. */
typedef struct wl_convnet_shape {
  int64_t batch, channels, rows, columns, classes;
} wl_convnet_shape;

typedef struct wl_convnet {
  /* The configured options. Lists are borrowed while the task is created. */
  wl_ints filters, strides;
  int64_t kernel;
  enum { WL_NORM_ACT_POOL, WL_POOL_NORM_ACT, WL_ACT_POOL_NORM } order;
  enum { WL_POOL_MAX, WL_POOL_AVERAGE, WL_POOL_NONE } pooling;
  enum { WL_SEES_ALL, WL_SEES_MEAN } features;
  bool batch_norm, layer_norm;
  wl_perceptron dense;
  wl_initialiser initialiser;
  /* The nodes of the network. */
  wl_node x, labels; /* inputs: (B,channels,rows,columns), B labels */
} wl_convnet;

/* The rows of the network for the options table of a family. `filters_` and `order_` are default values. The family
 * reads its keys into the struct `type`. This struct has a member `member` of type wl_convnet. */
/* clang-format off */
#define WL_CONVNET_OPTIONS(filters_, order_, type, member)                                        \
  {"filters", WL_OPT_INTS, filters_, NULL, 1, 4096, "1", "Channels of each convolution.",         \
   WL_SLOT(type, member.filters)},                                                                \
  {"kernel", WL_OPT_INT, "3", NULL, 1, 15, "1", "Side of the kernels, odd.",                      \
   WL_SLOT(type, member.kernel)},                                                                 \
  {"order", WL_OPT_CHOICE, order_, "norm-act-pool|pool-norm-act|act-pool-norm", 0, 0, "1",        \
   "Order of normalisation, activation and 2x2 pooling after each convolution.",                  \
   WL_SLOT(type, member.order)},                                                                  \
  {"pooling", WL_OPT_CHOICE, "max", "max|average|none", 0, 0, "1",                                \
   "Pooling over 2x2 windows.", WL_SLOT(type, member.pooling)},                                   \
  {"strides", WL_OPT_INTS, "[1]", NULL, 1, 16, "pixels",                                          \
   "Stride of each convolution; the last number is also used for all later convolutions.",        \
   WL_SLOT(type, member.strides)},                                                                \
  {"features", WL_OPT_CHOICE, "all", "all|mean", 0, 0, "1",                                       \
   "Inputs of the dense layers: every pixel of the last convolution, or its mean over the image.", \
   WL_SLOT(type, member.features)},                                                               \
  {"batch_norm", WL_OPT_BOOL, "true", NULL, 0, 0, "1",                                            \
   "Use batch norm after convolutions, or after dense layers if `filters` is [].",                \
   WL_SLOT(type, member.batch_norm)},                                                             \
  {"layer_norm", WL_OPT_BOOL, "false", NULL, 0, 0, "1",                                           \
   "Use layer norm instead of batch norm, over the channels of each pixel and over each dense "   \
   "layer.",                                                                                      \
   WL_SLOT(type, member.layer_norm)},                                                             \
  {"widths", WL_OPT_INTS, "[]", NULL, 1, 1e6, "1",                                                \
   "Units of dense layers between the last convolution and the output.",                          \
   WL_SLOT(type, member.dense.widths)},                                                           \
  {"activation", WL_OPT_CHOICE, "relu", WL_ACTIVATIONS, 0, 0, "1",                                \
   "Non-linearity after each layer except the last.", WL_SLOT(type, member.dense.activation)},    \
  WL_INITIALISER_OPTIONS("he", type, member.initialiser)
/* clang-format on */

/* Builds and finishes task->tape from the keys that the caller has read, with the warp layers of the options. Sets
 * task->n. Returns WL_ERR_CONFIG if a kernel is even, or if no pixel remains after poolings and strides. */
wl_status wl_convnet_build(const wl_map *map, const wl_convnet_shape *shape, wl_task *task,
                           wl_convnet *net);
#endif
