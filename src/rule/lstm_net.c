/* lstm_net.c - computes the offsets of an LSTM's weights in phi, and the offsets of h and c in the
 * state of a block. */
#include "rule/lstm_net.h"

#include <math.h>

void wl_lstm_net_shape(wl_lstm_net *net, wl_lstm_input input, double momentum, int layers,
                       const int64_t *hidden) {
  const int64_t sums = momentum > 0;
  net->input = input;
  net->momentum = (wl_real)momentum;
  net->rate = 1;
  net->through_inputs = true;
  net->heads = 1 + sums;
  net->channels = input == WL_LSTM_RAW ? 1 : 2;
  net->layers = layers;
  net->parameters = net->width = 0;
  int64_t in = net->channels * (1 + sums);
  for (int i = 0; i < layers; i++) {
    const int64_t H = hidden[i], weight = net->parameters, h = net->width;
    const int64_t bias = weight + 4 * H * (in + H);
    net->layer[i] =
        (wl_lstm_layer){.in = in, .hidden = H, .weight = weight, .bias = bias, .h = h, .c = h + H};
    net->parameters = bias + 4 * H;
    net->width += 2 * H;
    in = H;
  }
  net->head_weight = net->parameters;
  net->head_bias = net->head_weight + net->heads * in;
  net->parameters = net->head_bias + net->heads;
  net->sum = net->width;
  net->width += sums;
}

void wl_lstm_net_scales(wl_lstm_net *net, double strength, double gradient_scale,
                        double output_scale, double forget_bias) {
  if (strength == 0) strength = net->input == WL_LSTM_PAPER ? 10 : 5;
  net->strength = (wl_real)strength;
  net->strength_exp = (wl_real)exp(strength);
  net->gradient_scale = (wl_real)gradient_scale;
  net->output_scale = (wl_real)output_scale;
  net->forget_bias = (wl_real)forget_bias;
}
