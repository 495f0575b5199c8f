/* lstm_kernel.c - implements the kernel of the coordinatewise LSTM. The kernel computes blocks of
 * 16 coordinates.
 *
 * The build compiles this file once for each instruction set; WL_VARIANT is the name of the
 * instruction set (kernels.cmake). The file lstm.h contains the formulas. While the kernel runs,
 * the weights are in the L1 cache. In comments of the kernel, a row is the 16 values of one
 * quantity, one for each coordinate of a block. The parts of the kernel are:
 *   lstm_shapes.h           memory layout of weights, slots and sums
 *   lstm_forward.h          one step of one block
 *   lstm_sweep.h            the adjoint of the steps of a block
 *   lstm_weight_gradient.h  the sums over steps and lanes
 *
 * The backward pass processes only a few blocks at a time, so that their data stays in the
 * caches. */
#include <string.h>

#include "rule/lstm_forward.h"
#include "rule/lstm_net.h"
#include "rule/lstm_shapes.h"
#include "rule/lstm_sweep.h"
#include "rule/lstm_weight_gradient.h"

/* Packs one tile of forward weights with FWD_ROWS rows, and multiplies the weights by the factors
 * that lstm_forward.h describes. The biases of the rows are followed by the weights of each column
 * of [h; x]. */
static void pack_forward_tile(const wl_lstm_net *net, const wl_lstm_layer *l, const wl_real *phi,
                              int64_t first, wl_real *out) {
  const int64_t H = l->hidden, columns = l->in + H;
  for (int64_t r = 0; r < FWD_ROWS && first + r < 4 * H; r++) { /* padding rows stay zero */
    const int64_t unit = (first + r) / 4, gate = (first + r) % 4, row = gate * H + unit;
    const double scale = gate == 1 ? -2 * LOG2_E : -LOG2_E;
    const double bias = (double)phi[l->bias + row] + (gate == 2 ? (double)net->forget_bias : 0);
    out[r] = (wl_real)(scale * bias);
    for (int64_t k = 0; k < columns; k++) {
      /* in the packed weights, the columns of h precede the columns of x */
      const int64_t source = k < H ? l->in + k : k - H;
      out[(1 + k) * FWD_ROWS + r] =
          (wl_real)(scale * (double)phi[l->weight + row * columns + source]);
    }
  }
}

/* Packs the transpose of `count` columns of W, from the column `first` onwards, in tiles. The rows
 * of dz have the same order as in a slot. */
static void pack_back(const wl_lstm_layer *l, const wl_real *phi, int64_t first, int64_t count,
                      wl_real *out) {
  const int64_t H = l->hidden, columns = l->in + H;
  for (int64_t column = 0; column < count; column++) {
    wl_real *tile = out + column / SWEEP_ROWS * 4 * H * SWEEP_ROWS + column % SWEEP_ROWS;
    for (int64_t r = 0; r < 4 * H; r++)
      tile[r * SWEEP_ROWS] = phi[l->weight + (r % 4 * H + r / 4) * columns + first + column];
  }
}

static void pack(const wl_lstm_net *net, const wl_real *phi, void *packed) {
  const packed_layout at = packed_of(net);
  wl_real *out = packed;
  memset(out, 0, packed_bytes(net));
  for (int i = 0; i < net->layers; i++) {
    const wl_lstm_layer *l = &net->layer[i];
    for (int64_t q = 0; q < tiles(4 * l->hidden, FWD_ROWS); q++)
      pack_forward_tile(net, l, phi, q * FWD_ROWS,
                        out + at.layer[i].forward + q * (1 + l->hidden + l->in) * FWD_ROWS);
    pack_back(l, phi, l->in, l->hidden, out + at.layer[i].back_h);
    pack_back(l, phi, 0, l->in, out + at.layer[i].back_x);
  }
  memcpy(out + at.head, phi + net->head_weight,
         (size_t)(net->parameters - net->head_weight) * sizeof *out);
}

static void step(const wl_lstm_net *net, const void *packed, void *scratch,
                 const wl_lstm_step *live) {
  work w;
  carve(&w, net, packed, scratch);
  const int64_t state = net->width * WL_LANES;
  for (int64_t b = 0; b < live->blocks; b++)
    step_block(&w, live->g + b * WL_LANES, live->s_in + b * state, live->s_out + b * state, w.slots,
               live->u + b * WL_LANES,
               live->activations ? live->activations + b * w.record.size : NULL,
               live->activations && live->past_caches);
  finish_stores_past();
}

/* Computes the adjoint of a chunk for several blocks. If the chunk is short, the function sums the
 * weight gradient over several blocks at a time, because sums of few terms are slow. These blocks
 * together need at most as many slots as one block of a full chunk. */
static void backward(const wl_lstm_net *net, const void *packed, void *scratch,
                     const wl_rule_chunk *chunk, int64_t first, int64_t count, wl_real *partial) {
  work w;
  carve(&w, net, packed, scratch);
  memset(w.sums, 0, (size_t)w.sum.size * sizeof *w.sums);
  const int64_t together = WL_CHUNK_STEPS / chunk->steps;
  for (int64_t done = 0; done < count;) {
    const int64_t blocks = count - done < together ? count - done : together;
    const slot_run run = {.blocks = blocks, .steps = chunk->steps, .slot = w.slot.size};
    for (int64_t b = 0; b < blocks; b++)
      sweep(&w, chunk, first + done + b, w.slots + b * (chunk->steps + 1) * w.slot.size);
    for (int i = 0; i < net->layers; i++) layer_gradient(&w, &run, i, w.sums + w.sum.layer[i]);
    for (int64_t head = 0; head < net->heads; head++)
      head_gradient(&w, &run, head, w.sums + w.sum.head + head * w.sum.per_head);
    done += blocks;
  }
  unpack_sums(&w, partial);
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
extern const wl_lstm_kernel JOIN(wl_lstm_kernel_, WL_VARIANT);
const wl_lstm_kernel JOIN(wl_lstm_kernel_, WL_VARIANT) = {
    TEXT(WL_VARIANT), packed_bytes, scratch_bytes, activation_reals, pack, step, backward};
