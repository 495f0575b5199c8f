/* trace.h - the values of the rule's steps that a window stores for its backward pass, in addition to gradients and
 * theta. There are three kinds of traces with one interface:
 *
 *   activations  the values of each step that the rule's adjoint needs, and the state before every WL_CHUNK_STEPS-th
 *                step
 *   states       the state before each step, for an adjoint that processes one step at a time
 *   recompute    the state before every WL_CHUNK_STEPS-th step; the steps in between are run again
 *
 * A trace covers one segment of a window, and `slot` is the number of a step in the segment. Snapshots are theta and
 * state at the starts of segments (window_impl.h). They are not a fourth kind: they divide a window into segments, and
 * each segment has a trace of one of the three kinds. The whole engine (task, preconditioner, rule, imitation) runs a
 * segment again, whereas a trace only stores the states of the rule. */
#ifndef WL_UNROLL_TRACE_H
#define WL_UNROLL_TRACE_H

#include "base/real.h"
#include "rule/rule.h"

/* The properties of the rule and the window that decide which kinds are possible. */
typedef struct wl_trace_shape {
  int64_t state; /* number of reals of the rule's state, over all blocks */
  int64_t
      record; /* number of reals of activations in a step of all blocks; 0 if the rule stores no activations */
  bool stepwise; /* the adjoint processes one step at a time */
} wl_trace_shape;

typedef struct wl_trace wl_trace;

typedef struct wl_trace_kind {
  const char *name;
  /* Returns true if the rule and the order support this kind. */
  bool (*serves)(const wl_trace_shape *shape);
  /* These functions return the number of reals that `steps` steps store: for states, for activations, and for the
   * states of the chunk that is run again. */
  int64_t (*states)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*activations)(const wl_trace_shape *shape, int64_t steps);
  int64_t (*chunk)(const wl_trace_shape *shape, int64_t steps);
  /* Stores the state before a step, if this kind stores this state and the trace does not hold it yet. */
  void (*keep)(const wl_trace *trace, int64_t slot, const wl_real *state);
  /* Returns the address for the state after a step: `state`, or the next step's place in the trace. */
  wl_real *(*after)(const wl_trace *trace, int64_t slot, wl_real *state);
  /* Returns the last stored state at or before step `slot`. */
  const wl_real *(*before)(const wl_trace *trace, int64_t slot);
} wl_trace_kind;

struct wl_trace {
  const wl_trace_kind *kind; /* NULL if the window stores no trace */
  wl_trace_shape shape;
  int64_t steps;        /* number of steps of a segment */
  wl_real *states;      /* [kind->states] */
  wl_real *activations; /* [steps][record] activations; NULL if they are not stored */
  wl_real
      *chunk; /* [WL_CHUNK_STEPS][state] states of a chunk that is run again; NULL if they are not stored */
};

/* The kinds, in order of falling speed. */
enum { WL_TRACE_ACTIVATIONS, WL_TRACE_STATES, WL_TRACE_RECOMPUTE, WL_TRACE_KINDS };
extern const wl_trace_kind wl_trace_kinds[WL_TRACE_KINDS];

/* Returns the number of reals that a segment of `steps` steps stores. */
int64_t wl_trace_reals(const wl_trace_kind *kind, const wl_trace_shape *shape, int64_t steps);
/* Returns the address for the activations of step `slot`, or NULL if this trace stores no activations. */
static inline wl_real *wl_trace_activations(const wl_trace *trace, int64_t slot) {
  return trace->activations ? trace->activations + slot * trace->shape.record : NULL;
}

#endif
