/* lstm.h - declares the update rule `lstm`, a coordinatewise LSTM (Andrychowicz et al. 2016). The
 * formulas of one coordinate are:
 *
 *   x_t = preprocess(gradient_scale g_t)
 *   [i, j, f, o] = W [x; h] + b
 *   c' = sigmoid(f + forget_bias) c + sigmoid(i) tanh(j);   h' = sigmoid(o) tanh(c')
 *   u_t = output_scale (w h'_last + b_out)
 *
 * The preprocessing computes one or two inputs x_t from the gradient g_t. The order of the gates i,
 * j, f and o is the order in DeepMind's code. If the key `momentum` is b > 0, the state also
 * contains a running sum V' = b V + g_t. The preprocessing then computes inputs from the gradient
 * and from the mean (1 - b) V'. A second output sets the rate of a Nesterov step for each
 * coordinate and step:
 *
 *   u_t = output_scale (w h'_last + b_out) - rate exp(w_2 h'_last + b_2) (g_t + b V')
 *
 * If the key `preprocessing` is `adam`, the LSTM has the inputs of RNNprop, and the second output
 * scales a step in Adam's direction (rnnprop.c).
 *
 * Each coordinate has a separate state. All coordinates use the same weights. */
#ifndef WL_RULE_LSTM_H
#define WL_RULE_LSTM_H

#include "rule/rule.h"

extern const wl_rule_ops wl_rule_lstm;

/* The values of the options of an LSTM with `preprocessing: adam`. The function wl_lstm_adam_create
 * (rnnprop.c) creates such a rule and sets rule->ops. */
typedef struct wl_lstm_adam_keys {
  wl_ints hidden;
  double output_scale, rate;
} wl_lstm_adam_keys;
wl_status wl_lstm_adam_create(const wl_map *options, const wl_lstm_adam_keys *keys, wl_rule *rule);

#endif
