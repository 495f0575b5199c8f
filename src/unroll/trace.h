/* trace.h - what a window keeps of the rule's steps for its backward pass, in addition to gradients and theta. There
 * are three kinds of traces with one interface.
 *
 *   activations  what the rule's adjoint needs of each step, and the state before every WL_CHUNK_STEPS-th
 *   states       the state before each step, for an adjoint that takes one step at a time
 *   recompute    the state before every WL_CHUNK_STEPS-th step: the steps between are run again
 *
 * A trace covers one segment of a window; its steps are numbered by `slot`. */
#ifndef WL_UNROLL_TRACE_H
#define WL_UNROLL_TRACE_H

#include "base/real.h"
#include "rule/rule.h"

/* Properties of the rule and the window on which the kinds depend. */
typedef struct wl_trace_shape {
  int64_t state; /* number of reals of the rule's state, over all blocks */
  int64_t
      record; /* reals of the activations that a step of all blocks keeps; 0: the rule keeps none */
  bool stepwise; /* the adjoint takes one step at a time */
} wl_trace_shape;

typedef struct wl_trace wl_trace;

typedef struct wl_trace_kind {
  const char *name;
  /* Whether the rule and the order support this kind. */
  bool (*serves)(const wl_trace_shape *shape);
  /* Numbers of reals for `steps` steps: states, activations, and the states of the chunk that is run again. */
  int64_t (*states)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*activations)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*chunk)(const wl_trace_shape *shape, int64_t steps);
  /* Keeps the state before a step, unless this kind does not keep that state or the state is already there. */
  void (*keep)(const wl_trace *trace, int64_t slot, const wl_real *state);
  /* Returns the address for the state after a step: `state`, or the place where the next step would keep it. */
  wl_real *(*after)(const wl_trace *trace, int64_t slot, wl_real *state);
  /* Returns the last state that is kept at or before step `slot`. */
  const wl_real *(*before)(const wl_trace *trace, int64_t slot);
} wl_trace_kind;

struct wl_trace {
  const wl_trace_kind *kind; /* NULL: nothing is kept */
  wl_trace_shape shape;
  int64_t steps;        /* steps of a segment */
  wl_real *states;      /* [kind->states] */
  wl_real *activations; /* [steps][record]; NULL: none */
  wl_real
      *chunk; /* [WL_CHUNK_STEPS][state] states of a chunk that is run again; NULL: not wanted */
};

/* The kinds in order of speed, the fastest first. */
enum { WL_TRACE_ACTIVATIONS, WL_TRACE_STATES, WL_TRACE_RECOMPUTE, WL_TRACE_KINDS };
extern const wl_trace_kind wl_trace_kinds[WL_TRACE_KINDS];

/* Returns the number of reals that a segment of `steps` steps keeps. */
int64_t wl_trace_reals(const wl_trace_kind *kind, const wl_trace_shape *shape, int64_t steps);
/* Returns the address for the activations of step `slot`; NULL: this trace keeps none. */
static inline wl_real *wl_trace_activations(const wl_trace *trace, int64_t slot) {
  return trace->activations ? trace->activations + slot * trace->shape.record : NULL;
}

#endif
