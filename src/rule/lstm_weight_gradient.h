/* lstm_weight_gradient.h - computes the weight gradient dW from the slots, in which the sweep has
 * stored dz. The gradient dW is the sum of dz [h; x]^T over steps and lanes.
 *
 * A tile consists of the weights between GRAD_INPUTS inputs and the 4 gates of a unit. The sums of
 * a tile are in registers. Each lane of a vector has a separate sum. After the last step, the lanes
 * are added. All functions are static, because each compilation of the kernel needs separate copies
 * (vector.h). */
#ifndef WL_RULE_LSTM_WEIGHT_GRADIENT_H
#define WL_RULE_LSTM_WEIGHT_GRADIENT_H

#include <string.h>

#include "rule/lstm_shapes.h"

/* The slots of `blocks` blocks, each of which has `steps` steps. The first slot of a block contains
 * the block's state before the first step. */
typedef struct slot_run {
  int64_t blocks, steps, slot; /* slot: number of wl_real elements in a slot */
} slot_run;

/* Adds the sum of in dz^T over steps and lanes to out [inputs + bias][4], for the 4 gates of one
 * unit. The pointers `in` and `dz` point to values of the first step. */
INLINE void gradient_tile(const slot_run *run, const wl_real *in, const wl_real *dz,
                          const int inputs, const int bias, wl_real *out) {
  vec acc[GRAD_ROWS][4] = {{{0}}};
  for (int64_t b = 0; b < run->blocks; b++, in += run->slot, dz += run->slot)
    for (int64_t k = 0; k < run->steps; k++, in += run->slot, dz += run->slot)
      UNROLL for (int lane = 0; lane < WL_LANES; lane += VECTOR_LANES) {
        vec v[GRAD_INPUTS];
        UNROLL for (int r = 0; r < inputs; r++) v[r] = load(in + r * WL_LANES + lane);
        UNROLL for (int q = 0; q < 4; q++) {
          const vec d = load(dz + q * WL_LANES + lane);
          UNROLL for (int r = 0; r < inputs; r++) acc[r][q] += v[r] * d;
          if (bias) acc[inputs][q] += d;
        }
      }
  const int rows = inputs + bias;
  UNROLL for (int r = 0; r + 4 <= rows; r += 4) add_sums_of_four(out + 4 * r, acc + r);
  UNROLL for (int r = rows / 4 * 4; r < rows; r++)
      add_sums(out + 4 * r, acc[r][0], acc[r][1], acc[r][2], acc[r][3]);
}

/* Computes a tile with a compile-time number of inputs, so that the compiler can hold the sums in
 * registers. */
#define GRADIENT_CASE(inputs, bias)                                                           \
  case 2 * (inputs) + (bias):                                                                 \
    for (int64_t j = 0; j < units; j++)                                                       \
      gradient_tile(run, in, dz + 4 * j * WL_LANES, (inputs), (bias), out + 4 * j * columns); \
    break;
NOINLINE void gradient_columns(const slot_run *run, const wl_real *in, const wl_real *dz,
                               int64_t units, int64_t columns, int64_t inputs, int bias,
                               wl_real *out) {
  switch (2 * inputs + bias) {
    GRADIENT_CASE(0, 1)
    GRADIENT_CASE(1, 0)
    GRADIENT_CASE(1, 1)
    GRADIENT_CASE(2, 0)
    GRADIENT_CASE(2, 1)
    GRADIENT_CASE(3, 0)
#if VECTOR_BYTES == 64
    GRADIENT_CASE(3, 1)
    GRADIENT_CASE(4, 0)
    GRADIENT_CASE(4, 1)
    GRADIENT_CASE(5, 0)
    GRADIENT_CASE(5, 1)
#endif
  }
}

/* Computes the columns of dW for n inputs, which are x or h, in tiles of GRAD_INPUTS inputs. If the
 * last tile has fewer inputs than GRAD_ROWS, the last tile also computes the gradient of the
 * bias. */
static void gradient_part(const slot_run *run, const wl_real *in, int64_t n, int bias,
                          const wl_real *dz, int64_t units, int64_t columns, wl_real *out) {
  for (int64_t from = 0; from < n; from += GRAD_INPUTS) {
    const int64_t inputs = n - from < GRAD_INPUTS ? n - from : GRAD_INPUTS;
    const int joined = bias && from + inputs == n && inputs < GRAD_ROWS;
    gradient_columns(run, in + from * WL_LANES, dz, units, columns, inputs, joined, out + 4 * from);
    if (joined) bias = 0;
  }
  if (bias) gradient_columns(run, in, dz, units, columns, 0, 1, out + 4 * n);
}

/* Computes dW of one layer: the columns of h, the columns of x, and the gradient of the bias. The
 * function processes GRAD_UNITS units at a time, so that the dz of these units for all steps stay
 * in the L1 cache. */
static void layer_gradient(const work *w, const slot_run *run, int layer, wl_real *sums) {
  const wl_lstm_layer *l = &w->net->layer[layer];
  const int64_t H = l->hidden, columns = l->in + H + 1;
  const wl_real *next = w->slots + run->slot;
  const wl_real *x = next + (layer > 0 ? w->net->layer[layer - 1].h : w->slot.x) * WL_LANES;
  /* the previous slot contains h before the step */
  const wl_real *h = w->slots + l->h * WL_LANES;
  for (int64_t unit = 0; unit < H; unit += GRAD_UNITS) {
    const int64_t units = H - unit < GRAD_UNITS ? H - unit : GRAD_UNITS;
    const wl_real *dz = next + (w->slot.gates[layer] + 4 * unit) * WL_LANES;
    wl_real *out = sums + 4 * unit * columns;
    gradient_part(run, h, H, 0, dz, units, columns, out);
    gradient_part(run, x, l->in, 1, dz, units, columns, out + 4 * H);
  }
}

/* Computes the gradients of the weights and of the bias of output number `head`: dw = sum d h and
 * db = sum d, where d is the adjoint of the output. */
NOINLINE void head_gradient(const work *w, const slot_run *run, int64_t head, wl_real *sums) {
  const wl_lstm_layer *l = &w->net->layer[w->net->layers - 1];
  for (int64_t j = 0; j < l->hidden; j += 4) {
    vec acc[4] = {{0}}, bias = {0};
    for (int64_t b = 0; b < run->blocks; b++)
      for (int64_t k = 1; k <= run->steps; k++) {
        const wl_real *slot = w->slots + (b * (run->steps + 1) + k) * run->slot;
        UNROLL for (int lane = 0; lane < WL_LANES; lane += VECTOR_LANES) {
          const vec d = load(slot + (w->slot.head + head) * WL_LANES + lane);
          UNROLL for (int q = 0; q < 4; q++) acc[q] +=
              d * load(slot + (l->h + j + q) * WL_LANES + lane);
          bias += d;
        }
      }
    add_sums(sums + j, acc[0], acc[1], acc[2], acc[3]);
    if (j == 0) add_sums(sums + w->sum.bias, bias, (vec){0}, (vec){0}, (vec){0});
  }
}

/* Copies the sums to `partial`, in the order of phi. */
static void unpack_sums(const work *w, wl_real *partial) {
  const wl_lstm_net *net = w->net;
  for (int i = 0; i < net->layers; i++) {
    const wl_lstm_layer *l = &net->layer[i];
    const int64_t H = l->hidden, columns = l->in + H;
    for (int64_t r = 0; r < 4 * H; r++) {
      const wl_real *from = w->sums + w->sum.layer[i] + r % H * (columns + 1) * 4 + r / H;
      for (int64_t k = 0; k < columns; k++)
        partial[l->weight + r * columns + k] = from[4 * (k < l->in ? H + k : k - l->in)];
      partial[l->bias + r] = from[4 * columns];
    }
  }
  const int64_t H = net->layer[net->layers - 1].hidden;
  for (int64_t head = 0; head < net->heads; head++) {
    const wl_real *from = w->sums + w->sum.head + head * w->sum.per_head;
    memcpy(partial + net->head_weight + head * H, from, (size_t)H * sizeof *partial);
    partial[net->head_bias + head] = from[w->sum.bias];
  }
}

#endif
