/* lstm_forward.h - computes one step of the LSTM for one block of coordinates, and stores the
 * activations that the adjoint reads.
 *
 * The product z = W [h; x] + b is computed in tiles of FWD_ROWS rows. The sums of the current tile
 * are in registers. The packed weights of the gates are multiplied by -log2 e, and the packed
 * weights of the candidate are multiplied by -2 log2 e. If z' is the result with these weights,
 * sigmoid(z) = 1/(1 + 2^z') and tanh(z) = (1 - 2^z')/(1 + 2^z'). The code stores 2^z' for each
 * tile. Separate passes then compute the cell states and the outputs. All functions are static,
 * because each compilation of the kernel needs separate copies (vector.h). */
#ifndef WL_RULE_LSTM_FORWARD_H
#define WL_RULE_LSTM_FORWARD_H

#include "rule/lstm_ends.h"
#include "rule/lstm_shapes.h"

#define LOG2_E 1.442695040888963407359924681

/* Adds the products of the weights w with n rows of `in` to `acc`, the sums of one tile. */
INLINE void forward_products(const wl_real *w, const wl_real *in, int64_t n,
                             vec acc[FWD_ROWS][COLS]) {
  for (int64_t k = 0; k < n; k++) {
    vec v[COLS];
    UNROLL for (int c = 0; c < COLS; c++) v[c] = load(in + k * WL_LANES + c * VECTOR_LANES);
    UNROLL for (int r = 0; r < FWD_ROWS; r++) UNROLL for (int c = 0; c < COLS; c++) acc[r][c] +=
        w[k * FWD_ROWS + r] * v[c];
  }
}

/* Computes e = 2^z' for one layer of one block, where z' = W [h; x] + b with the packed weights.
 * The array e has the shape [rows][16], where `rows` is 4 times the number of units, rounded up to
 * a multiple of FWD_ROWS. */
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

/* The addresses at which a step of one block stores the gates and the cell states that the adjoint
 * of the step reads. These stores bypass the caches. */
typedef struct kept_layer {
  /* gates: [hidden][4][16]; c: [hidden][16]; NULL: the step does not store the values */
  wl_real *gates, *c;
} kept_layer;

/* Computes the gates and the new cell state of one unit. The array `gates` contains the powers 2^z'
 * before the call, and it contains the gates after the call. The function needs only one division
 * for all four gates. The loops alternate between the vectors of a row, so that the processor can
 * overlap their operations. If `keep` is not NULL, the function stores the gates at `keep` instead,
 * and writes only o to `gates`. */
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

/* Computes tanh c of the new cell state c, and the output h = o tanh c. */
INLINE void output(const wl_real *gates, const wl_real *c_out, wl_real *tanh_c, wl_real *h_out) {
  vec e[COLS];
  EACH e[v] = load(c_out + at) * (wl_real)(-2 * LOG2_E);
  exp2_all(e, COLS);
  EACH e[v] = (1 - e[v]) / (1 + e[v]);
  EACH store(tanh_c + at, e[v]);
  EACH store(h_out + at, load(gates + 3 * WL_LANES + at) * e[v]);
#undef EACH
}

/* Computes the gates and the new cell states c of one layer for one block. */
NOINLINE void cells(int64_t H, const wl_real *c, wl_real *gates, wl_real *c_out, kept_layer keep) {
  for (int64_t j = 0; j < H; j++)
    UNROLL for (int lane = 0; lane < WL_LANES; lane += COLS * VECTOR_LANES) {
      const int64_t at = j * WL_LANES + lane, row = 4 * j * WL_LANES + lane;
      cell(gates + row, c + at, c_out + at, keep.gates ? keep.gates + row : NULL,
           keep.gates ? keep.c + at : NULL);
    }
}

/* Computes tanh c and h of one layer for one block. The forward pass, the recomputation of a step
 * and the code that reads stored activations all call this compiled function, so that their results
 * have equal bits. */
NOINLINE void outputs(int64_t H, const wl_real *gates, const wl_real *c_out, wl_real *tanh_c,
                      wl_real *h_out) {
  for (int64_t j = 0; j < H; j++)
    UNROLL for (int lane = 0; lane < WL_LANES; lane += COLS * VECTOR_LANES) {
      const int64_t at = j * WL_LANES + lane;
      output(gates + 4 * j * WL_LANES + lane, c_out + at, tanh_c + at, h_out + at);
    }
}

/* Returns output number `head` of the LSTM, which is w h + b, for one vector of coordinates. */
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

/* Computes the update of a block from h, the outputs of the last layer. Writes the rate of the
 * Nesterov step to `slot`. */
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

/* Writes to `record` the values that the step has not written yet: the inputs, the running sum and
 * the rate. If `past` is false, the function also writes the cell states. */
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

/* Computes one step of one block. The function reads the state `before`, and writes the state
 * `after` and the activations `slot`. The arrays `before` and `after` may be the same. If `record`
 * is not NULL, the function also writes to `record` the values that the adjoint reads. If `past` is
 * true, the stores to `record` bypass the caches. The forward pass and the recomputation of a step
 * call the same compiled function, so that their results have equal bits. */
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

#endif
