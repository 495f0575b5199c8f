/* rnnprop_kernel.h - an LSTM that reads normalised gradients and momenta, for blocks of 16 coordinates, compiled for
 * each instruction set. Formulas: rnnprop.c. */
#ifndef WL_RULE_RNNPROP_KERNEL_H
#define WL_RULE_RNNPROP_KERNEL_H

#include "rule/rule.h"

enum { WL_RNNPROP_MOST_LAYERS = 4, WL_RNNPROP_MOST_HIDDEN = 64 };

/* Sizes, and offsets of the parts in phi. */
typedef struct wl_rnnprop_net {
  wl_ints widths; /* value of the key `hidden`; borrowed while the rule is created */
  bool plain; /* true for `lstm` with preprocessing: adam: no dense layer, no tanh of the output */
  int layers, hidden[WL_RNNPROP_MOST_LAYERS]; /* the dense layer has hidden[0] units */
  int64_t in_weight, in_bias, weight[WL_RNNPROP_MOST_LAYERS], bias[WL_RNNPROP_MOST_LAYERS],
      out_weight, out_bias, parameters;
  int64_t width; /* number of reals of state of a coordinate: m, v, then h and c of each layer */
  int heads;     /* number of outputs: 2 if the Adam direction has a factor, otherwise 1 */
  double output_scale, rate; /* rate 0: there is no Adam direction */
} wl_rnnprop_net;

/* Returns the number of inputs of a layer from the layer below. */
static inline int wl_rnnprop_inputs(const wl_rnnprop_net *net, int layer) {
  return layer > 0 ? net->hidden[layer - 1] : net->plain ? 2 : net->hidden[0];
}

/* Bias corrections of a step. */
typedef struct wl_rnnprop_time {
  wl_real m, v;
} wl_rnnprop_time;

/* What a step of one block reads. */
typedef struct wl_rnnprop_input {
  const wl_rnnprop_net *net;
  const wl_real *phi;
  wl_rnnprop_time time;
  const wl_real *g, *state; /* [16], [width][16] */
} wl_rnnprop_input;

/* Adjoints of a step of one block. */
typedef struct wl_rnnprop_bars {
  const wl_real *lam; /* [16] adjoint of u */
  wl_real *mu;        /* [width][16] adjoint of the new state on entry, of the old state on return */
  wl_real *gbar;      /* [16] out: adjoint of g */
  wl_real *phi_bar;   /* [parameters][16] the kernel adds the adjoint of phi for each lane to this array */
} wl_rnnprop_bars;

typedef struct wl_rnnprop_kernel {
  /* Computes the new state [width][16], which may be the same array as in->state, and the update u [16]. */
  void (*step)(const wl_rnnprop_input *in, wl_real *state, wl_real *u);
  void (*backward)(const wl_rnnprop_input *in, const wl_rnnprop_bars *bars);
} wl_rnnprop_kernel;

/* Returns the table for this processor. */
const wl_rnnprop_kernel *wl_rnnprop_kernel_select(void);

#endif
