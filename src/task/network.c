/* network.c - adds layers to a tape. Several task families use these layers.
 *
 * - A dense layer computes y = x W + b with x (B,in), W (in,out), b (out) and y (B,out).
 * - A normalisation computes y = norm(x) s + b, where norm uses the statistics over the batch or over a row.
 * - An activation applies sigmoid, tanh, relu, elu or gelu to each element. */
#include <stdio.h>

#include "task/family.h"

wl_node wl_net_activation(wl_tape *tape, wl_node x, wl_activation activation) {
  static wl_node (*const apply[])(wl_tape *, wl_node) = {wl_op_sigmoid, wl_op_tanh, wl_op_relu,
                                                         wl_op_elu, wl_op_gelu};
  return apply[activation](tape, x);
}

wl_node wl_net_dense(wl_tape *tape, wl_node x, int number, int64_t in, int64_t out) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "dense%d.weight", number);
  const wl_node weight = wl_tape_theta(tape, name, 2, (const int64_t[]){in, out});
  snprintf(name, sizeof name, "dense%d.bias", number);
  const wl_node bias = wl_tape_theta(tape, name, 1, &out);
  return wl_op_add_bias(tape, wl_op_matmul(tape, x, weight), bias);
}

static wl_node layer_parameter(wl_tape *t, const char *layer, const char *part, int64_t size) {
  char name[2 * WL_NAME_SIZE];
  snprintf(name, sizeof name, "%s.%s", layer, part);
  return wl_tape_theta(t, name, 1, &size);
}

wl_node wl_net_normalise(wl_tape *t, wl_node x, const char *layer, int64_t channels, wl_norm norm) {
  if (norm == WL_NORM_NONE) return x;
  x = (norm == WL_NORM_LAYER ? wl_op_layer_norm : wl_op_batch_norm)(t, x, 1e-5);
  x = wl_op_mul_channel(t, x, layer_parameter(t, layer, "scale", channels));
  return wl_op_add_channel(t, x, layer_parameter(t, layer, "shift", channels));
}

/* Adds hidden dense layer `number`, counted from 1. */
static wl_node add_hidden(wl_task *task, const wl_perceptron *p, wl_node x, int number,
                          int64_t in) {
  const int64_t out = p->widths.at[number - 1];
  char layer[WL_NAME_SIZE], norm[WL_NAME_SIZE];
  snprintf(layer, sizeof layer, "dense%d", number);
  snprintf(norm, sizeof norm, "dense_norm%d", number);
  wl_warp_site site = {.layer = layer, .side = WL_WARP_BEFORE, .ndim = 2, .channels = out};
  wl_node y = wl_net_dense(task->tape, x, number, in, out);
  y = wl_net_normalise(task->tape, y, norm, out, p->norm);
  y = wl_warp_insert(task->warp, task->tape, y, &site);
  y = wl_net_activation(task->tape, y, p->activation);
  site.side = WL_WARP_AFTER;
  return wl_warp_insert(task->warp, task->tape, y, &site);
}

wl_node wl_net_perceptron(wl_task *task, const wl_perceptron *hidden, wl_node x, int64_t in,
                          int64_t out) {
  const int layers = hidden->widths.count;
  for (int i = 1; i <= layers; i++) {
    x = add_hidden(task, hidden, x, i, in);
    in = hidden->widths.at[i - 1];
  }
  char layer[WL_NAME_SIZE];
  snprintf(layer, sizeof layer, "dense%d", layers + 1);
  const wl_warp_site site = {
      .layer = layer, .side = WL_WARP_ONLY, .output = true, .ndim = 2, .channels = out};
  return wl_warp_insert(task->warp, task->tape, wl_net_dense(task->tape, x, layers + 1, in, out),
                        &site);
}

int64_t wl_net_fan_in(const wl_tensor_entry *w) {
  return w->ndim == 2 ? w->shape[0] : w->shape[1] * w->shape[2] * w->shape[3];
}
