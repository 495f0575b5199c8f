/* network.c - the layers that several families put on their tapes.
 *
 *   dense       y = x W + b      x (B,in), W (in,out), b (out), y (B,out)
 *   activation  sigmoid, tanh, relu, elu, elementwise */
#include <stdio.h>
#include <string.h>

#include "task/family.h"

wl_node wl_net_activation(wl_tape *tape, wl_node x, const char *name) {
  static const struct {
    const char *name;
    wl_node (*apply)(wl_tape *, wl_node);
  } table[] = {
      {"sigmoid", wl_op_sigmoid}, {"tanh", wl_op_tanh}, {"relu", wl_op_relu}, {"elu", wl_op_elu}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(name, table[i].name) == 0) return table[i].apply(tape, x);
  return -1; /* the options table admits no other; the tape refuses a node -1 */
}

wl_node wl_net_dense(wl_tape *tape, wl_node x, int number, int64_t in, int64_t out) {
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "dense%d.weight", number);
  const wl_node weight = wl_tape_theta(tape, name, 2, (const int64_t[]){in, out});
  snprintf(name, sizeof name, "dense%d.bias", number);
  const wl_node bias = wl_tape_theta(tape, name, 1, &out);
  return wl_op_add_bias(tape, wl_op_matmul(tape, x, weight), bias);
}

wl_node wl_net_hidden(wl_task *task, wl_node x, int number, int64_t in, int64_t out,
                      const char *activation) {
  char layer[WL_NAME_SIZE];
  snprintf(layer, sizeof layer, "dense%d", number);
  wl_warp_site site = {.layer = layer, .side = WL_WARP_BEFORE, .ndim = 2, .channels = out};
  wl_node h = wl_net_dense(task->tape, x, number, in, out);
  h = wl_warp_insert(task->warp, task->tape, h, &site);
  h = wl_net_activation(task->tape, h, activation);
  site.side = WL_WARP_AFTER;
  return wl_warp_insert(task->warp, task->tape, h, &site);
}

wl_node wl_net_perceptron(wl_task *task, const wl_map *map, wl_node x, int64_t in, int64_t out) {
  int layers;
  const int64_t *widths = wl_map_ints(map, "widths", &layers);
  for (int i = 0; i < layers; i++) {
    x = wl_net_hidden(task, x, i + 1, in, widths[i], wl_map_string(map, "activation"));
    in = widths[i];
  }
  char layer[WL_NAME_SIZE];
  snprintf(layer, sizeof layer, "dense%d", layers + 1);
  const wl_warp_site site = {
      .layer = layer, .side = WL_WARP_ONLY, .output = true, .ndim = 2, .channels = out};
  return wl_warp_insert(task->warp, task->tape, wl_net_dense(task->tape, x, layers + 1, in, out),
                        &site);
}

wl_node wl_net_scaled_loss(wl_tape *tape, wl_node loss, double scale) {
  return scale == 1.0 ? loss : wl_op_scale(tape, loss, scale);
}

int64_t wl_net_fan_in(const wl_block *w) {
  return w->ndim == 2 ? w->shape[0] : w->shape[1] * w->shape[2] * w->shape[3];
}
