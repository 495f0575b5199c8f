/* trace.h - stores values of each step of the rule. The backward pass of a window needs the stored
 * values in addition to the gradients and theta. There are three kinds of traces with one
 * interface:
 *
 * - activations: stores the values that the rule's adjoint needs at each step, and the state before
 *   every WL_CHUNK_STEPS-th step.
 * - states: stores the state before each step, for an adjoint that processes one step at a time.
 * - recompute: stores the state before every WL_CHUNK_STEPS-th step. The backward pass runs the
 *   steps of a chunk again.
 *
 * A trace contains the values of one segment of a window, and `slot` is the number of a step in the
 * segment. Snapshots (window_impl.h) are a separate mechanism: copies of theta and state at the
 * start of each segment. The backward pass runs each segment again from its snapshot with all parts
 * of the engine: task, preconditioner, rule and imitation. Each segment has a trace of one of the
 * three kinds. */
#ifndef WL_UNROLL_TRACE_H
#define WL_UNROLL_TRACE_H

#include "base/real.h"
#include "rule/rule.h"

/* Properties of the rule and of the window that determine which kinds of traces are possible. */
typedef struct wl_trace_shape {
  int64_t state; /* number of elements (wl_real) of the rule's state of all coordinates */
  /* number of elements of the activations of all coordinates in one step; 0 if the rule stores
   * no activations */
  int64_t record;
  bool stepwise; /* true if the backward pass processes one step at a time */
} wl_trace_shape;

typedef struct wl_trace wl_trace;

typedef struct wl_trace_kind {
  const char *name;
  /* Returns true if this kind of trace is possible for a rule and a window with the properties
   * `shape`. */
  bool (*serves)(const wl_trace_shape *shape);
  /* The next three functions return numbers of elements that the trace of a segment of `steps`
   * steps stores. The function `states` counts the elements of all stored states, `activations`
   * counts the elements of all activations, and `chunk` counts the elements of the recomputed
   * states of one chunk. */
  int64_t (*states)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*activations)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*chunk)(const wl_trace_shape *shape, int64_t steps);
  /* Stores the state before step `slot`. Does nothing if this kind of trace stores no state for
   * this step, or if the trace already contains the state. */
  void (*keep)(const wl_trace *trace, int64_t slot, const wl_real *state);
  /* Returns the address to which step `slot` must write the next state: `state`, or an address in
   * the trace. */
  wl_real *(*after)(const wl_trace *trace, int64_t slot, wl_real *state);
  /* Returns the last stored state that belongs to step `slot` or to an earlier step. */
  const wl_real *(*before)(const wl_trace *trace, int64_t slot);
} wl_trace_kind;

struct wl_trace {
  const wl_trace_kind *kind; /* kind of the trace; NULL if the window stores no trace */
  wl_trace_shape shape;
  int64_t steps;   /* number of inner steps of the segment */
  wl_real *states; /* [kind->states] states that the trace stores */
  /* [steps][record] activations; NULL if this kind does not store activations */
  wl_real *activations;
  /* [WL_CHUNK_STEPS][state] recomputed states of one chunk; NULL if states are not recomputed */
  wl_real *chunk;
};

/* The kinds of traces. A kind with a faster backward pass precedes a kind with a slower backward
 * pass. */
enum { WL_TRACE_ACTIVATIONS, WL_TRACE_STATES, WL_TRACE_RECOMPUTE, WL_TRACE_KINDS };
extern const wl_trace_kind wl_trace_kinds[WL_TRACE_KINDS];

/* Returns the number of elements that a trace of a segment of `steps` steps stores in total. */
int64_t wl_trace_reals(const wl_trace_kind *kind, const wl_trace_shape *shape, int64_t steps);
/* Returns the address of the activations of step `slot`, or NULL if this trace stores no
 * activations. */
static inline wl_real *wl_trace_activations(const wl_trace *trace, int64_t slot) {
  return trace->activations ? trace->activations + slot * trace->shape.record : NULL;
}

#endif
