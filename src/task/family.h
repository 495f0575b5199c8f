/* family.h - declares functions for task families: random streams of an episode, dense layers and
 * activations. The files of src/task and plug-ins use these functions. */
#ifndef WL_TASK_FAMILY_H
#define WL_TASK_FAMILY_H

#include "task/task.h"
#include "task/warp.h"

/* Returns the stream of an episode for one purpose. `step` is the inner step of a batch, or another
 * number that distinguishes arrays with the same purpose. */
static inline wl_stream wl_episode_stream(const wl_episode *episode, wl_purpose purpose,
                                          uint64_t step) {
  return (wl_stream){.seed = episode->seed,
                     .purpose = (uint32_t)purpose,
                     .space = (uint32_t)episode->space,
                     .index = (uint64_t)episode->index,
                     .task = (uint64_t)episode->unit,
                     .step = step};
}

/* The choices of the key `activation`, for an options table. */
#define WL_ACTIVATIONS "sigmoid|tanh|relu|elu|gelu"
typedef enum wl_activation {
  WL_ACTIVATION_SIGMOID,
  WL_ACTIVATION_TANH,
  WL_ACTIVATION_RELU,
  WL_ACTIVATION_ELU,
  WL_ACTIVATION_GELU
} wl_activation;
wl_node wl_net_activation(wl_tape *tape, wl_node x, wl_activation activation);
/* Normalisation of hidden layers. Batch norm uses the statistics of each unit or channel over the
 * batch. Layer norm uses the statistics of each sample, or of each pixel of an image. */
typedef enum wl_norm { WL_NORM_NONE, WL_NORM_BATCH, WL_NORM_LAYER } wl_norm;
/* The hidden layers of a perceptron. `widths` is valid only during the creation of the task. */
typedef struct wl_perceptron {
  wl_ints widths;
  wl_activation activation;
  wl_norm norm;
} wl_perceptron;
/* Expands to the rows that declare the keys of the hidden layers in a family's options table.
 * `type` is the struct into which the family reads its keys. `member` is the member of this struct
 * that has the type wl_perceptron. */
/* clang-format off */
#define WL_PERCEPTRON_OPTIONS(fallback, choice, type, member)                                     \
  {"widths", WL_OPT_INTS, fallback, NULL, 1, 1e6, "1", "Number of units of each hidden layer; [] for no layer.", \
   WL_SLOT(type, member.widths)},                                                                 \
  {"activation", WL_OPT_CHOICE, choice, WL_ACTIVATIONS, 0, 0, "1",                                \
   "Non-linear function after each hidden layer.", WL_SLOT(type, member.activation)},             \
  {"normalisation", WL_OPT_CHOICE, "none", "none|batch|layer", 0, 0, "1",                         \
   "Normalisation before each activation. "                                                       \
   "batch normalises each unit over the batch, and layer normalises each sample over its units.", \
   WL_SLOT(type, member.norm)}
/* clang-format on */
/* Returns norm(x) s + b, where x has the shape (B,n) or (B,C,H,W) and `channels` is n or C. The
 * parameters s and b have the shape [channels] and the names "<layer>.scale" and
 * "<layer>.shift". */
wl_node wl_net_normalise(wl_tape *tape, wl_node x, const char *layer, int64_t channels,
                         wl_norm norm);
/* Adds a dense layer and returns its output x W + b (B,out). The input x has the shape (B,in). The
 * parameters have the names "dense<number>.weight" (in,out) and "dense<number>.bias" (out). */
wl_node wl_net_dense(wl_tape *tape, wl_node x, int number, int64_t in, int64_t out);
/* Adds the hidden layers activation(norm(x W + b)) with the task's warp layers, and then the output
 * layer. The input x has the shape (B,in), and the result has the shape (B,out). */
wl_node wl_net_perceptron(wl_task *task, const wl_perceptron *hidden, wl_node x, int64_t in,
                          int64_t out);
/* Returns the number of inputs of each output (fan-in). The fan-in is `in` for a dense layer
 * (in,out), and in * k * k for a convolution (out,in,k,k). */
int64_t wl_net_fan_in(const wl_tensor_entry *weight);

#endif
