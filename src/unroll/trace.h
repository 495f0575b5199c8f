/* trace.h - what a window stores of the rule's steps for its backward pass, in addition to gradients and theta. There
 * are three kinds of traces with one interface.
 *
 *   activations  what the rule's adjoint needs of each step, and the state before every WL_CHUNK_STEPS-th step
 *   states       the state before each step, for an adjoint that processes one step at a time
 *   recompute    the state before every WL_CHUNK_STEPS-th step: the steps in between are run again
 *
 * A trace covers one segment of a window; `slot` numbers the steps of the segment. Snapshots (theta and state at the
 * starts of segments, window_impl.h) are no fourth kind: they cut a window into segments, and each segment has a trace
 * of any of the three kinds. A segment is run again by the whole engine (task, preconditioner, rule, imitation), whereas
 * a kind of trace knows only the rule's states. */
#ifndef WL_UNROLL_TRACE_H
#define WL_UNROLL_TRACE_H

#include "base/real.h"
#include "rule/rule.h"

/* Properties of the rule and the window on which the kinds depend. */
typedef struct wl_trace_shape {
  int64_t state; /* number of reals of the rule's state, over all blocks */
  int64_t
      record; /* reals of the activations that a step of all blocks stores; 0: the rule stores no activations */
  bool stepwise; /* the adjoint processes one step at a time */
} wl_trace_shape;

typedef struct wl_trace wl_trace;

typedef struct wl_trace_kind {
  const char *name;
  /* Whether the rule and the order support this kind. */
  bool (*serves)(const wl_trace_shape *shape);
  /* Return the number of reals that `steps` steps store: of states, of activations, and of the states of the chunk
   * that is run again. */
  int64_t (*states)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*activations)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*chunk)(const wl_trace_shape *shape, int64_t steps);
  /* Stores the state before a step in the trace, unless this kind does not store that state or the trace already holds
   * the state. */
  void (*keep)(const wl_trace *trace, int64_t slot, const wl_real *state);
  /* Returns the address for the state after a step: `state`, or the trace's place for the next step's state. */
  wl_real *(*after)(const wl_trace *trace, int64_t slot, wl_real *state);
  /* Returns the last stored state at or before step `slot`. */
  const wl_real *(*before)(const wl_trace *trace, int64_t slot);
} wl_trace_kind;

struct wl_trace {
  const wl_trace_kind *kind; /* NULL: the window stores no trace */
  wl_trace_shape shape;
  int64_t steps;        /* steps of a segment */
  wl_real *states;      /* [kind->states] */
  wl_real *activations; /* [steps][record]; NULL: no activations are stored */
  wl_real
      *chunk; /* [WL_CHUNK_STEPS][state] states of a chunk that is run again; NULL: not stored */
};

/* The kinds in order of speed, the fastest first. */
enum { WL_TRACE_ACTIVATIONS, WL_TRACE_STATES, WL_TRACE_RECOMPUTE, WL_TRACE_KINDS };
extern const wl_trace_kind wl_trace_kinds[WL_TRACE_KINDS];

/* Returns the number of reals that a segment of `steps` steps stores. */
int64_t wl_trace_reals(const wl_trace_kind *kind, const wl_trace_shape *shape, int64_t steps);
/* Returns the address for the activations of step `slot`; NULL: this trace stores no activations. */
static inline wl_real *wl_trace_activations(const wl_trace *trace, int64_t slot) {
  return trace->activations ? trace->activations + slot * trace->shape.record : NULL;
}

#endif
