/* lstm_net.h - the shape of a coordinatewise LSTM, and the functions of an LSTM kernel.
 *
 * lstm.c creates a wl_lstm_net from options and assigns blocks to threads. A kernel computes consecutive blocks on one
 * thread. lstm_kernel.c is compiled to one kernel for each instruction set. The tests compare these kernels with a
 * simple implementation. */
#ifndef WL_RULE_LSTM_NET_H
#define WL_RULE_LSTM_NET_H

#include <stddef.h>

#include "rule/rule.h"

enum { WL_LSTM_MAX_LAYERS = 4, WL_LSTM_MAX_HIDDEN = 256 };

/* Number of blocks in a group. The weight gradients of a group are summed in working precision and then added in
 * double. A change of this number changes the last bits of every meta-gradient. */
enum { WL_LSTM_GROUP = 8 };

/* These kernels do not support WL_LSTM_ADAM, which rnnprop.c implements. */
typedef enum wl_lstm_input { WL_LSTM_RAW, WL_LSTM_LOG, WL_LSTM_PAPER, WL_LSTM_ADAM } wl_lstm_input;

typedef struct wl_lstm_layer {
  int64_t in, hidden;   /* number of inputs from below, number of units */
  int64_t weight, bias; /* offsets in phi: (4 hidden, in + hidden), (4 hidden) */
  int64_t h, c;         /* first row in a block of state, each [hidden][16] */
} wl_lstm_layer;

typedef struct wl_lstm_net {
  int layers;
  wl_lstm_layer layer[WL_LSTM_MAX_LAYERS];
  int64_t heads;                  /* number of outputs: 1, or 2 with momentum */
  int64_t head_weight, head_bias; /* offsets in phi: (heads, hidden of the last layer), (heads) */
  int64_t parameters;             /* size of phi */
  int64_t width; /* rows of state: twice the sum of hidden, and 1 more with momentum */
  int64_t sum;   /* last row: the running sum, if there is momentum */
  wl_lstm_input input;
  int64_t channels;       /* number of inputs from one gradient: 1 or 2 */
  wl_real momentum, rate; /* of the Nesterov step; momentum 0: no Nesterov step */
  bool through_inputs;    /* true: adjoints of g include the path through the inputs */
  wl_real strength;       /* k of LOG, p of PAPER */
  wl_real strength_exp;   /* e^strength */
  wl_real gradient_scale, output_scale, forget_bias;
} wl_lstm_net;

/* Sets layers, offsets and sizes. 1 <= layers <= WL_LSTM_MAX_LAYERS; hidden [layers]; momentum 0 means no momentum. */
void wl_lstm_net_shape(wl_lstm_net *net, wl_lstm_input input, double momentum, int layers,
                       const int64_t *hidden);
/* Sets the scales. The shape must be set before. strength 0 selects the published values k = 5 or p = 10. */
void wl_lstm_net_scales(wl_lstm_net *net, double strength, double gradient_scale,
                        double output_scale, double forget_bias);

/* Smallest magnitude that the logarithm of WL_LSTM_LOG distinguishes from zero. The magnitude is the float32 epsilon in
 * both precisions, because both builds must compute the same function. */
#define WL_LSTM_LOG_EPSILON 1.1920928955078125e-7

/* The arguments of one forward step of `blocks` blocks. The pointers point to the first block. s_in may be s_out. */
typedef struct wl_lstm_step {
  int64_t blocks;
  const wl_real *g, *s_in;
  wl_real *s_out, *u;
  wl_real *activations; /* [blocks][activation_reals]; NULL: the adjoint repeats the step */
  bool past_caches;     /* the activations are larger than the caches */
} wl_lstm_step;

typedef struct wl_lstm_kernel {
  const char *name; /* name of the instruction set */
  /* These functions return the bytes of the packed weights, which all threads share, and the bytes of the scratch of
   * one thread. */
  size_t (*packed_bytes)(const wl_lstm_net *net);
  size_t (*scratch_bytes)(const wl_lstm_net *net);
  int64_t (*activation_reals)(
      const wl_lstm_net *net); /* number of reals that a step stores for a block */
  void (*pack)(const wl_lstm_net *net, const wl_real *phi, void *packed);
  void (*step)(const wl_lstm_net *net, const void *packed, void *scratch, const wl_lstm_step *live);
  /* Computes the adjoint of blocks [first, first + count) of a chunk, count <= WL_LSTM_GROUP. Writes the weight
   * gradient of these blocks to partial [parameters], in the order of phi. The running sum depends only on gradients.
   * The row of chunk->mu for the running sum is therefore computed only if gbar is not NULL. */
  void (*backward)(const wl_lstm_net *net, const void *packed, void *scratch,
                   const wl_rule_chunk *chunk, int64_t first, int64_t count, wl_real *partial);
} wl_lstm_kernel;

/* Returns the kernel for this processor. The environment variable WARPLOOM_ISA=avx512|avx2|baseline can select a
 * narrower instruction set. */
const wl_lstm_kernel *wl_lstm_kernel_select(void);

#endif
