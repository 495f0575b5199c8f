/* lstm_kernel.c - the coordinatewise LSTM, blocks of 16 coordinates in lanes; one table per instruction set.
 *
 * Compiled once for each instruction set, WL_VARIANT naming it (see kernels.cmake). Formulas are
 * those of lstm.h; weights stay in L1, a row is the 16 lanes of one quantity.
 *
 * Forward: tiles of FWD_UNITS units x 4 gates accumulate W [h; x] in registers and become gates at
 * once. Their weights are packed per tile, pre-scaled by -log2 e (gates) or -2 log2 e (candidate),
 * so that sigmoid(z) = 1/(1 + 2^z') and tanh(z) = (1 - 2^z')/(1 + 2^z').
 * Backward of a few blocks at a time, so that all of it stays in L2:
 *   replay  the same step function as the live step fills the slots (so both give the same bits), or
 *           what the live step has kept is unfolded into them
 *   sweep   K-1 .. 0: dz overwrites the gates of the tape, W^T dz in tiles of SWEEP_ROWS rows
 *   weights dW = sum over steps and lanes of dz [x; h]^T in register tiles, reduced over lanes
 *
 * A tape slot is one step of one block, in rows:
 *   state [width] (h1 c1 h2 c2 ..., V), x [inputs], per layer gates [hidden][4] (i, j, f, o, later
 *   dz) and tanh c [hidden], last the adjoints of the heads; that of the second is before the sweep
 *   the rate it gives. Slot 0 of a run holds its start. */
#include <string.h>

#include "rule/lstm_ends.h"
#include "rule/lstm_net.h"
#include "rule/lstm_vector.h"

#if VECTOR_BYTES == 64
enum { COLS = 1, FWD_ROWS = 16, EXP_ROWS = 8, SWEEP_ROWS = 10, GRAD_INPUTS = 5, GRAD_UNITS = 4 };
#else
enum { COLS = 2, FWD_ROWS = 5, EXP_ROWS = 5, SWEEP_ROWS = 5, GRAD_INPUTS = 3, GRAD_UNITS = 4 };
#endif
enum { TAPE_SLOTS = WL_CHUNK_STEPS + WL_LSTM_GROUP, FETCH_AHEAD = 2 };
#define LOG2_E 1.442695040888963407359924681

/* ---- Shapes of packed weights, tape and scratch ---------------------------------------------- */

static int64_t tiles(int64_t n, int64_t size) { return (n + size - 1) / size; }

typedef struct slot_layout {
  int64_t x, gates[WL_LSTM_MAX_LAYERS], tanh_c[WL_LSTM_MAX_LAYERS], head; /* rows */
  int64_t size; /* reals in a slot; an odd number of rows, so that slots do not alias in L1 */
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

/* What a live step keeps of a block where the window's storage is a tape: of the rest of a slot, tanh c
 * and h follow from c and o by `outputs`. */
typedef struct record_layout {
  int64_t x, sum, rate, gates[WL_LSTM_MAX_LAYERS], c[WL_LSTM_MAX_LAYERS]; /* reals from its start */
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

static int64_t tape_reals(const wl_lstm_net *net) { return record_of(net).size; }

/* Packed weights of a layer, in reals from the start of the packed array. */
typedef struct packed_layer {
  int64_t forward; /* [tiles][bias, h columns, x columns][FWD_ROWS] */
  int64_t back_h;  /* [tiles][4 hidden][SWEEP_ROWS], rows of h */
  int64_t back_x;  /* the same, rows of x */
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

/* Sums of the weight gradient of a group: per layer [hidden][h columns, x columns, bias][4 gates],
 * then for each head its weights, padded to fours, and its bias. */
typedef struct sums_layout {
  int64_t layer[WL_LSTM_MAX_LAYERS], head, bias, size; /* bias counts from the start of a head */
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

/* What one thread works on, carved out of the scratch it is given. */
typedef struct work {
  const wl_lstm_net *net;
  const wl_real *packed;
  slot_layout slot;
  record_layout record;
  int64_t fetch_each; /* reals of a record to fetch with each tile of the sweep */
  packed_layout at;
  sums_layout sum;
  wl_real *tape;                   /* [TAPE_SLOTS][slot.size] */
  wl_real *dx;                     /* [SWEEP_ROWS][16] adjoint of x */
  wl_real *dh[WL_LSTM_MAX_LAYERS]; /* [hidden, padded to SWEEP_ROWS][16] */
  wl_real *dc[WL_LSTM_MAX_LAYERS]; /* [hidden][16] */
  wl_real *sums;                   /* [sum.size] */
} work;

/* A record spread over the tiles of a step's sweep, in whole rows. */
static int64_t fetch_each_of(const wl_lstm_net *net) {
  int64_t all = 0;
  for (int i = 0; i < net->layers; i++)
    all +=
        tiles(net->layer[i].hidden, SWEEP_ROWS) + (i > 0 ? tiles(net->layer[i].in, SWEEP_ROWS) : 0);
  all *= WL_LANES / (COLS * VECTOR_LANES);
  return tiles(record_of(net).size / WL_LANES, all) * WL_LANES;
}

/* Sets the pointers of w; with scratch NULL only counts. Returns the reals taken. */
static int64_t carve(work *w, const wl_lstm_net *net, const void *packed, wl_real *scratch) {
  *w = (work){.net = net,
              .packed = packed,
              .slot = slot_of(net),
              .record = record_of(net),
              .at = packed_of(net),
              .sum = sums_of(net)};
  int64_t used = TAPE_SLOTS * w->slot.size;
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
    w->fetch_each = fetch_each_of(net);
    w->tape = scratch;
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

/* ---- Packing -------------------------------------------------------------------------------- */

/* One tile of forward weights: the bias, then each column of [h; x], of FWD_ROWS pre-scaled rows. */
static void pack_forward_tile(const wl_lstm_net *net, const wl_lstm_layer *l, const wl_real *phi,
                              int64_t first, wl_real *out) {
  const int64_t H = l->hidden, columns = l->in + H;
  for (int64_t r = 0; r < FWD_ROWS && first + r < 4 * H; r++) { /* rows of padding stay zero */
    const int64_t unit = (first + r) / 4, gate = (first + r) % 4, row = gate * H + unit;
    const double scale = gate == 1 ? -2 * LOG2_E : -LOG2_E;
    const double bias = (double)phi[l->bias + row] + (gate == 2 ? (double)net->forget_bias : 0);
    out[r] = (wl_real)(scale * bias);
    for (int64_t k = 0; k < columns; k++) {
      const int64_t source = k < H ? l->in + k : k - H; /* h first */
      out[(1 + k) * FWD_ROWS + r] =
          (wl_real)(scale * (double)phi[l->weight + row * columns + source]);
    }
  }
}

/* Columns [first, first + count) of W, transposed in tiles; rows of dz in the tape's order. */
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

/* ---- Forward -------------------------------------------------------------------------------- */

/* acc += W in over n rows of input, FWD_ROWS x COLS vectors. */
INLINE void forward_products(const wl_real *w, const wl_real *in, int64_t n,
                             vec acc[FWD_ROWS][COLS]) {
  for (int64_t k = 0; k < n; k++) {
    vec v[COLS];
    UNROLL for (int c = 0; c < COLS; c++) v[c] = load(in + k * WL_LANES + c * VECTOR_LANES);
    UNROLL for (int r = 0; r < FWD_ROWS; r++) UNROLL for (int c = 0; c < COLS; c++) acc[r][c] +=
        w[k * FWD_ROWS + r] * v[c];
  }
}

/* Rows 2^z', z' = W [h; x] + b pre-scaled, of one layer of one block: e [4 hidden, padded][16]. */
NOINLINE void exponentials(const wl_lstm_layer *l, const wl_real *w, const wl_real *x,
                           const wl_real *h, wl_real *e) {
  const int64_t H = l->hidden, tile = (1 + H + l->in) * FWD_ROWS;
  for (int64_t row = 0; row < 4 * H; row += FWD_ROWS, w += tile)
    for (int64_t lane = 0; lane < WL_LANES; lane += COLS * VECTOR_LANES) {
      vec acc[FWD_ROWS][COLS];
      UNROLL for (int r = 0; r < FWD_ROWS; r++) UNROLL for (int v = 0; v < COLS; v++) acc[r][v] =
          splat(w[r]);
      forward_products(w + FWD_ROWS, h + lane, H, acc);
      forward_products(w + (1 + H) * FWD_ROWS, x + lane, l->in, acc);
      UNROLL for (int v = 0; v < COLS; v++) UNROLL for (int r = 0; r < FWD_ROWS; r += EXP_ROWS) {
        vec power[EXP_ROWS];
        UNROLL for (int i = 0; i < EXP_ROWS; i++) power[i] = acc[r + i][v];
        exp2_all(power, EXP_ROWS);
        UNROLL for (int i = 0; i < EXP_ROWS; i++)
            store(e + (row + r + i) * WL_LANES + lane + v * VECTOR_LANES, power[i]);
      }
    }
}

/* Where a live step of one block keeps what its adjoint needs, past the caches. */
typedef struct kept_layer {
  wl_real *gates, *c; /* [hidden][4][16], [hidden][16]; NULL: nowhere */
} kept_layer;

/* From the exponentials of a unit to its gates and new cell, in place; one division serves all four.
 * The operations of a row's vectors stand side by side, as in exp2_all. Where gates are kept elsewhere,
 * only o stays here. */
INLINE void cell(wl_real *gates, const wl_real *c, wl_real *c_out, wl_real *keep, wl_real *keep_c) {
  vec di[COLS], dj[COLS], df[COLS], d_o[COLS], ij[COLS], fo[COLS], inverse[COLS];
#define EACH UNROLL for (int v = 0, at = 0; v < COLS; v++, at += VECTOR_LANES)
  EACH di[v] = 1 + load(gates + at);
  EACH dj[v] = 1 + load(gates + WL_LANES + at);
  EACH df[v] = 1 + load(gates + 2 * WL_LANES + at);
  EACH d_o[v] = 1 + load(gates + 3 * WL_LANES + at);
  EACH ij[v] = di[v] * dj[v];
  EACH fo[v] = df[v] * d_o[v];
  EACH inverse[v] = 1 / (ij[v] * fo[v]);
  EACH fo[v] *= inverse[v];                                    /* 1 / ij */
  EACH ij[v] *= inverse[v];                                    /* 1 / fo */
  EACH inverse[v] = fo[v] * (1 - load(gates + WL_LANES + at)); /* i j */
  EACH df[v] *= ij[v];
  EACH ij[v] *= d_o[v];
  EACH dj[v] *= fo[v];
  EACH di[v] *= inverse[v];
  EACH inverse[v] = ij[v] * load(c + at) + inverse[v];
  EACH store(gates + 3 * WL_LANES + at, df[v]);
  EACH store(c_out + at, inverse[v]);
  if (keep) {
    EACH store_past(keep + at, dj[v]);
    EACH store_past(keep + WL_LANES + at, di[v]);
    EACH store_past(keep + 2 * WL_LANES + at, ij[v]);
    EACH store_past(keep + 3 * WL_LANES + at, df[v]);
    EACH store_past(keep_c + at, inverse[v]);
  } else {
    EACH store(gates + at, dj[v]);
    EACH store(gates + WL_LANES + at, di[v]);
    EACH store(gates + 2 * WL_LANES + at, ij[v]);
  }
}

/* tanh of the new cell, and the output. */
INLINE void output(const wl_real *gates, const wl_real *c_out, wl_real *tanh_c, wl_real *h_out) {
  vec e[COLS];
  EACH e[v] = load(c_out + at) * (wl_real)(-2 * LOG2_E);
  exp2_all(e, COLS);
  EACH e[v] = (1 - e[v]) / (1 + e[v]);
  EACH store(tanh_c + at, e[v]);
  EACH store(h_out + at, load(gates + 3 * WL_LANES + at) * e[v]);
#undef EACH
}

/* Gates and new c of one layer of one block. */
NOINLINE void cells(int64_t H, const wl_real *c, wl_real *gates, wl_real *c_out, kept_layer keep) {
  for (int64_t j = 0; j < H; j++)
    UNROLL for (int lane = 0; lane < WL_LANES; lane += COLS * VECTOR_LANES) {
      const int64_t at = j * WL_LANES + lane, row = 4 * j * WL_LANES + lane;
      cell(gates + row, c + at, c_out + at, keep.gates ? keep.gates + row : NULL,
           keep.gates ? keep.c + at : NULL);
    }
}

/* tanh c and h of one layer of one block. The live step, the replay and a tape that is unfolded all
 * call this one copy. */
NOINLINE void outputs(int64_t H, const wl_real *gates, const wl_real *c_out, wl_real *tanh_c,
                      wl_real *h_out) {
  for (int64_t j = 0; j < H; j++)
    UNROLL for (int lane = 0; lane < WL_LANES; lane += COLS * VECTOR_LANES) {
      const int64_t at = j * WL_LANES + lane;
      output(gates + 4 * j * WL_LANES + lane, c_out + at, tanh_c + at, h_out + at);
    }
}

/* Output `head` of one vector: w h + b. */
INLINE vec head_output(const work *w, int64_t head, const wl_real *h) {
  const int64_t H = w->net->layer[w->net->layers - 1].hidden;
  const wl_real *weight = w->packed + w->at.head + head * H,
                *bias = w->packed + w->at.head + w->net->heads * H;
  vec even = splat(bias[head]), odd = {0};
  int64_t j = 0;
  for (; j + 1 < H; j += 2) {
    even += weight[j] * load(h + j * WL_LANES);
    odd += weight[j + 1] * load(h + (j + 1) * WL_LANES);
  }
  if (j < H) even += weight[j] * load(h + j * WL_LANES);
  return even + odd;
}

/* Update of a block from h of its last layer; the rate of the Nesterov step goes to the tape. */
INLINE void update(const work *w, const wl_real *g, const wl_real *h, const wl_real *after,
                   wl_real *slot, wl_real *u) {
  const wl_lstm_net *net = w->net;
  for (int64_t lane = 0; lane < WL_LANES; lane += VECTOR_LANES) {
    vec rate = {0}, direction = {0};
    if (net->momentum > 0) {
      rate = net->rate * exp2_clipped(head_output(w, 1, h + lane) * (wl_real)LOG2_E);
      direction = nesterov_direction(net, load(g + lane), load(after + net->sum * WL_LANES + lane));
      store(slot + (w->slot.head + 1) * WL_LANES + lane, rate);
    }
    if (u) store(u + lane, head_output(w, 0, h + lane) * net->output_scale - rate * direction);
  }
}

INLINE void keep_rows(wl_real *to, const wl_real *from, int64_t reals, bool past) {
  for (int64_t i = 0; i < reals; i += VECTOR_LANES)
    if (past) store_past(to + i, load(from + i));
    else store(to + i, load(from + i));
}

/* The rest of a record: inputs, running sum and rate, and the cells where they are not kept yet. */
static void keep_step(const work *w, const wl_real *slot, const wl_real *after, wl_real *record,
                      bool past) {
  const wl_lstm_net *net = w->net;
  keep_rows(record, slot + w->slot.x * WL_LANES, net->layer[0].in * WL_LANES, past);
  if (net->momentum > 0) {
    keep_rows(record + w->record.sum, after + net->sum * WL_LANES, WL_LANES, past);
    keep_rows(record + w->record.rate, slot + (w->slot.head + 1) * WL_LANES, WL_LANES, past);
  }
  for (int i = 0; !past && i < net->layers; i++)
    keep_rows(record + w->record.c[i], after + net->layer[i].c * WL_LANES,
              net->layer[i].hidden * WL_LANES, false);
}

/* One step of one block from state `before` to `after` (may be the same), its tape into `slot` and,
 * where not NULL, what is to be kept into `record`: past the caches, or in them. The live step and the
 * replay both call this one copy, hence give the same bits. */
NOINLINE void step_block(const work *w, const wl_real *g, const wl_real *before, wl_real *after,
                         wl_real *slot, wl_real *u, wl_real *record, bool past) {
  const wl_lstm_net *net = w->net;
  wl_real *x = slot + w->slot.x * WL_LANES;
  for (int64_t lane = 0; lane < WL_LANES; lane += VECTOR_LANES)
    read_gradient(net, load(g + lane), before + net->sum * WL_LANES + lane,
                  after + net->sum * WL_LANES + lane, x + lane);
  for (int i = 0; i < net->layers; i++) {
    const wl_lstm_layer *l = &net->layer[i];
    wl_real *h_out = after + l->h * WL_LANES;
    wl_real *c_out = after + l->c * WL_LANES;
    wl_real *gates =
        record && !past ? record + w->record.gates[i] : slot + w->slot.gates[i] * WL_LANES;
    const kept_layer keep = {past ? record + w->record.gates[i] : NULL,
                             past ? record + w->record.c[i] : NULL};
    exponentials(l, w->packed + w->at.layer[i].forward, x, before + l->h * WL_LANES, gates);
    cells(l->hidden, before + l->c * WL_LANES, gates, c_out, keep);
    outputs(l->hidden, gates, c_out, slot + w->slot.tanh_c[i] * WL_LANES, h_out);
    x = h_out;
  }
  if (u || net->momentum > 0) update(w, g, x, after, slot, u);
  if (record) keep_step(w, slot, after, record, past);
}

static void step(const wl_lstm_net *net, const void *packed, void *scratch,
                 const wl_lstm_step *live) {
  work w;
  carve(&w, net, packed, scratch);
  const int64_t state = net->width * WL_LANES;
  for (int64_t b = 0; b < live->blocks; b++)
    step_block(&w, live->g + b * WL_LANES, live->s_in + b * state, live->s_out + b * state, w.tape,
               live->u + b * WL_LANES, live->tape ? live->tape + b * w.record.size : NULL,
               live->tape && live->past_caches);
  finish_stores_past();
}

/* ---- Backward: sweep ------------------------------------------------------------------------ */

/* dz from the gates (may be in their place), dc over the cell's adjoint, of one layer at one step. */
NOINLINE void cell_adjoint(int64_t H, const wl_real *c_before, const wl_real *tanh_c,
                           const wl_real *gates, const wl_real *dh, wl_real *dc, wl_real *dz) {
  for (int64_t j = 0; j < H; j++) UNROLL for (int lane = 0; lane < WL_LANES; lane += VECTOR_LANES) {
      const int64_t at = j * WL_LANES + lane;
      const wl_real *gate = gates + 4 * j * WL_LANES + lane;
      wl_real *z = dz + 4 * j * WL_LANES + lane;
      const vec i = load(gate), g = load(gate + WL_LANES), f = load(gate + 2 * WL_LANES);
      const vec o = load(gate + 3 * WL_LANES);
      const vec t = load(tanh_c + at), dh_o = load(dh + at) * o;
      const vec d = load(dc + at) + dh_o * (1 - t * t), df = d * f, di = d * i;
      store(z, di * (g * (1 - i)));
      store(z + WL_LANES, di * (1 - g * g));
      store(z + 2 * WL_LANES, df * (load(c_before + at) * (1 - f)));
      store(z + 3 * WL_LANES, dh_o * (t * (1 - o)));
      store(dc + at, df);
    }
}

/* A record on its way into the second-level cache, a few lines with each tile: as fast as it is needed,
 * and without a jam. */
typedef struct fetch {
  const wl_real *next; /* NULL: nothing to bring */
  int64_t each;        /* reals with each tile */
} fetch;

INLINE void fetch_some(fetch *f) {
  if (!f->next) return;
  for (int64_t i = 0; i < f->each; i += WL_ALIGN / (int64_t)sizeof(wl_real))
    __builtin_prefetch(f->next + i, 0, 2);
  f->next += f->each;
}

/* out (+)= W^T dz: `n` rows in tiles of SWEEP_ROWS, each over 4 H rows of dz. */
NOINLINE void sweep_products(const wl_real *w, const wl_real *dz, int64_t n, int64_t H, int add,
                             wl_real *out, fetch *ahead) {
  for (int64_t row = 0; row < n; row += SWEEP_ROWS, w += 4 * H * SWEEP_ROWS)
    for (int64_t lane = 0; lane < WL_LANES; lane += COLS * VECTOR_LANES) {
      fetch_some(ahead);
      vec acc[SWEEP_ROWS][COLS];
      wl_real *to = out + row * WL_LANES + lane;
      UNROLL for (int r = 0; r < SWEEP_ROWS; r++) UNROLL for (int c = 0; c < COLS; c++) {
        const vec old = load(to + r * WL_LANES + c * VECTOR_LANES);
        acc[r][c] = add ? old : (vec){0};
      }
      for (int64_t k = 0; k < 4 * H; k++) {
        vec v[COLS];
        UNROLL for (int c = 0; c < COLS; c++) v[c] =
            load(dz + k * WL_LANES + lane + c * VECTOR_LANES);
        UNROLL for (int r = 0; r < SWEEP_ROWS; r++) UNROLL for (int c = 0; c < COLS; c++)
            acc[r][c] += w[k * SWEEP_ROWS + r] * v[c];
      }
      UNROLL for (int r = 0; r < SWEEP_ROWS; r++) UNROLL for (int c = 0; c < COLS; c++)
          store(to + r * WL_LANES + c * VECTOR_LANES, acc[r][c]);
    }
}

/* The adjoint of u enters: that of output `head` into its row of the tape, and on to dh of the last layer. */
INLINE void output_adjoint(const work *w, int64_t head, int64_t lane, vec d, wl_real *slot) {
  const int last = w->net->layers - 1;
  const int64_t H = w->net->layer[last].hidden;
  const wl_real *weight = w->packed + w->at.head + head * H;
  store(slot + (w->slot.head + head) * WL_LANES + lane, d);
  for (int64_t j = 0; j < H; j++) {
    wl_real *dh = w->dh[last] + j * WL_LANES + lane;
    store(dh, load(dh) + weight[j] * d);
  }
}

/* Adjoint of the update; V_bar, where wanted, gets its share, and gbar that of the Nesterov step. */
static void update_adjoint(const work *w, const wl_real *g, const wl_real *lam, wl_real *slot,
                           wl_real *sum_bar, wl_real *gbar) {
  const wl_lstm_net *net = w->net;
  for (int64_t lane = 0; lane < WL_LANES; lane += VECTOR_LANES) {
    const vec du = load(lam + lane);
    output_adjoint(w, 0, lane, du * net->output_scale, slot);
    if (!(net->momentum > 0)) continue;
    const vec step_bar = -load(slot + (w->slot.head + 1) * WL_LANES + lane) * du; /* of g + b V' */
    output_adjoint(
        w, 1, lane,
        step_bar * nesterov_direction(net, load(g + lane), load(slot + net->sum * WL_LANES + lane)),
        slot);
    if (!gbar) continue;
    store(gbar + lane, step_bar);
    store(sum_bar + lane, load(sum_bar + lane) + net->momentum * step_bar);
  }
}

/* One step of a block as the sweep meets it: its slot, and where gates and cells lie, in slots after a
 * replay, in records of a tape. */
typedef struct swept_step {
  wl_real *slot;
  const wl_real *gates[WL_LSTM_MAX_LAYERS], *c_before[WL_LSTM_MAX_LAYERS],
      *tanh_c[WL_LSTM_MAX_LAYERS];
} swept_step;

static void sweep_step(const work *w, const swept_step *at, int want_x, fetch *ahead) {
  for (int i = w->net->layers - 1; i >= 0; i--) {
    const wl_lstm_layer *l = &w->net->layer[i];
    wl_real *dz = at->slot + w->slot.gates[i] * WL_LANES;
    cell_adjoint(l->hidden, at->c_before[i], at->tanh_c[i], at->gates[i], w->dh[i], w->dc[i], dz);
    sweep_products(w->packed + w->at.layer[i].back_h, dz, l->hidden, l->hidden, 0, w->dh[i], ahead);
    if (i > 0)
      sweep_products(w->packed + w->at.layer[i].back_x, dz, l->in, l->hidden, 1, w->dh[i - 1],
                     ahead);
    else if (want_x)
      sweep_products(w->packed + w->at.layer[i].back_x, dz, l->in, l->hidden, 0, w->dx, ahead);
  }
}

/* The adjoint of a block's state starts at zero. */
static void clear_adjoint(const work *w) {
  for (int i = 0; i < w->net->layers; i++) {
    const size_t bytes = (size_t)(w->net->layer[i].hidden * WL_LANES) * sizeof(wl_real);
    memset(w->dh[i], 0, bytes);
    memset(w->dc[i], 0, bytes);
  }
}

/* Moves the adjoint of a block's state between the rule's layout and the padded scratch. */
static void move_adjoint(const work *w, wl_real *mu, int out) {
  for (int i = 0; i < w->net->layers; i++) {
    const wl_lstm_layer *l = &w->net->layer[i];
    const size_t bytes = (size_t)(l->hidden * WL_LANES) * sizeof *mu;
    wl_real *h = mu + l->h * WL_LANES, *c = mu + l->c * WL_LANES;
    memcpy(out ? h : w->dh[i], out ? w->dh[i] : h, bytes);
    memcpy(out ? c : w->dc[i], out ? w->dc[i] : c, bytes);
  }
}

/* lam of a block across step k: + loss_weight loss_grad. */
static void add_loss(const wl_rule_chunk *chunk, int64_t k, int64_t at, wl_real *lam) {
  const wl_real weight = (wl_real)chunk->loss_weight[k];
  const wl_real *grad = chunk->loss_grad + k * WL_LANES * chunk->blocks + at;
  for (int l = 0; l < WL_LANES; l++) lam[l] += weight * grad[l];
}

/* Record of block b at step k of the chunk. Step -1 is the one before, where there is one. */
static const wl_real *record_at(const work *w, const wl_rule_chunk *chunk, int64_t b, int64_t k) {
  if (k < 0) return chunk->tape_before ? chunk->tape_before + b * w->record.size : NULL;
  return chunk->tape + (k * chunk->blocks + b) * w->record.size;
}

/* h, and with it tanh c into `tanh_c`, of a step that is on record. */
static void unfold_outputs(const work *w, const wl_real *record, wl_real *tanh_c, wl_real *h) {
  for (int i = 0; i < w->net->layers; i++) {
    const wl_lstm_layer *l = &w->net->layer[i];
    outputs(l->hidden, record + w->record.gates[i], record + w->record.c[i],
            tanh_c + w->slot.tanh_c[i] * WL_LANES, h + l->h * WL_LANES);
  }
}

/* The start of a run of slots: the state before the chunk. */
static void start_run(const work *w, const wl_rule_chunk *chunk, int64_t b, wl_real *tape) {
  const int64_t state = w->net->width * WL_LANES;
  const wl_real *before = chunk->tape ? record_at(w, chunk, b, -1) : NULL;
  if (before) unfold_outputs(w, before, tape, tape);
  else memcpy(tape, chunk->state + b * state, (size_t)state * sizeof *tape);
}

/* Fills slots 1 .. steps from slot 0. */
static void replay(const work *w, const wl_rule_chunk *chunk, int64_t b, wl_real *tape) {
  const int64_t stride = WL_LANES * chunk->blocks;
  for (int64_t k = 0; k < chunk->steps; k++) {
    wl_real *slot = tape + (k + 1) * w->slot.size;
    step_block(w, chunk->g + k * stride + b * WL_LANES, slot - w->slot.size, slot, slot, NULL, NULL,
               false);
  }
}

/* Step k of block b from its record: fills what the slot lacks. tanh c of all steps goes to one place. */
static swept_step unfold(const work *w, const wl_rule_chunk *chunk, int64_t b, int64_t k,
                         wl_real *tape) {
  const wl_lstm_net *net = w->net;
  const wl_real *record = record_at(w, chunk, b, k), *before = record_at(w, chunk, b, k - 1);
  swept_step at = {.slot = tape + (k + 1) * w->slot.size};
  memcpy(at.slot + w->slot.x * WL_LANES, record,
         (size_t)(net->layer[0].in * WL_LANES) * sizeof *record);
  if (net->momentum > 0) {
    memcpy(at.slot + net->sum * WL_LANES, record + w->record.sum, WL_LANES * sizeof *record);
    memcpy(at.slot + (w->slot.head + 1) * WL_LANES, record + w->record.rate,
           WL_LANES * sizeof *record);
  }
  unfold_outputs(w, record, tape, at.slot);
  for (int i = 0; i < net->layers; i++) {
    at.gates[i] = record + w->record.gates[i];
    at.c_before[i] = before ? before + w->record.c[i] : tape + net->layer[i].c * WL_LANES;
    at.tanh_c[i] = tape + w->slot.tanh_c[i] * WL_LANES;
  }
  return at;
}

/* Step k of a block that was replayed. */
static swept_step replayed(const work *w, int64_t k, wl_real *tape) {
  swept_step at = {.slot = tape + (k + 1) * w->slot.size};
  for (int i = 0; i < w->net->layers; i++) {
    at.gates[i] = at.slot + w->slot.gates[i] * WL_LANES;
    at.c_before[i] = at.slot - w->slot.size + w->net->layer[i].c * WL_LANES;
    at.tanh_c[i] = at.slot + w->slot.tanh_c[i] * WL_LANES;
  }
  return at;
}

/* What to fetch at step k of block b: the record some steps on, of the next block at the end. */
static fetch fetch_ahead(const work *w, const wl_rule_chunk *chunk, int64_t b, int64_t k) {
  const bool here = k >= FETCH_AHEAD;
  const int64_t next = here ? k - FETCH_AHEAD : k - FETCH_AHEAD + chunk->steps;
  if (!chunk->tape || next < 0 || (!here && b + 1 == chunk->blocks)) return (fetch){NULL, 0};
  return (fetch){record_at(w, chunk, here ? b : b + 1, next), w->fetch_each};
}

/* Brings block b of the chunk into tape [steps + 1] slots and sweeps it back. */
static void sweep(const work *w, const wl_rule_chunk *chunk, int64_t b, wl_real *tape) {
  const int64_t stride = WL_LANES * chunk->blocks, at = b * WL_LANES,
                state = w->net->width * WL_LANES;
  start_run(w, chunk, b, tape);
  if (!chunk->tape) replay(w, chunk, b, tape);
  _Alignas(WL_ALIGN) wl_real unkept[WL_LANES] = {0};
  wl_real *mu = chunk->mu ? chunk->mu + b * state : NULL;
  wl_real *sum_bar = mu ? mu + w->net->sum * WL_LANES : unkept;
  if (mu) move_adjoint(w, mu, 0);
  else clear_adjoint(w);
  for (int64_t k = chunk->steps - 1; k >= 0; k--) {
    const swept_step step = chunk->tape ? unfold(w, chunk, b, k, tape) : replayed(w, k, tape);
    const wl_real *g = chunk->g + k * stride + at;
    wl_real *gbar = chunk->gbar ? chunk->gbar + k * stride + at : NULL;
    update_adjoint(w, g, chunk->lam + at, step.slot, sum_bar, gbar);
    fetch ahead = fetch_ahead(w, chunk, b, k);
    sweep_step(w, &step, gbar != NULL && w->net->through_inputs, &ahead);
    for (int64_t l = 0; gbar && l < WL_LANES; l += VECTOR_LANES)
      read_gradient_adjoint(w->net, load(g + l), step.slot + w->net->sum * WL_LANES + l, w->dx + l,
                            sum_bar + l, gbar + l);
    if (chunk->loss_grad) add_loss(chunk, k, at, chunk->lam + at);
  }
  if (mu) move_adjoint(w, mu, 1);
}

/* ---- Backward: weight gradient --------------------------------------------------------------- */

/* A run of tape: `blocks` blocks of `steps` steps, each preceded by its starting slot. */
typedef struct tape_run {
  int64_t blocks, steps, slot; /* slot: reals */
} tape_run;

/* out [inputs + bias][4] += sum over steps and lanes of in dz^T, for the 4 gates of one unit.
 * `in` and `dz` point into the first slot that takes part. */
INLINE void gradient_tile(const tape_run *run, const wl_real *in, const wl_real *dz,
                          const int inputs, const int bias, wl_real *out) {
  vec acc[GRAD_INPUTS][4] = {{{0}}};
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
  UNROLL for (int r = 0; r < inputs + bias; r++)
      add_sums(out + 4 * r, acc[r][0], acc[r][1], acc[r][2], acc[r][3]);
}

/* The tile's body for each number of inputs, so that accumulators stay in registers. */
#define GRADIENT_CASE(inputs, bias)                                                           \
  case 2 * (inputs) + (bias):                                                                 \
    for (int64_t j = 0; j < units; j++)                                                       \
      gradient_tile(run, in, dz + 4 * j * WL_LANES, (inputs), (bias), out + 4 * j * columns); \
    break;
NOINLINE void gradient_columns(const tape_run *run, const wl_real *in, const wl_real *dz,
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
#endif
  }
}

/* dW of the rows of x or h: `n` columns in tiles of GRAD_INPUTS. With a bias, it is the last tile's when
 * there is room in it. */
static void gradient_part(const tape_run *run, const wl_real *in, int64_t n, int bias,
                          const wl_real *dz, int64_t units, int64_t columns, wl_real *out) {
  for (int64_t from = 0; from < n; from += GRAD_INPUTS) {
    const int64_t inputs = n - from < GRAD_INPUTS ? n - from : GRAD_INPUTS;
    const int joined = bias && inputs < GRAD_INPUTS;
    gradient_columns(run, in + from * WL_LANES, dz, units, columns, inputs, joined, out + 4 * from);
    if (joined) bias = 0;
  }
  if (bias) gradient_columns(run, in, dz, units, columns, 0, 1, out + 4 * n);
}

/* dW of one layer: columns of h, x and the bias. A few units at a time, so that their dz of all steps
 * stay in L1 while the inputs pass by. */
static void layer_gradient(const work *w, const tape_run *run, int layer, wl_real *sums) {
  const wl_lstm_layer *l = &w->net->layer[layer];
  const int64_t H = l->hidden, columns = l->in + H + 1;
  const wl_real *next = w->tape + run->slot;
  const wl_real *x = next + (layer > 0 ? w->net->layer[layer - 1].h : w->slot.x) * WL_LANES;
  const wl_real *h = w->tape + l->h * WL_LANES; /* h before the step: one slot earlier */
  for (int64_t unit = 0; unit < H; unit += GRAD_UNITS) {
    const int64_t units = H - unit < GRAD_UNITS ? H - unit : GRAD_UNITS;
    const wl_real *dz = next + (w->slot.gates[layer] + 4 * unit) * WL_LANES;
    wl_real *out = sums + 4 * unit * columns;
    gradient_part(run, h, H, 0, dz, units, columns, out);
    gradient_part(run, x, l->in, 1, dz, units, columns, out + 4 * H);
  }
}

/* Output `head`: dw = sum d h, db = sum d, d its adjoint. */
NOINLINE void head_gradient(const work *w, const tape_run *run, int64_t head, wl_real *sums) {
  const wl_lstm_layer *l = &w->net->layer[w->net->layers - 1];
  for (int64_t j = 0; j < l->hidden; j += 4) {
    vec acc[4] = {{0}}, bias = {0};
    for (int64_t b = 0; b < run->blocks; b++)
      for (int64_t k = 1; k <= run->steps; k++) {
        const wl_real *slot = w->tape + (b * (run->steps + 1) + k) * run->slot;
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

/* From the order of the sums to that of phi. */
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

/* Blocks taken together: several when the chunk is short, so that the weight gradient has enough
 * terms to work on, yet the tape stays as short as that of a full chunk. */
static void backward(const wl_lstm_net *net, const void *packed, void *scratch,
                     const wl_rule_chunk *chunk, int64_t first, int64_t count, wl_real *partial) {
  work w;
  carve(&w, net, packed, scratch);
  memset(w.sums, 0, (size_t)w.sum.size * sizeof *w.sums);
  const int64_t together = WL_CHUNK_STEPS / chunk->steps;
  for (int64_t done = 0; done < count;) {
    const int64_t blocks = count - done < together ? count - done : together;
    const tape_run run = {.blocks = blocks, .steps = chunk->steps, .slot = w.slot.size};
    for (int64_t b = 0; b < blocks; b++)
      sweep(&w, chunk, first + done + b, w.tape + b * (chunk->steps + 1) * w.slot.size);
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
    TEXT(WL_VARIANT), packed_bytes, scratch_bytes, tape_reals, pack, step, backward};
