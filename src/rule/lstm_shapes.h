/* lstm_shapes.h - defines the sizes of the tiles in lstm_kernel.c, and the memory layouts of the
 * weights, the slots, the sums and the scratch memory.
 *
 * A slot contains the values of one step of one block, in rows:
 *
 *   state [width]: h and c of each layer, and the running sum V
 *   inputs x [inputs]
 *   for each layer: gates [hidden][4] in the order i, j, f, o, and tanh c [hidden]
 *   adjoints of the outputs [heads]
 *
 * The backward pass replaces the gates by dz, the adjoints of the pre-activations. The row for the
 * adjoint of the second output first contains the rate of the Nesterov step. The backward pass then
 * overwrites the rate with the adjoint. Slot 0 contains the state before the first step. All
 * functions are static, because each compilation of the kernel needs separate copies (vector.h). */
#ifndef WL_RULE_LSTM_SHAPES_H
#define WL_RULE_LSTM_SHAPES_H

#include "rule/lstm_net.h"
#include "rule/vector.h"

#if VECTOR_BYTES == 64
enum { COLS = 1, FWD_ROWS = 16, EXP_ROWS = 4, SWEEP_ROWS = 10 };
enum { GRAD_INPUTS = 5, GRAD_ROWS = 6, GRAD_UNITS = 4 };
#else
enum { COLS = 2, FWD_ROWS = 5, EXP_ROWS = 5, SWEEP_ROWS = 5 };
enum { GRAD_INPUTS = 3, GRAD_ROWS = 3, GRAD_UNITS = 4 };
#endif
enum { SLOTS = WL_CHUNK_STEPS + WL_LSTM_GROUP, FETCH_AHEAD = 2 };

static int64_t tiles(int64_t n, int64_t size) { return (n + size - 1) / size; }

typedef struct slot_layout {
  /* index of the first row of x, of the gates and of tanh c of each layer, and of the adjoints of
   * the outputs (head) */
  int64_t x, gates[WL_LSTM_MAX_LAYERS], tanh_c[WL_LSTM_MAX_LAYERS], head;
  /* number of wl_real elements in a slot; the number of rows is odd, so that different slots are
   * mapped to different sets of the L1 cache */
  int64_t size;
} slot_layout;

static slot_layout slot_of(const wl_lstm_net *net) {
  slot_layout s = {.x = net->width};
  int64_t row = s.x + net->layer[0].in;
  for (int i = 0; i < net->layers; i++) {
    s.gates[i] = row;
    s.tanh_c[i] = row + tiles(4 * net->layer[i].hidden, FWD_ROWS) * FWD_ROWS;
    row = s.tanh_c[i] + net->layer[i].hidden;
  }
  s.head = row;
  row += net->heads;
  s.size = (row + 1 - row % 2) * WL_LANES;
  return s;
}

/* The layout of a record, which contains the values of one step of one block. If the key
 * `window.storage` is `activations`, the forward step stores records. The adjoint computes the
 * other values of a slot, tanh c and h, from c and o with the function `outputs`. */
typedef struct record_layout {
  /* offsets of x, of the running sum, of the rate, of the gates and of c from the start of a
   * record, in elements */
  int64_t x, sum, rate, gates[WL_LSTM_MAX_LAYERS], c[WL_LSTM_MAX_LAYERS];
  int64_t size;
} record_layout;

static record_layout record_of(const wl_lstm_net *net) {
  record_layout r = {.sum = net->layer[0].in};
  int64_t row = r.rate = r.sum + (net->momentum > 0);
  row += net->heads - 1;
  for (int i = 0; i < net->layers; i++) {
    r.gates[i] = row * WL_LANES;
    row += tiles(4 * net->layer[i].hidden, FWD_ROWS) * FWD_ROWS;
    r.c[i] = row * WL_LANES;
    row += net->layer[i].hidden;
  }
  r.sum *= WL_LANES;
  r.rate *= WL_LANES;
  r.size = row * WL_LANES;
  return r;
}

static int64_t activation_reals(const wl_lstm_net *net) { return record_of(net).size; }

/* The offsets of one layer's weights in the array of packed weights. */
typedef struct packed_layer {
  /* [tiles][columns][FWD_ROWS] weights of the forward pass; the first column is the bias, the
   * columns of h follow, and the columns of x are the last */
  int64_t forward;
  /* [tiles][4 * hidden][SWEEP_ROWS] weights from which the adjoint of h is computed */
  int64_t back_h;
  /* [tiles][4 * hidden][SWEEP_ROWS] weights from which the adjoint of x is computed */
  int64_t back_x;
} packed_layer;

typedef struct packed_layout {
  packed_layer layer[WL_LSTM_MAX_LAYERS];
  /* offset of the outputs' weights [heads][hidden], which are followed by the biases */
  int64_t head;
  int64_t size;
} packed_layout;

static packed_layout packed_of(const wl_lstm_net *net) {
  packed_layout p = {.size = 0};
  for (int i = 0; i < net->layers; i++) {
    const wl_lstm_layer *l = &net->layer[i];
    p.layer[i].forward = p.size;
    p.layer[i].back_h =
        p.size + tiles(4 * l->hidden, FWD_ROWS) * (1 + l->hidden + l->in) * FWD_ROWS;
    p.layer[i].back_x =
        p.layer[i].back_h + tiles(l->hidden, SWEEP_ROWS) * 4 * l->hidden * SWEEP_ROWS;
    p.size = p.layer[i].back_x + tiles(l->in, SWEEP_ROWS) * 4 * l->hidden * SWEEP_ROWS;
  }
  p.head = p.size;
  p.size += net->heads * (net->layer[net->layers - 1].hidden + 1);
  return p;
}

/* The layout of the sums for the weight gradient of a group. The sums of each layer have the shape
 * [hidden][columns][4], where the columns are those of h, those of x and the bias, and the last
 * index is the gate. For each output, the sums for its weights (padded to a multiple of four) and
 * the sum for its bias follow. */
typedef struct sums_layout {
  /* layer: offsets of the layers' sums; head: offset of the first output's sums; bias: offset of
   * the bias from the start of an output's sums; size: number of all sums */
  int64_t layer[WL_LSTM_MAX_LAYERS], head, bias, size;
  int64_t per_head; /* number of sums of one output */
} sums_layout;

static sums_layout sums_of(const wl_lstm_net *net) {
  sums_layout s = {.size = 0};
  for (int i = 0; i < net->layers; i++) {
    s.layer[i] = s.size;
    s.size += net->layer[i].hidden * (net->layer[i].in + net->layer[i].hidden + 1) * 4;
  }
  s.head = s.size;
  s.bias = (net->layer[net->layers - 1].hidden + 3) / 4 * 4;
  s.per_head = s.bias + 4;
  s.size = s.head + net->heads * s.per_head;
  return s;
}

/* The layouts and the arrays of one thread. The arrays are in the thread's scratch memory. */
typedef struct work {
  const wl_lstm_net *net;
  const wl_real *packed;
  slot_layout slot;
  record_layout record;
  /* number of tiles in the backward pass of one step, without the tiles that compute the adjoint
   * of the first layer's inputs */
  int64_t sweep_tiles;
  packed_layout at;
  sums_layout sum;
  wl_real *slots; /* [SLOTS][slot.size] the slots */
  wl_real *dx;    /* [SWEEP_ROWS][16] adjoint of the first layer's inputs */
  /* [hidden, rounded up to a multiple of SWEEP_ROWS][16] adjoint of h */
  wl_real *dh[WL_LSTM_MAX_LAYERS];
  wl_real *dc[WL_LSTM_MAX_LAYERS]; /* [hidden][16] adjoint of c */
  wl_real *sums;                   /* [sum.size] sums for the weight gradient */
} work;

static int64_t sweep_tiles_of(const wl_lstm_net *net) {
  int64_t rows = 0;
  for (int i = 0; i < net->layers; i++)
    rows +=
        tiles(net->layer[i].hidden, SWEEP_ROWS) + (i > 0 ? tiles(net->layer[i].in, SWEEP_ROWS) : 0);
  return rows * (WL_LANES / (COLS * VECTOR_LANES));
}

/* Returns the number of wl_real elements in the scratch memory of one thread. Sets the layouts of
 * *w. If `scratch` is not NULL, the function also sets the pointers of *w. */
static int64_t carve(work *w, const wl_lstm_net *net, const void *packed, wl_real *scratch) {
  *w = (work){.net = net,
              .packed = packed,
              .slot = slot_of(net),
              .record = record_of(net),
              .at = packed_of(net),
              .sum = sums_of(net)};
  int64_t used = SLOTS * w->slot.size;
  const int64_t dx = used;
  used += SWEEP_ROWS * WL_LANES;
  int64_t dh[WL_LSTM_MAX_LAYERS], dc[WL_LSTM_MAX_LAYERS];
  for (int i = 0; i < net->layers; i++) {
    dh[i] = used;
    used += tiles(net->layer[i].hidden, SWEEP_ROWS) * SWEEP_ROWS * WL_LANES;
    dc[i] = used;
    used += net->layer[i].hidden * WL_LANES;
  }
  if (scratch) {
    w->sweep_tiles = sweep_tiles_of(net);
    w->slots = scratch;
    w->dx = scratch + dx;
    w->sums = scratch + used;
    for (int i = 0; i < net->layers; i++) {
      w->dh[i] = scratch + dh[i];
      w->dc[i] = scratch + dc[i];
    }
  }
  return used + wl_pad(w->sum.size);
}

static size_t packed_bytes(const wl_lstm_net *net) {
  return (size_t)packed_of(net).size * sizeof(wl_real);
}

static size_t scratch_bytes(const wl_lstm_net *net) {
  work w;
  return (size_t)carve(&w, net, NULL, NULL) * sizeof(wl_real);
}

#endif
