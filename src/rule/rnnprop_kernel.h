/* rnnprop_kernel.h - an LSTM on normalised gradients and momenta, on blocks of 16 coordinates, for each instruction set;
 * formulas in rnnprop.c. */
#ifndef WL_RULE_RNNPROP_KERNEL_H
#define WL_RULE_RNNPROP_KERNEL_H

#include "rule/rule.h"

enum { WL_RNNPROP_MOST_LAYERS = 4, WL_RNNPROP_MOST_HIDDEN = 64 };

/* Sizes, and offsets of the parts in phi. */
typedef struct wl_rnnprop_net {
  wl_ints widths; /* `hidden` as configured; borrowed while the rule is created */
  bool plain; /* `lstm` with preprocessing: adam; no dense layer, and the output is not bounded by tanh */
  int layers, hidden[WL_RNNPROP_MOST_LAYERS]; /* the dense layer has hidden[0] units */
  int64_t in_weight, in_bias, weight[WL_RNNPROP_MOST_LAYERS], bias[WL_RNNPROP_MOST_LAYERS],
      out_weight, out_bias, parameters;
  int64_t width;             /* reals of state of a coordinate: m, v, then h and c of each layer */
  int heads;                 /* 2 where the Adam direction has a factor */
  double output_scale, rate; /* rate 0: no such direction */
} wl_rnnprop_net;

/* Inputs of a layer from below. */
static inline int wl_rnnprop_inputs(const wl_rnnprop_net *net, int layer) {
  return layer > 0 ? net->hidden[layer - 1] : net->plain ? 2 : net->hidden[0];
}

/* Bias corrections of a step. */
typedef struct wl_rnnprop_time {
  wl_real m, v;
} wl_rnnprop_time;

typedef struct wl_rnnprop_kernel {
  /* One step of one block: g, u [16], state [width][16], s_out may be s_in. */
  void (*step)(const wl_rnnprop_net *net, const wl_real *phi, wl_rnnprop_time time,
               const wl_real *g, const wl_real *s_in, wl_real *s_out, wl_real *u);
  /* Its adjoint: lam [16] of u; mu [width][16] in: of s_out, out: of s_in; gbar [16] out; adds to phi_bar, lanes
   * side by side: [parameters][16]. */
  void (*backward)(const wl_rnnprop_net *net, const wl_real *phi, wl_rnnprop_time time,
                   const wl_real *g, const wl_real *s_in, const wl_real *lam, wl_real *mu,
                   wl_real *gbar, wl_real *phi_bar);
} wl_rnnprop_kernel;

/* The table for this processor. */
const wl_rnnprop_kernel *wl_rnnprop_kernel_select(void);

#endif
