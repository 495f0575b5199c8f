/* trace.c - implements the three kinds of traces: activations, states and recompute. The interface
 * is in trace.h. */
#include "unroll/trace.h"

#include <string.h>

static int64_t none(const wl_trace_shape *s, int64_t steps) {
  (void)s, (void)steps;
  return 0;
}

/* ---- The kinds activations and recompute store the state before every WL_CHUNK_STEPS-th step.
 * ---- */

static int64_t sparse_states(const wl_trace_shape *s, int64_t steps) {
  return (steps + WL_CHUNK_STEPS - 1) / WL_CHUNK_STEPS * s->state;
}

static const wl_real *sparse_before(const wl_trace *t, int64_t slot) {
  return t->states + slot / WL_CHUNK_STEPS * t->shape.state;
}

static void sparse_keep(const wl_trace *t, int64_t slot, const wl_real *state) {
  if (slot % WL_CHUNK_STEPS == 0 && t->shape.state > 0)
    memcpy(t->states + slot / WL_CHUNK_STEPS * t->shape.state, state,
           (size_t)t->shape.state * sizeof *state);
}

static wl_real *sparse_after(const wl_trace *t, int64_t slot, wl_real *state) {
  (void)t, (void)slot;
  return state;
}

static bool activations_serve(const wl_trace_shape *s) { return s->record > 0; }
static int64_t activation_reals(const wl_trace_shape *s, int64_t steps) {
  return steps * s->record;
}

static bool recompute_serves(const wl_trace_shape *s) {
  (void)s;
  return true;
}
static int64_t recompute_chunk(const wl_trace_shape *s, int64_t steps) {
  return s->stepwise ? (steps < WL_CHUNK_STEPS ? steps : WL_CHUNK_STEPS) * s->state : 0;
}

/* ---- The kind states: each step writes its new state to the trace, and the next step reads this
 * state from the trace. ---- */

static bool states_serves(const wl_trace_shape *s) { return s->stepwise && s->state > 0; }
static int64_t every_state(const wl_trace_shape *s, int64_t steps) { return steps * s->state; }

static const wl_real *states_before(const wl_trace *t, int64_t slot) {
  return t->states + slot * t->shape.state;
}

static void states_keep(const wl_trace *t, int64_t slot, const wl_real *state) {
  wl_real *const kept = t->states + slot * t->shape.state;
  if (kept != state) memcpy(kept, state, (size_t)t->shape.state * sizeof *state);
}

static wl_real *states_after(const wl_trace *t, int64_t slot, wl_real *state) {
  return slot + 1 < t->steps ? t->states + (slot + 1) * t->shape.state : state;
}

const wl_trace_kind wl_trace_kinds[WL_TRACE_KINDS] = {
    [WL_TRACE_ACTIVATIONS] = {"activations", activations_serve, sparse_states, activation_reals,
                              none, sparse_keep, sparse_after, sparse_before},
    [WL_TRACE_STATES] = {"states", states_serves, every_state, none, none, states_keep,
                         states_after, states_before},
    [WL_TRACE_RECOMPUTE] = {"recompute", recompute_serves, sparse_states, none, recompute_chunk,
                            sparse_keep, sparse_after, sparse_before}};

int64_t wl_trace_reals(const wl_trace_kind *k, const wl_trace_shape *s, int64_t steps) {
  return k->states(s, steps) + k->activations(s, steps) + k->chunk(s, steps);
}
