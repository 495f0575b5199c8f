/* check_impl.h - declares the parts of `warploom check`. These are the window under test, the
 * rollout and the dump. The rollout computes the window without the engine. Only files in src/check
 * include this header. */
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
  int64_t t0, steps;     /* first inner step and number of inner steps of the window */
  /* number of coordinates without and with padding, and number of reals in the rule state of a
   * unit */
  int64_t n, pad, state;
  int threads;           /* number of threads, which does not affect the results */
  const double *phi;     /* borrowed meta-parameters at the base point [phi.size] */
  wl_real *theta_start;  /* theta at the start of the window [pad] */
  wl_real *state_start;  /* rule state at the start of the window [blocks][width][16] */
  wl_real *theta_end;    /* theta at the end of the window, as the engine computes it [pad] */
  const wl_rule *teacher; /* update rule that the learned rule imitates; NULL if there is no such
                           * rule */
  /* state of the teacher at the start of the window [wl_rule_state_reals of the teacher] */
  wl_real *teacher_start;
  double start_loss;     /* outer loss at the episode's theta_0; set only if t0 > 0 */
  double meta_loss;
  double *gradient; /* meta-gradient dF/dphi of the engine [phi.size] */
} wl_check_window;

typedef enum wl_rollout_mode {
  WL_ROLLOUT_REAL,  /* computes the inner gradients at this phi */
  WL_ROLLOUT_TRACE, /* computes the inner gradients at this phi and stores them */
  WL_ROLLOUT_FROZEN /* uses the inner gradients of the last run with WL_ROLLOUT_TRACE */
} wl_rollout_mode;

/* Computes a window step by step as window.h defines it. The rollout uses no segments, chunks or
 * adjoints. The struct owns the arrays. */
typedef struct wl_rollout {
  const wl_check_window *window;
  wl_task_ws *task_ws;
  wl_rule_ws *rule_ws;
  wl_real *phi;                   /* meta-parameters of this run [phi.size] */
  /* theta, inner gradient at this phi, preconditioned gradient and update of the rule, each with
   * `pad` elements */
  wl_real *theta, *live, *pg, *u;
  wl_real *state;                 /* rule state [blocks][width][16] */
  wl_real *scratch;               /* workspace of the preconditioner */
  wl_rule_ws *teacher_ws;
  wl_real *teacher_state;
  /* results of the last run with WL_ROLLOUT_TRACE */
  wl_real *g;      /* inner gradients before preconditioning [steps][pad] */
  wl_real *factor; /* factors that the preconditioner computes from g [steps][factor_size] */
  int64_t factor_size;
  wl_real *thetas;    /* theta before each step and after the last step [steps+1][pad] */
  wl_real *updates;   /* updates of the rule [steps][pad] */
  wl_real *taught;    /* updates of the teacher [steps][pad] */
  double *inner_loss; /* inner losses [steps] */
  double *outer_loss; /* outer losses [steps+1]; NaN where the weight is zero */
  /* sum of |w_k T(L_k)| over the steps; the rounding error of F is proportional to this sum */
  double magnitude;
} wl_rollout;

/* Creates a rollout of the window. The rollout borrows `window`. The caller frees *out with
 * wl_rollout_destroy. */
wl_status wl_rollout_create(const wl_check_window *window, wl_rollout **out);
void wl_rollout_destroy(wl_rollout **rollout);
/* Returns F at phi [phi.size]. The result is not finite if the run diverges. */
double wl_rollout_run(wl_rollout *rollout, const double *phi, wl_rollout_mode mode);
/* These functions return the inner and the outer batch of step k of the window, for k = 0 ..
 * steps. */
wl_batch wl_rollout_inner_batch(const wl_check_window *window, int64_t k);
wl_batch wl_rollout_outer_batch(const wl_check_window *window, int64_t k);

/* Checks that results depend on the arguments alone. Computes the data and losses of each task
 * twice, in two orders. Also computes steps of the rule twice. Returns WL_ERR_SOFTWARE if two
 * results are not bitwise equal. The message then names the plug-in and the results that differ.
 * `phi` [phi.size] is the base point. */
wl_status wl_check_pure(const wl_problem *problem, const double *phi);

/* The data for an independent recomputation. wl_dump_add adds one window, and wl_dump_write writes one file. */
typedef struct wl_dump wl_dump;
/* Starts a dump with the meta-parameters phi [phi.size]. The caller frees *out with wl_dump_destroy. */
wl_status wl_dump_create(const wl_problem *problem, const double *phi, wl_dump **out);
void wl_dump_destroy(wl_dump **dump);
/* Adds copies of the window and of the results that `rollout` stored in its last run with
 * WL_ROLLOUT_TRACE. `rollout` must have made this run at the base point. */
wl_status wl_dump_add(wl_dump *dump, const wl_check_window *window, wl_rollout *rollout);
wl_status wl_dump_write(const wl_dump *dump, const wl_config *config, const char *path);

#endif
