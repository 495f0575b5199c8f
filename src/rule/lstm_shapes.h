/* lstm_shapes.h - tiles of lstm_kernel.c, and the memory layout of weights, slots, sums and scratch.
 *
 * A slot is one step of one block, in rows:
 *
 *   state [width] (h1 c1 h2 c2 ..., V)
 *   x [inputs]
 *   for each layer: gates [hidden][4] (i, j, f, o; later dz) and tanh c [hidden]
 *   adjoints of the heads
 *
 * Before the sweep, the row of the second head has the rate of the Nesterov step. Slot 0 has the state before the first
 * step. Everything is static, as in vector.h. */
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
  int64_t x, gates[WL_LSTM_MAX_LAYERS], tanh_c[WL_LSTM_MAX_LAYERS], head; /* rows */
  int64_t
      size; /* reals in a slot; an odd number of rows avoids conflicts of slots in the L1 cache */
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

/* The values of a block that a forward step stores if the window keeps activations. The adjoint computes the other
 * values of a slot, tanh c and h, from c and o with `outputs`. */
typedef struct record_layout {
  /* offsets in reals from the start of a record */
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

/* Offsets of a layer's packed weights in the packed array. */
typedef struct packed_layer {
  int64_t forward; /* [tiles][bias, h columns, x columns][FWD_ROWS] */
  int64_t back_h;  /* [tiles][4 hidden][SWEEP_ROWS], rows of h */
  int64_t back_x;  /* [tiles][4 hidden][SWEEP_ROWS], rows of x */
} packed_layer;

typedef struct packed_layout {
  packed_layer layer[WL_LSTM_MAX_LAYERS];
  int64_t head; /* weights [heads][hidden], then the biases */
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

/* Layout of the sums of a group's weight gradient. Each layer has [hidden][h columns, x columns, bias][4 gates]. Each
 * head then has the weights, padded to a multiple of four, and the bias. */
typedef struct sums_layout {
  int64_t layer[WL_LSTM_MAX_LAYERS], head, bias,
      size; /* `bias` is the offset from the start of a head */
  int64_t per_head;
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

/* The arrays of one thread, all in the thread's scratch. */
typedef struct work {
  const wl_lstm_net *net;
  const wl_real *packed;
  slot_layout slot;
  record_layout record;
  int64_t sweep_tiles; /* number of tiles of one step, without the tiles of x of the first layer */
  packed_layout at;
  sums_layout sum;
  wl_real *slots;                  /* [SLOTS][slot.size] */
  wl_real *dx;                     /* [SWEEP_ROWS][16] adjoint of x */
  wl_real *dh[WL_LSTM_MAX_LAYERS]; /* [hidden, padded to SWEEP_ROWS][16] */
  wl_real *dc[WL_LSTM_MAX_LAYERS]; /* [hidden][16] */
  wl_real *sums;                   /* [sum.size] */
} work;

static int64_t sweep_tiles_of(const wl_lstm_net *net) {
  int64_t rows = 0;
  for (int i = 0; i < net->layers; i++)
    rows +=
        tiles(net->layer[i].hidden, SWEEP_ROWS) + (i > 0 ? tiles(net->layer[i].in, SWEEP_ROWS) : 0);
  return rows * (WL_LANES / (COLS * VECTOR_LANES));
}

/* Sets the pointers of w, unless scratch is NULL. Returns the number of reals of scratch. */
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
