/* lstm_ends.h - computes the inputs of the LSTM from the gradients, and the direction of the
 * Nesterov step that the second output scales. The file also contains the adjoints of these
 * computations. The functions process one vector of coordinates at a time.
 *
 *   without momentum   x = P(a g)
 *   with momentum b    V' = b V + g,  x = P(a g), P(a (1 - b) V'),  direction g + b V'
 *
 * Here P is the preprocessing, and a is the gradient scale. All functions are static, because each
 * compilation of the kernel needs separate copies (vector.h). */
#ifndef WL_RULE_LSTM_ENDS_H
#define WL_RULE_LSTM_ENDS_H

#include "rule/lstm_net.h"
#include "rule/vector.h"

/* The function magnitude_of returns the magnitudes of the elements of v. The function sign_of
 * returns -1 for negative elements and 1 for other elements. */
INLINE vec magnitude_of(vec v) { return maximum(v, -v); }
INLINE vec sign_of(vec v) { return choose(v < splat(0), splat(-1), splat(1)); }

/* Computes the inputs x for one vector of gradients. If an element of v is not finite, the term v -
 * v sets the corresponding input to NaN. */
INLINE void preprocess(const wl_lstm_net *net, vec g, wl_real *x) {
  const vec v = g * net->gradient_scale, size = magnitude_of(v), grown = v * net->strength_exp;
  const wl_real per_k = 1 / net->strength;
  if (net->input == WL_LSTM_RAW) {
    store(x, v);
  } else if (net->input == WL_LSTM_LOG) {
    store(x, maximum(splat(-1), logarithm(size + (wl_real)WL_LSTM_LOG_EPSILON) * per_k) + (v - v));
    store(x + WL_LANES, maximum(splat(-1), minimum(splat(1), grown)));
  } else {
    const mask large = (mask)(size * net->strength_exp >= splat(1));
    store(x, choose(large, logarithm(size) * per_k, splat(-1)) + (v - v));
    store(x + WL_LANES, choose(large, sign_of(v), grown));
  }
}

/* Returns the adjoint of g from the adjoints of x. */
INLINE vec preprocess_adjoint(const wl_lstm_net *net, vec g, const wl_real *dx) {
  const vec v = g * net->gradient_scale, size = magnitude_of(v), zero = {0};
  const wl_real per_k = 1 / net->strength;
  if (net->input == WL_LSTM_RAW) return load(dx) * net->gradient_scale;
  const vec grown = load(dx + WL_LANES) * net->strength_exp;
  vec dv;
  if (net->input == WL_LSTM_LOG) {
    const vec shifted = size + (wl_real)WL_LSTM_LOG_EPSILON;
    const mask above = (mask)(logarithm(shifted) * per_k > splat(-1));
    const mask inside = (mask)(size * net->strength_exp < splat(1));
    dv = choose(above, load(dx) * sign_of(v) * per_k / shifted, zero) + choose(inside, grown, zero);
  } else {
    const mask large = (mask)(size * net->strength_exp >= splat(1));
    dv = choose(large, load(dx) * per_k / v, grown);
  }
  return dv * net->gradient_scale;
}

/* Computes the inputs x for one vector of coordinates. If the rule has momentum, the function also
 * updates the running sum, writes the new sum to sum_after, and computes inputs from the new
 * sum. */
INLINE void read_gradient(const wl_lstm_net *net, vec g, const wl_real *sum, wl_real *sum_after,
                          wl_real *x) {
  preprocess(net, g, x);
  if (!(net->momentum > 0)) return;
  const vec next = net->momentum * load(sum) + g;
  store(sum_after, next);
  preprocess(net, next * (1 - net->momentum), x + net->channels * WL_LANES);
}

/* Computes the adjoint of read_gradient and writes the adjoint of g to gbar. If the rule has
 * momentum, gbar must contain the contribution of the Nesterov step before the call. The function
 * then also replaces the adjoint of V' in sum_bar by the adjoint of V. The function reads dx, the
 * adjoint of the inputs, only if net->through_inputs is true. */
INLINE void read_gradient_adjoint(const wl_lstm_net *net, vec g, const wl_real *sum_after,
                                  const wl_real *dx, wl_real *sum_bar, wl_real *gbar) {
  vec d = {0};
  if (net->through_inputs) d = preprocess_adjoint(net, g, dx);
  if (net->momentum > 0) {
    vec next_bar = load(sum_bar);
    if (net->through_inputs) {
      const wl_real mean = 1 - net->momentum;
      next_bar +=
          preprocess_adjoint(net, load(sum_after) * mean, dx + net->channels * WL_LANES) * mean;
    }
    d += load(gbar) + next_bar;
    store(sum_bar, net->momentum * next_bar);
  }
  store(gbar, d);
}

/* Returns g + b V', the direction of Nesterov's step (nesterov.c). */
INLINE vec nesterov_direction(const wl_lstm_net *net, vec g, vec sum_after) {
  return g + net->momentum * sum_after;
}

#endif
