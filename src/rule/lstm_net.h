/* lstm_net.h - declares the shape of a coordinatewise LSTM, and the functions of an LSTM kernel.
 *
 * The file lstm.c creates a wl_lstm_net from options and distributes blocks of coordinates over
 * threads. On each thread, a kernel computes consecutive blocks. The file lstm_kernel.c is compiled
 * to one kernel for each instruction set. The tests compare the kernels with a simple
 * implementation of the LSTM. */
#ifndef WL_RULE_LSTM_NET_H
#define WL_RULE_LSTM_NET_H

#include <stddef.h>

#include "rule/rule.h"

enum { WL_LSTM_MAX_LAYERS = 4, WL_LSTM_MAX_HIDDEN = 256 };

/* Number of blocks in a group. The weight gradients in a group are summed in the type wl_real, and
 * the sums of the groups are added in double precision. If this number changes, the last bits of
 * every meta-gradient change. */
enum { WL_LSTM_GROUP = 8 };

/* The kinds of preprocessing of the gradient. The LSTM kernels do not support WL_LSTM_ADAM, which
 * rnnprop.c implements. */
typedef enum wl_lstm_input { WL_LSTM_RAW, WL_LSTM_LOG, WL_LSTM_PAPER, WL_LSTM_ADAM } wl_lstm_input;

typedef struct wl_lstm_layer {
  int64_t in, hidden; /* in: number of inputs from the previous layer; hidden: number of units */
  /* offsets in phi of the weight (4 * hidden, in + hidden) and of the bias (4 * hidden) */
  int64_t weight, bias;
  /* first rows of h and c in the state of a block; h and c have `hidden` rows each */
  int64_t h, c;
} wl_lstm_layer;

typedef struct wl_lstm_net {
  int layers;
  wl_lstm_layer layer[WL_LSTM_MAX_LAYERS];
  int64_t heads; /* number of outputs: 2 if the rule has momentum, otherwise 1 */
  /* offsets in phi of the outputs' weights (heads, hidden of the last layer) and biases (heads) */
  int64_t head_weight, head_bias;
  int64_t parameters; /* number of meta-parameters in phi */
  /* number of rows in the state of a block: h and c of each unit, and the running sum if there
   * is momentum */
  int64_t width;
  int64_t sum; /* index of the last row, which contains the running sum if there is momentum */
  wl_lstm_input input;
  int64_t channels; /* number of inputs that are computed from one gradient: 1 or 2 */
  /* momentum and rate of the Nesterov step; if the momentum is 0, there is no Nesterov step */
  wl_real momentum, rate;
  /* true: the adjoint of g includes the dependence of the LSTM's inputs on g */
  bool through_inputs;
  /* the number k of the preprocessing WL_LSTM_LOG, or the number p of the preprocessing
   * WL_LSTM_PAPER */
  wl_real strength;
  wl_real strength_exp; /* e^strength */
  wl_real gradient_scale, output_scale, forget_bias;
} wl_lstm_net;

/* Sets the layers, offsets and sizes of *net. `layers` is 1 to WL_LSTM_MAX_LAYERS, and hidden
 * [layers] contains the number of units of each layer. If `momentum` is 0, the LSTM has no Nesterov
 * step. */
void wl_lstm_net_shape(wl_lstm_net *net, wl_lstm_input input, double momentum, int layers,
                       const int64_t *hidden);
/* Sets the scales of *net, after wl_lstm_net_shape has set the shape. If `strength` is 0, the
 * function uses the published values, k = 5 or p = 10. */
void wl_lstm_net_scales(wl_lstm_net *net, double strength, double gradient_scale,
                        double output_scale, double forget_bias);

/* The number eps that WL_LSTM_LOG adds to a magnitude before it computes the logarithm. The number
 * eps is the machine epsilon of float32 also in the float64 build, so that both builds compute the
 * same function. */
#define WL_LSTM_LOG_EPSILON 1.1920928955078125e-7

/* The arguments of one forward step of `blocks` blocks. Each pointer is the address of the first
 * block's values. The arrays s_in and s_out may be the same. */
typedef struct wl_lstm_step {
  int64_t blocks;
  const wl_real *g, *s_in;
  wl_real *s_out, *u;
  /* [blocks][activation_reals] activations; NULL: the step does not store its activations, and
   * the adjoint computes the step again */
  wl_real *activations;
  /* true: the activations do not fit in the caches, so their stores bypass the caches */
  bool past_caches;
} wl_lstm_step;

typedef struct wl_lstm_kernel {
  const char *name; /* name of the instruction set */
  /* The function packed_bytes returns the number of bytes of the packed weights, which all threads
   * share. The function scratch_bytes returns the number of bytes of scratch memory for one
   * thread. */
  size_t (*packed_bytes)(const wl_lstm_net *net);
  size_t (*scratch_bytes)(const wl_lstm_net *net);
  /* Returns the number of wl_real elements that a step stores for a block. */
  int64_t (*activation_reals)(const wl_lstm_net *net);
  void (*pack)(const wl_lstm_net *net, const wl_real *phi, void *packed);
  void (*step)(const wl_lstm_net *net, const void *packed, void *scratch, const wl_lstm_step *live);
  /* Computes the adjoint of `count` blocks of a chunk, from the block `first` onwards. `count` is
   * at most WL_LSTM_GROUP. Writes the weight gradient of the `count` blocks to partial
   * [parameters], in the order of phi. The running sum depends only on gradients. The function
   * therefore computes the adjoint of the running sum, a row of chunk->mu, only if chunk->gbar is
   * not NULL. */
  void (*backward)(const wl_lstm_net *net, const void *packed, void *scratch,
                   const wl_rule_chunk *chunk, int64_t first, int64_t count, wl_real *partial);
} wl_lstm_kernel;

/* Returns the kernel for the instruction set of this processor. The environment variable
 * WARPLOOM_ISA can select an instruction set with shorter vectors; its values are avx512, avx2 and
 * baseline. */
const wl_lstm_kernel *wl_lstm_kernel_select(void);

#endif
