/* window_impl.h - the engine's workspace, shared by window_ws.c, window.c and window_backward.c. */
#ifndef WL_UNROLL_WINDOW_IMPL_H
#define WL_UNROLL_WINDOW_IMPL_H

#include "unroll/path.h"
#include "unroll/trace.h"

/* The sizes that follow from model, task and settings. A window of K steps is divided into segments. The state at the
 * start of each segment is stored. When the backward pass reaches a segment, the traces of the segment are recomputed
 * from this state. If memory allows, the whole window is one segment. */
typedef struct wl_window_plan {
  int64_t n, pad, blocks;    /* number of coordinates, padded number, number of blocks of WL_LANES */
  int64_t segment;           /* number of steps of a segment: K, or a multiple of WL_CHUNK_STEPS */
  int64_t segments;          /* number of segments: ceil(K / segment) */
  const wl_trace_kind *kind; /* kind of trace; NULL if the window only runs forward */
  wl_trace_shape kept;       /* shape of the trace of a step */
  int64_t before_at;         /* offset of the last preconditioned gradient in a unit's state */
  bool reads_before;         /* the preconditioner reads the last preconditioned gradient */
  int64_t teacher;     /* number of reals of the teacher's state */
  int64_t factor;      /* number of reals that the preconditioner computes from the gradient of a step */
  bool keep_theta;     /* the trace stores theta, because a part of the model reads it or time is the outermost loop */
  bool time_outermost; /* the backward pass runs step by step: in second order, or if the preconditioner reads theta */
} wl_window_plan;

/* The end of a second-order window. If outer losses are on the inner batches, the last loss and gradient of the window
 * are the first inner loss and gradient of the next window. */
typedef struct wl_window_end {
  bool valid;
  wl_episode episode;
  int64_t t, drawn; /* number of steps done; batch */
  double loss;
} wl_window_end;

/* A running window: the data that the forward and the backward pass share in addition to the workspace. */
typedef struct wl_window_run_state {
  struct wl_unroll_ws *ws;
  wl_unit *unit;
  wl_real *
      state; /* the current state: the unit's array or, within a segment of stored states, the stored state */
  int64_t t0, steps; /* first step in the episode, number of steps */
  double weight_sum; /* sum of the weights w_k, which normalises the log ratio */
  double *phi_grad;  /* NULL if the window only runs forward */
  bool imitates;     /* the unit's episode imitates the teacher */
  wl_real *teacher;  /* the teacher's state */
  bool continues;    /* the window continues at ws->last.end, which has the loss and gradient of the first step */
} wl_window_run_state;

/* Traces of the current segment. */
typedef struct wl_segment_traces {
  wl_real *g;       /* [segment+1][pad] raw inner gradients; the last one is the outer gradient at theta_K */
  wl_real *outer_g; /* [segment+1][pad] outer gradients; the same array as g if the batches are the same */
  wl_real *theta;   /* [segment][pad] */
  wl_real *factor;  /* [segment][factor] */
  wl_trace rule;    /* trace of the rule's steps */
} wl_segment_traces;

/* The values that are stored at the start of each segment. */
typedef struct wl_segment_snapshots {
  wl_real *theta;   /* [segments][pad] */
  wl_real *state;   /* [segments][state] */
  wl_real *teacher; /* [segments][teacher] */
} wl_segment_snapshots;

/* Buffers of the imitation of a teacher. */
typedef struct wl_imitation_ws {
  wl_imitation_weights weights;
  wl_rule_ws *teacher;
  wl_real *taught;         /* [pad] the teacher's update */
  double *terms;           /* [K][WL_IMITATION_TERMS] */
  wl_real *bar;            /* [segment][pad] derivative of the imitation terms with respect to the rule's updates */
  wl_real *rule_bar;       /* [pad] adjoint of the rule's update */
  wl_real *rule_bar_steps; /* [WL_CHUNK_STEPS][pad] difference of rule_bar between a step and the next step */
} wl_imitation_ws;

/* Buffers of the backward pass. */
typedef struct wl_adjoint {
  wl_real *lam;       /* [pad] adjoint of theta */
  wl_real *mu;        /* [state] adjoint of the state */
  wl_real *gbar;      /* [WL_CHUNK_STEPS][pad] adjoint of the gradients */
  wl_real *hv;        /* [pad] Hessian-vector product */
  wl_real *warp_grad; /* [warp_size] */
} wl_adjoint;

/* The end of the last window. outer_task_ws holds the forward pass at this end. */
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
  wl_window_run_state run; /* the last window */
  wl_interrupt interrupt;  /* NULL if the window is never interrupted */
  void *interrupt_context;
  wl_task_ws *task_ws;       /* buffers of the task for inner losses */
  wl_task_ws *outer_task_ws; /* buffers of the task for outer losses; == task_ws in first order */
  wl_last_end last;
  int64_t held; /* in second order: the step of the window whose gradient is in task_ws; -1 if there is none */
  wl_rule_ws *rule_ws;
  wl_real *phi;         /* [phi.size] phi in working precision */
  wl_real *u, *scratch; /* [pad] update; scratch memory of the preconditioner */
  wl_path path;         /* used if theta_0 is learned from the path */
  wl_real *pg;          /* preconditioned gradients: [pad], or [WL_CHUNK_STEPS][pad] in a workspace with a gradient */
  double *weight;       /* [K+1] w_k T'(L_k), computed as the window runs forward */
  double *outer_loss;   /* [K+1] */
  double *inner_loss;   /* [K+1] loss at theta_k, for the steps that ran */
  wl_segment_traces traces;
  wl_segment_snapshots snapshots;
  wl_imitation_ws imitation;
  wl_adjoint adjoint;
};

/* Returns true if a window can reuse the last loss and gradient of the previous window. */
static inline bool wl_ws_continues(const wl_unroll_ws *ws) {
  return ws->plan.time_outermost && !ws->spec.fresh;
}
static inline const wl_real *wl_ws_warp(const wl_unroll_ws *ws) {
  return ws->model->warp_size > 0 ? ws->phi + ws->model->warp_at : NULL;
}
static inline wl_real *wl_ws_factor(const wl_unroll_ws *ws, int64_t slot) {
  return ws->traces.factor ? ws->traces.factor + slot * ws->plan.factor : NULL;
}
/* Returns the inputs of the preconditioner at inner step t. `slot` is the place of this step in the traces. The member
 * `before` is not set. */
static inline wl_gradient wl_ws_gradient(const wl_unroll_ws *ws, int64_t t, int64_t slot,
                                         const wl_real *g, const wl_real *theta) {
  return (wl_gradient){
      .t = t, .n = ws->plan.n, .g = g, .theta = theta, .factor = wl_ws_factor(ws, slot)};
}
/* Returns the preconditioned gradient of the previous step, which is in the unit's state. Returns NULL if the
 * preconditioner does not read it. */
static inline const wl_real *wl_ws_before(const wl_unroll_ws *ws, const wl_real *state) {
  return ws->plan.reads_before ? state + ws->plan.before_at : NULL;
}
static inline wl_batch wl_inner_batch(const wl_unit *unit, int64_t t) {
  return (wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, unit->draw + t};
}

static inline bool wl_ws_is_interrupted(const wl_unroll_ws *ws) {
  return ws->interrupt && ws->interrupt(ws->interrupt_context);
}

/* Runs the steps [first, first + count) of the window again, from copies (theta, state) that are independent of the
 * unit. Advances both copies, and fills the traces exactly as in the first pass. */
void wl_window_retrace(wl_window_run_state *run, int64_t first, int64_t count, wl_real *theta,
                       wl_real *state);
#endif
