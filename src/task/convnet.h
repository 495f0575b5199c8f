/* convnet.h - the convolutional classifier of the families that train on images.
 *
 *   h_l = stages(conv(h_{l-1}, W_l) + b_l),  stages: normalise, activate and pool in a chosen order
 *   logits = dense layers on the flattened last h;  L = cross-entropy(logits, label)
 *
 * h (B,C,H,W), W_l (out,in,k,k), SAME padding, pooling of 2x2 windows. Batch norm uses the
 * batch's own statistics (in evaluations those that `norm_statistics` says), with a scale (starts at 1) and
 * a shift (starts at 0). Orders: Ioffe and Szegedy 2015 norm-act-pool, Warp-Grad pool-norm-act,
 * Andrychowicz et al. 2016 act-pool-norm.
 * Private to src/task. */
#ifndef WL_TASK_CONVNET_H
#define WL_TASK_CONVNET_H

#include "task/family.h"

/* The network's options, for the options table of a family; `filters` and `order` are defaults. */
/* clang-format off */
#define WL_CONVNET_OPTIONS(filters, order)                                                         \
  {"filters", WL_OPT_INTS, filters, NULL, 1, 4096, "1", "Channels of each convolution."},          \
  {"kernel", WL_OPT_INT, "3", NULL, 1, 15, "1", "Side of the kernels, odd."},                      \
  {"order", WL_OPT_CHOICE, order, "norm-act-pool|pool-norm-act|act-pool-norm", 0, 0, "1",          \
   "What follows each convolution: batch norm, activation and 2x2 pooling in this order."},        \
  {"pooling", WL_OPT_CHOICE, "max", "max|average", 0, 0, "1", "What is taken of each 2x2 window."}, \
  {"batch_norm", WL_OPT_BOOL, "true", NULL, 0, 0, "1",                                             \
   "Normalise by the batch's own statistics."},                                                    \
  {"widths", WL_OPT_INTS, "[]", NULL, 1, 1e6, "1",                                                 \
   "Units of dense layers between the last convolution and the output."},                          \
  {"activation", WL_OPT_CHOICE, "relu", WL_ACTIVATIONS, 0, 0, "1",                                 \
   "Non-linearity after each layer but the last."},                                                \
  {"initialisation", WL_OPT_CHOICE, "he", "he|normal", 0, 0, "1",                                  \
   "Weights N(0, 2 / fan-in) and biases 0, or both N(0, initial_scale^2)."},                       \
  {"initial_scale", WL_OPT_REAL, "0.01", NULL, 0, 1e3, "1",                                        \
   "Standard deviation for `initialisation: normal`."}
/* clang-format on */

/* What goes in and comes out. */
typedef struct wl_convnet_shape {
  int64_t batch, channels, rows, columns, classes;
} wl_convnet_shape;

typedef struct wl_convnet {
  wl_node x, labels; /* inputs: (B,channels,rows,columns), B labels */
  bool he;           /* initialisation by fan-in, else N(0, initial_scale^2) */
  double initial_scale;
} wl_convnet;

/* Builds and finishes task->tape, with the warps of the options, and sets task->n. WL_ERR_CONFIG for an
 * even kernel and for more poolings than the image can be halved. */
wl_status wl_convnet_build(const wl_map *map, const wl_convnet_shape *shape, wl_task *task,
                           wl_convnet *net);
/* theta_0 of the episode. */
void wl_convnet_theta0(const wl_convnet *net, const wl_task *task, const wl_episode *episode,
                       wl_real *theta);

#endif
