/* window_impl.h - declares the workspace of the engine, which window_ws.c, window.c and
 * window_backward.c share. */
#ifndef WL_UNROLL_WINDOW_IMPL_H
#define WL_UNROLL_WINDOW_IMPL_H

#include "unroll/path.h"
#include "unroll/trace.h"

/* Sizes that depend only on model, task and settings. A window of K steps is divided into segments,
 * and a snapshot of theta and state is stored at the start of each segment. When the backward pass
 * reaches a segment, the pass recomputes the traces of the segment from the snapshot. If the memory
 * suffices, the whole window is one segment. */
typedef struct wl_window_plan {
  /* number of coordinates; number of coordinates padded to whole blocks; number of blocks */
  int64_t n, pad, blocks;
  /* number of inner steps in a segment: K, or a multiple of WL_CHUNK_STEPS */
  int64_t segment;
  int64_t segments;          /* number of segments in a window: ceil(K / segment) */
  const wl_trace_kind *kind; /* kind of the traces; NULL if windows only run forward */
  wl_trace_shape kept;       /* sizes that determine how many elements a trace stores for each
                              * step */
  /* index of the preconditioned gradient of the previous step in the state of a unit */
  int64_t before_at;
  /* true if the preconditioner reads the preconditioned gradient of the previous step */
  bool reads_before;
  int64_t teacher;     /* number of elements of the teacher's state */
  /* number of elements of the factor that the preconditioner computes from the gradient of a
   * step */
  int64_t factor;
  /* true if the trace stores theta at each step, because the rule reads theta or the backward pass
   * runs step by step */
  bool keep_theta;
  /* true if the backward pass processes one step at a time. This order is necessary in each of
   * three cases: the training is of second order; the preconditioner reads theta; or the rule reads
   * theta and the window imitates a teacher. */
  bool time_outermost;
} wl_window_plan;

/* The position and the loss at the end of a window. In second order, if outer losses use the
 * minibatches of the inner losses, the last outer loss and gradient of a window are also the first
 * inner loss and gradient of the next window. */
typedef struct wl_window_end {
  bool valid;
  wl_episode episode;
  /* number of completed inner steps of the episode, and draw number of the unit */
  int64_t t, drawn;
  double loss;
} wl_window_end;

/* Values of the current window that the forward and the backward pass share in addition to the
 * workspace. */
typedef struct wl_window_run_state {
  struct wl_unroll_ws *ws;
  wl_unit *unit;
  /* current state: the array of the unit, or an address in the trace if the trace stores every
   * state */
  wl_real *state;
  /* first inner step of the window in the episode, and number of inner steps of the window */
  int64_t t0, steps;
  double weight_sum; /* W, the sum of the weights w_k; the transform log_ratio and the imitation
                      * terms use W */
  /* vector to which the meta-gradient is added; NULL if the window only runs forward */
  double *phi_grad;
  bool imitates;     /* true if the episode of the unit imitates the teacher */
  wl_real *teacher;  /* state of the teacher */
  /* true if the window begins where the previous window of the workspace ended; ws->last then
   * contains the loss and the gradient of the first step */
  bool continues;
} wl_window_run_state;

/* Values that the window stores for each step of the current segment. */
typedef struct wl_segment_traces {
  /* [segment+1][pad] raw inner gradients; the last row may contain the outer gradient at theta_K */
  wl_real *g;
  /* [segment+1][pad] outer gradients; the same array as g if outer losses use the minibatches of
   * the inner losses */
  wl_real *outer_g;
  wl_real *theta;   /* [segment][pad] theta before each step */
  /* [segment][factor] factors that the preconditioner computes from the gradients */
  wl_real *factor;
  wl_trace rule;    /* values that the rule's adjoint needs from each step of the rule */
} wl_segment_traces;

/* Snapshots: values that are stored at the start of each segment. */
typedef struct wl_segment_snapshots {
  wl_real *theta;   /* [segments][pad] inner parameters theta */
  wl_real *state;   /* [segments][state] state of rule and preconditioner */
  wl_real *teacher; /* [segments][teacher] state of the teacher */
} wl_segment_snapshots;

/* Buffers for the imitation of a teacher. */
typedef struct wl_imitation_ws {
  wl_imitation_weights weights;
  wl_rule_ws *teacher;
  wl_real *taught;         /* [pad] update of the teacher */
  double *terms;           /* [K][WL_IMITATION_TERMS] imitation terms of each step */
  /* [segment][pad] derivative of the imitation terms with respect to the update of the rule */
  wl_real *bar;
  wl_real *rule_bar;       /* [pad] adjoint of the update of the rule */
  /* [WL_CHUNK_STEPS][pad] difference between rule_bar of the previous step and rule_bar of each
   * step */
  wl_real *rule_bar_steps;
} wl_imitation_ws;

/* Adjoints and gradients that the backward pass computes. */
typedef struct wl_adjoint {
  wl_real *lam;       /* [pad] adjoint of theta */
  wl_real *mu;        /* [state] adjoint of the state of rule and preconditioner */
  wl_real *gbar;      /* [WL_CHUNK_STEPS][pad] adjoints of the gradients of a chunk */
  wl_real *hv;        /* [pad] product of the Hessian of the inner loss and gbar; also used as
                       * temporary memory for an inner gradient */
  wl_real *warp_grad; /* [warp_size] */
} wl_adjoint;

/* Loss and gradients at the end of the last window. The workspace outer_task_ws contains the values
 * of the task's forward pass at the end of the last window. */
typedef struct wl_last_end {
  wl_window_end end;
  wl_real *theta, *g; /* [pad] */
  wl_real *warp_grad; /* [warp_size] */
} wl_last_end;

struct wl_unroll_ws {
  const wl_model *model;
  const wl_task *task;
  wl_window_spec spec;
  wl_window_plan plan;
  bool with_gradient;
  wl_window_run_state run; /* values of the current window or, between windows, of the last
                            * window */
  /* function that may interrupt windows; NULL if windows are never interrupted */
  wl_interrupt interrupt;
  void *interrupt_context;
  wl_task_ws *task_ws;       /* workspace of the task for inner losses */
  /* workspace of the task for outer losses; equal to task_ws if the backward pass does not run step
   * by step */
  wl_task_ws *outer_task_ws;
  wl_last_end last;
  /* number of the step whose forward pass task_ws contains, for Hessian-vector products; -1 if
   * there is none */
  int64_t held;
  wl_rule_ws *rule_ws;
  wl_real *phi;         /* [phi.size] meta-parameters in working precision */
  /* u: [pad] update of the current step. scratch: temporary memory of the preconditioner. */
  wl_real *u, *scratch;
  /* observer that is used if tensors of theta_0 are learned from path steps */
  wl_path path;
  /* preconditioned gradients: [pad], or [WL_CHUNK_STEPS][pad] in a workspace with a backward
   * pass */
  wl_real *pg;
  double *weight;       /* [K+1] values of w_k T'(L_k), which the forward pass computes */
  double *outer_loss;   /* [K+1] outer loss at each theta_k */
  double *inner_loss;   /* [K+1] inner loss at theta_k for each step that was run */
  wl_segment_traces traces;
  wl_segment_snapshots snapshots;
  wl_imitation_ws imitation;
  wl_adjoint adjoint;
};

/* Returns true if a window can reuse the last loss and the last gradient of the preceding window of
 * the episode. */
static inline bool wl_ws_continues(const wl_unroll_ws *ws) {
  return ws->plan.time_outermost && !ws->spec.fresh;
}
static inline const wl_real *wl_ws_warp(const wl_unroll_ws *ws) {
  return ws->model->warp_size > 0 ? ws->phi + ws->model->warp_at : NULL;
}
static inline wl_real *wl_ws_factor(const wl_unroll_ws *ws, int64_t slot) {
  return ws->traces.factor ? ws->traces.factor + slot * ws->plan.factor : NULL;
}
/* Returns the inputs of the preconditioner at inner step t. `slot` is the number of this step in
 * its segment. The caller sets the member `before`. */
static inline wl_gradient wl_ws_gradient(const wl_unroll_ws *ws, int64_t t, int64_t slot,
                                         const wl_real *g, const wl_real *theta) {
  return (wl_gradient){
      .t = t, .n = ws->plan.n, .g = g, .theta = theta, .factor = wl_ws_factor(ws, slot)};
}
/* Returns the preconditioned gradient of the previous step, which is a part of `state`. Returns
 * NULL if the preconditioner does not read this gradient. */
static inline const wl_real *wl_ws_before(const wl_unroll_ws *ws, const wl_real *state) {
  return ws->plan.reads_before ? state + ws->plan.before_at : NULL;
}
static inline wl_batch wl_inner_batch(const wl_unit *unit, int64_t t) {
  return (wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, unit->draw + t};
}

static inline bool wl_ws_is_interrupted(const wl_unroll_ws *ws) {
  return ws->interrupt && ws->interrupt(ws->interrupt_context);
}

/* Runs the steps [first, first + count) of the window again from copies of theta and state, and
 * advances these copies. Fills the traces with the same bits as the forward pass. The unit does not
 * change. */
void wl_window_retrace(wl_window_run_state *run, int64_t first, int64_t count, wl_real *theta,
                       wl_real *state);
#endif
