/* convnet.h - builds the convolutional classifier that several task families use.
 *
 * - Convolutional layer l is h_l = stages(conv(h_{l-1}, W_l) + b_l). The stages normalise, activate
 *   and pool in the order that the key `order` determines.
 * - Dense layers compute the logits from the last h, which is flattened or averaged over the image.
 * - The loss L is cross-entropy(logits, label).
 *
 * The shapes are h (B,C,H,W) and W_l (out,in,k,k), where B is the batch size and k is the side of
 * the kernel. A convolution pads the image by k / 2 pixels on each side. Pooling uses windows of
 * 2x2 pixels. Batch norm uses the statistics of the batch. In evaluations, batch norm uses the
 * statistics that the key `norm_statistics` selects. Layer norm uses the statistics over the
 * channels of each pixel. Batch norm and layer norm have a scale with the initial value 1 and a
 * shift with the initial value 0. Ioffe and Szegedy 2015 use the order norm-act-pool, Warp-Grad
 * uses pool-norm-act, and Andrychowicz et al. 2016 use act-pool-norm. Only files of src/task
 * include this header. */
#ifndef WL_TASK_CONVNET_H
#define WL_TASK_CONVNET_H

#include "task/family.h"
#include "task/initialiser.h"

/* The sizes of the input images and the number of classes. */
typedef struct wl_convnet_shape {
  int64_t batch, channels, rows, columns, classes;
} wl_convnet_shape;

typedef struct wl_convnet {
  /* The configured options. The lists are valid only during the creation of the task. */
  wl_ints filters, strides;
  int64_t kernel;
  enum { WL_NORM_ACT_POOL, WL_POOL_NORM_ACT, WL_ACT_POOL_NORM } order;
  enum { WL_POOL_MAX, WL_POOL_AVERAGE, WL_POOL_NONE } pooling;
  enum { WL_SEES_ALL, WL_SEES_MEAN } features;
  bool batch_norm, layer_norm;
  wl_perceptron dense;
  wl_initialiser initialiser;
  /* The input nodes of the network on the tape. */
  wl_node x, labels; /* images (B,channels,rows,columns) and labels (B) */
} wl_convnet;

/* Expands to the rows that declare the keys of the network in a family's options table. `filters_`
 * and `order_` are the default values of the keys `filters` and `order`. `type` is the struct into
 * which the family reads its keys. `member` is the member of this struct that has the type
 * wl_convnet. */
/* clang-format off */
#define WL_CONVNET_OPTIONS(filters_, order_, type, member)                                        \
  {"filters", WL_OPT_INTS, filters_, NULL, 1, 4096, "1", "Output channels of each convolution.",  \
   WL_SLOT(type, member.filters)},                                                                \
  {"kernel", WL_OPT_INT, "3", NULL, 1, 15, "1", "Side of the kernels in pixels. The number must be odd.", \
   WL_SLOT(type, member.kernel)},                                                                 \
  {"order", WL_OPT_CHOICE, order_, "norm-act-pool|pool-norm-act|act-pool-norm", 0, 0, "1",        \
   "Order of normalisation, activation and 2x2 pooling after each convolution.",                  \
   WL_SLOT(type, member.order)},                                                                  \
  {"pooling", WL_OPT_CHOICE, "max", "max|average|none", 0, 0, "1",                                \
   "Kind of pooling over windows of 2x2 pixels.", WL_SLOT(type, member.pooling)},                 \
  {"strides", WL_OPT_INTS, "[1]", NULL, 1, 16, "pixels",                                          \
   "Stride of each convolution; the last number is also used for all later convolutions.",        \
   WL_SLOT(type, member.strides)},                                                                \
  {"features", WL_OPT_CHOICE, "all", "all|mean", 0, 0, "1",                                       \
   "Inputs of the dense layers: all pixels after the last convolution, or the mean of each channel.", \
   WL_SLOT(type, member.features)},                                                               \
  {"batch_norm", WL_OPT_BOOL, "true", NULL, 0, 0, "1",                                            \
   "Use batch norm after convolutions, or after dense layers if `filters` is [].",                \
   WL_SLOT(type, member.batch_norm)},                                                             \
  {"layer_norm", WL_OPT_BOOL, "false", NULL, 0, 0, "1",                                           \
   "Use layer norm instead of batch norm. "                                                       \
   "Its statistics are over the channels of a pixel, or over the units of a dense layer.",        \
   WL_SLOT(type, member.layer_norm)},                                                             \
  {"widths", WL_OPT_INTS, "[]", NULL, 1, 1e6, "1",                                                \
   "Number of units of each dense layer between the last convolution and the output.",            \
   WL_SLOT(type, member.dense.widths)},                                                           \
  {"activation", WL_OPT_CHOICE, "relu", WL_ACTIVATIONS, 0, 0, "1",                                \
   "Non-linear function after each layer except the last.", WL_SLOT(type, member.dense.activation)}, \
  WL_INITIALISER_OPTIONS("he", type, member.initialiser)
/* clang-format on */

/* Builds and finishes task->tape from the keys in *net, which the caller has read. The network
 * contains the warp layers of the task. The function sets task->n. Returns WL_ERR_CONFIG if the
 * kernel size is even, if no pixel remains after the last pooling, or if `features: mean` is used
 * with images that are not square. */
wl_status wl_convnet_build(const wl_map *map, const wl_convnet_shape *shape, wl_task *task,
                           wl_convnet *net);
#endif
