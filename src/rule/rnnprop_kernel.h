/* rnnprop_kernel.h - declares the kernel of an LSTM that reads normalised gradients and momenta.
 * The kernel computes one block of 16 coordinates and is compiled for each instruction set. The
 * file rnnprop.c contains the formulas. */
#ifndef WL_RULE_RNNPROP_KERNEL_H
#define WL_RULE_RNNPROP_KERNEL_H

#include "rule/rule.h"

enum { WL_RNNPROP_MOST_LAYERS = 4, WL_RNNPROP_MOST_HIDDEN = 64 };

/* The sizes of the network, and the offsets of its tensors in phi. */
typedef struct wl_rnnprop_net {
  /* value of the key `hidden`; not owned by this struct, and valid only until the creation of the
   * rule has finished */
  wl_ints widths;
  /* true: the rule is `lstm` with `preprocessing: adam`, which has no dense layer and does not
   * apply tanh to the output */
  bool plain;
  /* hidden: number of units of each layer; the dense layer has hidden[0] units */
  int layers, hidden[WL_RNNPROP_MOST_LAYERS];
  int64_t in_weight, in_bias, weight[WL_RNNPROP_MOST_LAYERS], bias[WL_RNNPROP_MOST_LAYERS],
      out_weight, out_bias, parameters;
  /* number of wl_real elements in the state of one coordinate: m, v, and h and c of each layer */
  int64_t width;
  int heads; /* number of outputs: 2 if the rule has a step in Adam's direction, otherwise 1 */
  double output_scale, rate; /* if `rate` is 0, the rule has no step in Adam's direction */
} wl_rnnprop_net;

/* Returns the number of inputs that a layer reads from the previous layer. */
static inline int wl_rnnprop_inputs(const wl_rnnprop_net *net, int layer) {
  return layer > 0 ? net->hidden[layer - 1] : net->plain ? 2 : net->hidden[0];
}

/* The factors that correct the bias of m and v at one step. */
typedef struct wl_rnnprop_time {
  wl_real m, v;
} wl_rnnprop_time;

/* The inputs of one step of one block. */
typedef struct wl_rnnprop_input {
  const wl_rnnprop_net *net;
  const wl_real *phi;
  wl_rnnprop_time time;
  const wl_real *g, *state; /* g: [16] gradient; state: [width][16] state before the step */
} wl_rnnprop_input;

/* The adjoints of one step of one block. */
typedef struct wl_rnnprop_bars {
  const wl_real *lam; /* [16] adjoint of u */
  wl_real *mu;        /* [width][16] in: adjoint of the new state; out: adjoint of the old state */
  wl_real *gbar;      /* [16] out: adjoint of g */
  /* [parameters][16] the kernel adds each lane's contribution to the adjoint of phi to this
   * array */
  wl_real *phi_bar;
} wl_rnnprop_bars;

typedef struct wl_rnnprop_kernel {
  /* Computes the new state [width][16], which may be the same array as in->state, and the update
   * u [16]. */
  void (*step)(const wl_rnnprop_input *in, wl_real *state, wl_real *u);
  void (*backward)(const wl_rnnprop_input *in, const wl_rnnprop_bars *bars);
} wl_rnnprop_kernel;

/* Returns the kernel for the instruction set of this processor. */
const wl_rnnprop_kernel *wl_rnnprop_kernel_select(void);

#endif
