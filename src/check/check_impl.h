/* check_impl.h - the parts of `warploom check`: the window under test, the rollout, which is independent of the engine,
 * and the dump. Private to src/check. */
#ifndef WL_CHECK_CHECK_IMPL_H
#define WL_CHECK_CHECK_IMPL_H

#include "check/check.h"
#include "train/problem.h"

/* The window under test: its starting state and the results of the engine. The struct owns the arrays. */
typedef struct wl_check_window {
  const wl_problem *problem; /* borrowed */
  int number;                /* task index */
  const wl_task *task;       /* borrowed */
  wl_episode episode;
  int64_t t0, steps;     /* first inner step, number of steps */
  int64_t n, pad, state; /* number of coordinates, padded number, number of reals in a unit's state */
  int threads;           /* results do not depend on the number of threads */
  const double *phi;     /* [phi.size] base point, borrowed */
  wl_real *theta_start;  /* [pad] */
  wl_real *state_start;  /* [blocks][width][16] */
  wl_real *theta_end;    /* [pad] */
  const wl_rule *teacher; /* NULL if no teacher is imitated */
  wl_real *teacher_start; /* [wl_rule_state_reals of the teacher] */
  double start_loss;     /* outer loss at the episode's theta_0, if t0 > 0 */
  double meta_loss;
  double *gradient; /* [phi.size] dF/dphi */
} wl_check_window;

typedef enum wl_rollout_mode {
  WL_ROLLOUT_REAL,  /* computes the inner gradients at this phi */
  WL_ROLLOUT_TRACE, /* computes the inner gradients at this phi and stores them */
  WL_ROLLOUT_FROZEN /* uses the inner gradients of the last traced rollout */
} wl_rollout_mode;

/* Computes a window step by step as window.h defines it. The rollout has no segments, chunks or adjoints. The struct
 * owns the arrays. */
typedef struct wl_rollout {
  const wl_check_window *window;
  wl_task_ws *task_ws;
  wl_rule_ws *rule_ws;
  wl_real *phi;                   /* [phi.size] */
  wl_real *theta, *live, *pg, *u; /* [pad] parameters; gradient at this phi; preconditioned gradient; update */
  wl_real *state;                 /* [blocks][width][16] */
  wl_real *scratch;               /* workspace of the preconditioner */
  wl_rule_ws *teacher_ws;
  wl_real *teacher_state;
  /* results of the last traced rollout */
  wl_real *g;      /* [steps][pad] raw inner gradients */
  wl_real *factor; /* [steps][factor_size] factors that the preconditioner computes from g */
  int64_t factor_size;
  wl_real *thetas;    /* [steps+1][pad] */
  wl_real *updates;   /* [steps][pad] */
  wl_real *taught;    /* [steps][pad] the teacher's updates */
  double *inner_loss; /* [steps] */
  double *outer_loss; /* [steps+1] outer losses; NaN if the weight is zero */
  double magnitude;   /* sum of |w_k T(L_k)|, which bounds the rounding error of F */
} wl_rollout;

/* Creates a rollout of the window, which it borrows. The caller frees *out with wl_rollout_destroy. */
wl_status wl_rollout_create(const wl_check_window *window, wl_rollout **out);
void wl_rollout_destroy(wl_rollout **rollout);
/* Returns F at phi [phi.size]. The result is not finite if the run diverges. */
double wl_rollout_run(wl_rollout *rollout, const double *phi, wl_rollout_mode mode);
/* Return the batches of step k of the window, k = 0 .. steps. */
wl_batch wl_rollout_inner_batch(const wl_check_window *window, int64_t k);
wl_batch wl_rollout_outer_batch(const wl_check_window *window, int64_t k);

/* Checks that results depend on the arguments alone. Computes the data and losses of each task and steps of the rule
 * twice, in two orders. Returns WL_ERR_SOFTWARE if bits differ; the message names the plug-in and the results that
 * differ. `phi` [phi.size] is the base point. */
wl_status wl_check_pure(const wl_problem *problem, const double *phi);

/* The data for an independent recomputation. wl_dump_add adds one window, and wl_dump_write writes one file. */
typedef struct wl_dump wl_dump;
/* Starts a dump with the meta-parameters phi [phi.size]. The caller frees *out with wl_dump_destroy. */
wl_status wl_dump_create(const wl_problem *problem, const double *phi, wl_dump **out);
void wl_dump_destroy(wl_dump **dump);
/* Adds copies of the window and of the trace of `rollout`. The rollout must have run at the base point. */
wl_status wl_dump_add(wl_dump *dump, const wl_check_window *window, wl_rollout *rollout);
wl_status wl_dump_write(const wl_dump *dump, const wl_config *config, const char *path);

#endif
