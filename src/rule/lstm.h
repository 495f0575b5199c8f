/* lstm.h - the coordinatewise LSTM as an update rule (Andrychowicz et al. 2016).
 *
 *   x_t = preprocess(gradient_scale g_t)                          1 or 2 inputs per coordinate
 *   [i, j, f, o] = W [x; h] + b                                   gate order as DeepMind's code
 *   c' = sigmoid(f + forget_bias) c + sigmoid(i) tanh(j);   h' = sigmoid(o) tanh(c')
 *   u_t = output_scale (w h'_last + b_out)
 *
 * With momentum b the rule also has a running sum V' = b V + g_t. The LSTM's inputs are then the gradient and the mean
 * (1 - b) V', both preprocessed. For each coordinate and step, a second output sets the rate of a Nesterov step:
 *
 *   u_t = output_scale (w h'_last + b_out) - rate exp(w_2 h'_last + b_2) (g_t + b V')
 *
 * With `preprocessing: adam`, the LSTM has the inputs of RNNprop, and the second output scales the direction of Adam
 * (rnnprop.c).
 *
 * Each coordinate has a separate state. All coordinates use the same weights. */
#ifndef WL_RULE_LSTM_H
#define WL_RULE_LSTM_H

#include "rule/rule.h"

extern const wl_rule_ops wl_rule_lstm;

/* The keys of an LSTM with `preprocessing: adam`. wl_lstm_adam_create (rnnprop.c) creates the rule and sets its ops. */
typedef struct wl_lstm_adam_keys {
  wl_ints hidden;
  double output_scale, rate;
} wl_lstm_adam_keys;
wl_status wl_lstm_adam_create(const wl_map *options, const wl_lstm_adam_keys *keys, wl_rule *rule);

#endif
