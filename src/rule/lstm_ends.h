/* lstm_ends.h - computations before and after the layers of lstm_kernel.c, one vector at a time. Before the layers: the
 * inputs from the gradients. After the layers: the Nesterov step, which the second output scales. The file also has
 * their adjoints.
 *
 *   without momentum   x = P(a g)
 *   with momentum b    V' = b V + g,  x = P(a g), P(a (1 - b) V'),  direction g + b V'
 *
 * P is the preprocessing of lstm.h, and a is the gradient scale. Everything is static, as in vector.h. */
#ifndef WL_RULE_LSTM_ENDS_H
#define WL_RULE_LSTM_ENDS_H

#include "rule/lstm_net.h"
#include "rule/vector.h"

/* magnitude_of returns the magnitude of v. The next function returns a value with the sign of v and magnitude 1. */
INLINE vec magnitude_of(vec v) { return maximum(v, -v); }
INLINE vec sign_of(vec v) { return choose(v < splat(0), splat(-1), splat(1)); }

/* Computes the inputs x of one vector of gradients. The term v - v makes the inputs NaN if v is not finite. */
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

/* Computes the inputs x of one vector from its gradient, and with momentum also from the running sum. Stores the next
 * value of the running sum in sum_after. */
INLINE void read_gradient(const wl_lstm_net *net, vec g, const wl_real *sum, wl_real *sum_after,
                          wl_real *x) {
  preprocess(net, g, x);
  if (!(net->momentum > 0)) return;
  const vec next = net->momentum * load(sum) + g;
  store(sum_after, next);
  preprocess(net, next * (1 - net->momentum), x + net->channels * WL_LANES);
}

/* Computes the adjoint of read_gradient. With momentum, gbar contains the contribution of the Nesterov step on entry.
 * sum_bar is the adjoint of V' on entry and the adjoint of V on return. dx is read if net->through_inputs is set. */
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

/* Returns g + b V', the direction of nesterov.c. */
INLINE vec nesterov_direction(const wl_lstm_net *net, vec g, vec sum_after) {
  return g + net->momentum * sum_after;
}

#endif
