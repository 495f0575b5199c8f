/* family.h - functions for task families: random streams of an episode, dense layers, activations. The files of
 * src/task and plug-ins use these functions. */
#ifndef WL_TASK_FAMILY_H
#define WL_TASK_FAMILY_H

#include "task/task.h"
#include "task/warp.h"

/* Returns the stream of an episode for one purpose. `step` distinguishes batches or drawn arrays. */
static inline wl_stream wl_episode_stream(const wl_episode *episode, wl_purpose purpose,
                                          uint64_t step) {
  return (wl_stream){.seed = episode->seed,
                     .purpose = (uint32_t)purpose,
                     .space = (uint32_t)episode->space,
                     .index = (uint64_t)episode->index,
                     .task = (uint64_t)episode->unit,
                     .step = step};
}

/* The choices of the option `activation`, for the options table. */
#define WL_ACTIVATIONS "sigmoid|tanh|relu|elu|gelu"
typedef enum wl_activation {
  WL_ACTIVATION_SIGMOID,
  WL_ACTIVATION_TANH,
  WL_ACTIVATION_RELU,
  WL_ACTIVATION_ELU,
  WL_ACTIVATION_GELU
} wl_activation;
wl_node wl_net_activation(wl_tape *tape, wl_node x, wl_activation activation);
/* Normalisation of hidden layers, by the statistics of the batch or of each row (pixel). */
typedef enum wl_norm { WL_NORM_NONE, WL_NORM_BATCH, WL_NORM_LAYER } wl_norm;
/* Hidden layers of a perceptron. `widths` is borrowed while the task is created. */
typedef struct wl_perceptron {
  wl_ints widths;
  wl_activation activation;
  wl_norm norm;
} wl_perceptron;
/* The rows of the hidden layers for the options table of a family. The family reads its keys into the struct `type`.
 * This struct has a member `member` of type wl_perceptron. */
/* clang-format off */
#define WL_PERCEPTRON_OPTIONS(fallback, choice, type, member)                                     \
  {"widths", WL_OPT_INTS, fallback, NULL, 1, 1e6, "1", "Units of each hidden layer; []: no hidden layers.",\
   WL_SLOT(type, member.widths)},                                                                 \
  {"activation", WL_OPT_CHOICE, choice, WL_ACTIVATIONS, 0, 0, "1",                                \
   "Non-linearity of the hidden layers.", WL_SLOT(type, member.activation)},                      \
  {"normalisation", WL_OPT_CHOICE, "none", "none|batch|layer", 0, 0, "1",                         \
   "Normalisation before each activation: none, each unit over the batch, or each sample over its " \
   "units.",                                                                                      \
   WL_SLOT(type, member.norm)}
/* clang-format on */
/* Returns norm(x) s + b for x (B,n) or (B,C,H,W). `channels` is n or C. The parameters s and b have the names
 * "<layer>.scale" and "<layer>.shift" and the shape [channels]. */
wl_node wl_net_normalise(wl_tape *tape, wl_node x, const char *layer, int64_t channels,
                         wl_norm norm);
/* Adds dense layer number `number`: x (B,in) -> x W + b (B,out). The parameters in theta are "dense<number>.weight"
 * (in,out) and "dense<number>.bias" (out). */
wl_node wl_net_dense(wl_tape *tape, wl_node x, int number, int64_t in, int64_t out);
/* Adds hidden layers activation(norm(x W + b)) with the task's warp layers, and the output layer: x (B,in) ->
 * (B,out). */
wl_node wl_net_perceptron(wl_task *task, const wl_perceptron *hidden, wl_node x, int64_t in,
                          int64_t out);
/* Returns the fan-in of a weight: `in` for a dense layer (in,out), in k k for a convolution (out,in,k,k). */
int64_t wl_net_fan_in(const wl_tensor_entry *weight);

#endif
