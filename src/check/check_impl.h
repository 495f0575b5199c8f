/* check_impl.h - between the parts of `warploom check`: the window under test, the rollout that is
 * independent of the engine, and the dump. */
#ifndef WL_CHECK_CHECK_IMPL_H
#define WL_CHECK_CHECK_IMPL_H

#include "check/check.h"
#include "train/problem.h"

/* The window that is checked: where it starts and what the engine made of it. Arrays are owned. */
typedef struct wl_check_window {
  const wl_problem *problem; /* borrowed */
  int number;                /* of the task */
  const wl_task *task;       /* borrowed */
  wl_episode episode;
  int64_t t0, steps;     /* first inner step, number of steps */
  int64_t n, pad, state; /* coordinates, padded, reals of rule state */
  int threads;           /* bits do not depend on them */
  const double *phi;     /* [phi.size] base point, borrowed */
  wl_real *theta_start;  /* [pad] */
  wl_real *state_start;  /* [blocks][width][16] */
  wl_real *theta_end;    /* [pad] */
  double start_loss;     /* L_out at the episode's theta_0, for t0 > 0 */
  double meta_loss;
  double *gradient; /* [phi.size] dF/dphi */
} wl_check_window;

typedef enum wl_rollout_mode {
  WL_ROLLOUT_REAL,  /* inner gradients at this phi */
  WL_ROLLOUT_TRACE, /* the same, and keeps what happened */
  WL_ROLLOUT_FROZEN /* inner gradients of the last traced rollout */
} wl_rollout_mode;

/* A window step by step as window.h defines it, without segments, chunks or adjoints. */
typedef struct wl_rollout {
  const wl_check_window *window;
  wl_task_ws *task_ws;
  wl_rule_ws *rule_ws;
  wl_real *phi;                   /* [phi.size] */
  wl_real *theta, *live, *pg, *u; /* [pad] parameters; gradient, raw and preconditioned; update */
  wl_real *state;                 /* [blocks][width][16] */
  wl_real *scratch;               /* the preconditioner's */
  /* of the last traced rollout */
  wl_real *g;      /* [steps][pad] raw inner gradients */
  wl_real *factor; /* [steps][factor_size] what the preconditioner took from them */
  int64_t factor_size;
  wl_real *thetas;    /* [steps+1][pad] */
  wl_real *updates;   /* [steps][pad] */
  double *inner_loss; /* [steps] */
  double *outer_loss; /* [steps+1] NaN where it has no weight */
  double magnitude;   /* sum of |w_k T(L_k)|: what rounding of F is relative to */
} wl_rollout;

wl_status wl_rollout_create(const wl_check_window *window, wl_rollout **out);
void wl_rollout_destroy(wl_rollout **rollout);
/* F at phi [phi.size]; not finite when the run diverges. */
double wl_rollout_run(wl_rollout *rollout, const double *phi, wl_rollout_mode mode);
/* The batches of step k of the window, k = 0 .. steps. */
wl_batch wl_rollout_inner_batch(const wl_check_window *window, int64_t k);
wl_batch wl_rollout_outer_batch(const wl_check_window *window, int64_t k);

/* Collects what an outsider needs, window by window, and writes it as one file. */
typedef struct wl_dump wl_dump;
wl_status wl_dump_create(const wl_problem *problem, const double *phi, wl_dump **out);
void wl_dump_destroy(wl_dump **dump);
/* Copies; `rollout` has traced the base point. */
wl_status wl_dump_add(wl_dump *dump, const wl_check_window *window, wl_rollout *rollout);
wl_status wl_dump_write(const wl_dump *dump, const wl_config *config, const char *path);

#endif
