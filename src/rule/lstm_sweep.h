/* lstm_sweep.h - computes the sweep, which is the adjoint of the steps of one block, from the last
 * step to the first. The sweep overwrites the gates in a slot with dz, the adjoint of the
 * pre-activations. The product W^T dz is computed in tiles of SWEEP_ROWS rows.
 *
 * The sweep needs the values of the forward pass. If the forward pass has stored records
 * (lstm_shapes.h), the sweep reads the values from the records. If there are no records, the
 * function of the forward pass computes the steps again. The results have the same bits as in the
 * forward pass. All functions are static, because each compilation of the kernel needs separate
 * copies (vector.h). */
#ifndef WL_RULE_LSTM_SWEEP_H
#define WL_RULE_LSTM_SWEEP_H

#include <string.h>

#include "rule/lstm_forward.h"

/* Computes dz of one layer at one step from the gates. The arrays `gates` and `dz` may be the same.
 * The function replaces the adjoint of the new cell state in dc by the adjoint of the old cell
 * state. */
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

/* The data that a step prefetches into the L2 cache. Each tile prefetches only a few cache lines,
 * because many requests at once would fill the processor's queue of memory requests. */
typedef struct fetch {
  int spans;
  struct {
    const wl_real *next;
    /* left: number of elements that are not yet prefetched; each: number of elements that one tile
     * prefetches */
    int64_t left, each;
  } span[3];
} fetch;

/* Adds the `rows` rows at the address p to the data that a step prefetches. */
static void ask(const work *w, const wl_real *p, int64_t rows, fetch *f) {
  f->span[f->spans].next = p;
  f->span[f->spans].left = rows * WL_LANES;
  f->span[f->spans++].each = tiles(rows, w->sweep_tiles) * WL_LANES;
}

INLINE void fetch_some(fetch *f) {
  for (int s = 0; s < f->spans; s++) {
    const int64_t now = f->span[s].left < f->span[s].each ? f->span[s].left : f->span[s].each;
    for (int64_t i = 0; i < now; i += WL_ALIGN / (int64_t)sizeof(wl_real))
      __builtin_prefetch(f->span[s].next + i, 0, 2);
    f->span[s].next += now;
    f->span[s].left -= now;
  }
}

/* Computes `n` rows of W^T dz in tiles of SWEEP_ROWS rows, where dz has 4 * H rows and H is the
 * number of units. If `add` is nonzero, the function adds the result to `out`. If `add` is zero,
 * the function overwrites `out`. */
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

/* Stores d, the adjoint of output number `head`, in the slot. Adds the contribution of this output
 * to dh, the adjoint of the last layer's h. */
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

/* Computes the adjoint of the update of one block. If gbar is not NULL, the function also computes
 * the contributions of the Nesterov step. The function writes the contribution to the adjoint of g
 * to gbar, and adds the contribution to the adjoint of V' to sum_bar. */
static void update_adjoint(const work *w, const wl_real *g, const wl_real *lam, wl_real *slot,
                           wl_real *sum_bar, wl_real *gbar) {
  const wl_lstm_net *net = w->net;
  for (int64_t lane = 0; lane < WL_LANES; lane += VECTOR_LANES) {
    const vec du = load(lam + lane);
    output_adjoint(w, 0, lane, du * net->output_scale, slot);
    if (!(net->momentum > 0)) continue;
    /* adjoint of g + b V' */
    const vec step_bar = -load(slot + (w->slot.head + 1) * WL_LANES + lane) * du;
    output_adjoint(
        w, 1, lane,
        step_bar * nesterov_direction(net, load(g + lane), load(slot + net->sum * WL_LANES + lane)),
        slot);
    if (!gbar) continue;
    store(gbar + lane, step_bar);
    store(sum_bar + lane, load(sum_bar + lane) + net->momentum * step_bar);
  }
}

/* The addresses that the sweep needs for one step of a block. If there are records, `gates` and
 * `c_before` point to records. If there are no records, `gates` and `c_before` point to slots. */
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

/* Sets the adjoint of the state of one block to zero. */
static void clear_adjoint(const work *w) {
  for (int i = 0; i < w->net->layers; i++) {
    const size_t bytes = (size_t)(w->net->layer[i].hidden * WL_LANES) * sizeof(wl_real);
    memset(w->dh[i], 0, bytes);
    memset(w->dc[i], 0, bytes);
  }
}

/* Copies the adjoint of a block's state. If `out` is nonzero, the function copies from the scratch
 * memory to mu. If `out` is zero, the function copies from mu to the scratch memory. */
static void move_adjoint(const work *w, wl_real *mu, int out) {
  for (int i = 0; i < w->net->layers; i++) {
    const wl_lstm_layer *l = &w->net->layer[i];
    const size_t bytes = (size_t)(l->hidden * WL_LANES) * sizeof *mu;
    wl_real *h = mu + l->h * WL_LANES, *c = mu + l->c * WL_LANES;
    memcpy(out ? h : w->dh[i], out ? w->dh[i] : h, bytes);
    memcpy(out ? c : w->dc[i], out ? w->dc[i] : c, bytes);
  }
}

/* Adds loss_weight[k] times the gradient of the outer loss at theta_k to lam, the adjoint of theta,
 * for one block. */
static void add_loss(const wl_rule_chunk *chunk, int64_t k, int64_t at, wl_real *lam) {
  const wl_real weight = (wl_real)chunk->loss_weight[k];
  const wl_real *grad = chunk->loss_grad + k * WL_LANES * chunk->blocks + at;
  for (int l = 0; l < WL_LANES; l++) lam[l] += weight * grad[l];
}

/* Returns the record of block b at step k of the chunk. Step -1 is the step before the chunk; if
 * that step has no record, the function returns NULL. */
static const wl_real *record_at(const work *w, const wl_rule_chunk *chunk, int64_t b, int64_t k) {
  if (k < 0)
    return chunk->activations_before ? chunk->activations_before + b * w->record.size : NULL;
  return chunk->activations + (k * chunk->blocks + b) * w->record.size;
}

/* Computes tanh c and h of all layers from a record. */
static void unfold_outputs(const work *w, const wl_real *record, wl_real *tanh_c, wl_real *h) {
  for (int i = 0; i < w->net->layers; i++) {
    const wl_lstm_layer *l = &w->net->layer[i];
    outputs(l->hidden, record + w->record.gates[i], record + w->record.c[i],
            tanh_c + w->slot.tanh_c[i] * WL_LANES, h + l->h * WL_LANES);
  }
}

/* Writes the state before the chunk to slot 0. */
static void start_run(const work *w, const wl_rule_chunk *chunk, int64_t b, wl_real *slots) {
  const int64_t state = w->net->width * WL_LANES;
  const wl_real *before = chunk->activations ? record_at(w, chunk, b, -1) : NULL;
  if (before) unfold_outputs(w, before, slots, slots);
  else memcpy(slots, chunk->state + b * state, (size_t)state * sizeof *slots);
}

/* Computes the slots 1 to `steps` from slot 0 and the gradients. */
static void run_again(const work *w, const wl_rule_chunk *chunk, int64_t b, wl_real *slots) {
  const int64_t stride = WL_LANES * chunk->blocks;
  for (int64_t k = 0; k < chunk->steps; k++) {
    wl_real *slot = slots + (k + 1) * w->slot.size;
    step_block(w, chunk->g + k * stride + b * WL_LANES, slot - w->slot.size, slot, slot, NULL, NULL,
               false);
  }
}

/* Fills the slot of step k of block b from the step's record, and returns the addresses that the
 * sweep needs for the step. All steps use the same array for tanh c. */
static swept_step unfold(const work *w, const wl_rule_chunk *chunk, int64_t b, int64_t k,
                         wl_real *slots) {
  const wl_lstm_net *net = w->net;
  const wl_real *record = record_at(w, chunk, b, k), *before = record_at(w, chunk, b, k - 1);
  swept_step at = {.slot = slots + (k + 1) * w->slot.size};
  memcpy(at.slot + w->slot.x * WL_LANES, record,
         (size_t)(net->layer[0].in * WL_LANES) * sizeof *record);
  if (net->momentum > 0) {
    memcpy(at.slot + net->sum * WL_LANES, record + w->record.sum, WL_LANES * sizeof *record);
    memcpy(at.slot + (w->slot.head + 1) * WL_LANES, record + w->record.rate,
           WL_LANES * sizeof *record);
  }
  unfold_outputs(w, record, slots, at.slot);
  for (int i = 0; i < net->layers; i++) {
    at.gates[i] = record + w->record.gates[i];
    at.c_before[i] = before ? before + w->record.c[i] : slots + net->layer[i].c * WL_LANES;
    at.tanh_c[i] = slots + w->slot.tanh_c[i] * WL_LANES;
  }
  return at;
}

/* Returns the addresses that the sweep needs for step k, which all point to the slots. The function
 * run_again must have filled the slots. */
static swept_step replayed(const work *w, int64_t k, wl_real *slots) {
  swept_step at = {.slot = slots + (k + 1) * w->slot.size};
  for (int i = 0; i < w->net->layers; i++) {
    at.gates[i] = at.slot + w->slot.gates[i] * WL_LANES;
    at.c_before[i] = at.slot - w->slot.size + w->net->layer[i].c * WL_LANES;
    at.tanh_c[i] = at.slot + w->slot.tanh_c[i] * WL_LANES;
  }
  return at;
}

/* Returns the data that step k of block b prefetches: a record that the sweep reads FETCH_AHEAD
 * steps later, possibly for the next block. The last step of a block also prefetches the starting
 * state of the next block. */
static fetch fetch_ahead(const work *w, const wl_rule_chunk *chunk, int64_t b, int64_t k) {
  fetch f = {.spans = 0};
  const int64_t record = w->record.size / WL_LANES, ahead = k - FETCH_AHEAD;
  const bool more = b + 1 < chunk->blocks;
  if (chunk->activations && (ahead >= 0 || more)) {
    /* `step` is negative if the chunk has fewer than FETCH_AHEAD steps */
    const int64_t step = ahead >= 0 ? ahead : ahead + chunk->steps;
    ask(w, record_at(w, chunk, ahead >= 0 ? b : b + 1, step < 0 ? 0 : step), record, &f);
  }
  if (k > 0 || !more) return f;
  const int64_t width = w->net->width, state = width * WL_LANES;
  const wl_real *const before = chunk->activations ? record_at(w, chunk, b + 1, -1) : NULL;
  if (before) ask(w, before, record, &f);
  else ask(w, chunk->state + (b + 1) * state, width, &f);
  if (chunk->mu) ask(w, chunk->mu + (b + 1) * state, width, &f);
  return f;
}

/* Computes the steps + 1 slots of block b of the chunk, and the adjoint of the block's steps. */
static void sweep(const work *w, const wl_rule_chunk *chunk, int64_t b, wl_real *slots) {
  const int64_t stride = WL_LANES * chunk->blocks, at = b * WL_LANES,
                state = w->net->width * WL_LANES;
  start_run(w, chunk, b, slots);
  if (!chunk->activations) run_again(w, chunk, b, slots);
  _Alignas(WL_ALIGN) wl_real unkept[WL_LANES] = {0};
  wl_real *mu = chunk->mu ? chunk->mu + b * state : NULL;
  wl_real *sum_bar = mu ? mu + w->net->sum * WL_LANES : unkept;
  if (mu) move_adjoint(w, mu, 0);
  else clear_adjoint(w);
  for (int64_t k = chunk->steps - 1; k >= 0; k--) {
    const swept_step step =
        chunk->activations ? unfold(w, chunk, b, k, slots) : replayed(w, k, slots);
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

#endif
