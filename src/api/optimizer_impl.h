/* optimizer_impl.h - defines the struct behind a handle. Only files in src/api include this
 * header. */
#ifndef WL_API_OPTIMIZER_IMPL_H
#define WL_API_OPTIMIZER_IMPL_H

#include "precondition/precondition.h"
#include "rule/rule.h"
#include "task/task.h"
#include "unroll/initialisation.h"
#include "warploom/optimizer.h"

enum { WL_OPTIMIZER_THREADS_MAX = 4096 };

/* The data of a run in progress. The struct owns all arrays. Arrays over coordinates have 16 *
 * blocks elements: n values and padding. */
typedef struct wl_optimizer_run {
  int64_t n, t; /* number of parameters (0 if there is no run), and number of steps done */
  int64_t blocks, state_reals, before_reals;
  wl_layout layout; /* layout of theta */
  int64_t horizon;  /* number T of steps of the run, which the rule receives */
  double loss;      /* minibatch loss at the theta of the next step; NaN if unknown */
  wl_rule_ws *rule_ws;
  /* gradient, preconditioned gradient and update, each with 16 * blocks elements; `pg` is NULL if
   * there is no preconditioner */
  wl_real *g, *pg, *u;
  wl_real *theta;      /* parameters [16 * blocks]; NULL if the rule does not read theta */
  /* rule state [state_reals]; for a coordinatewise rule its shape is [blocks][width][16] */
  wl_real *state;
  wl_real *scratch;    /* workspace of the preconditioner */
  wl_real *factor;     /* factors that the preconditioner computes from the gradient */
  wl_real *before;     /* preconditioned gradient of the previous step */
} wl_optimizer_run;

struct wl_optimizer {
  wl_config *config;
  char digest[17];
  int64_t meta_steps, horizon, meta_parameters;
  /* task whose network the rule, preconditioner or initialisation needs; NULL if none needs a
   * network */
  wl_task *task;
  wl_rule *rule;
  wl_precondition *precondition;     /* trained preconditioner; NULL if there is none */
  wl_initialisation *initialisation; /* learned initialisation; NULL if theta_0 is not learned */
  wl_real *rule_phi;                 /* meta-parameters of the rule [rule->phi.size] */
  /* meta-parameters of the preconditioner [precondition->phi.size] */
  wl_real *precondition_phi;
  wl_real *theta0;                   /* learned theta_0 [initialisation->phi.size] */
  int threads;
  wl_optimizer_run run;
};

/* Ends a run and frees its memory. The struct may be all zeros. */
void wl_optimizer_run_clear(wl_optimizer_run *run);

/* Returns WL_ERR_USAGE for a NULL handle, with a message that names the calling function. */
wl_status wl_optimizer_check_handle(const wl_optimizer *o, const char *function);
wl_status wl_optimizer_check_array(const float *array, const char *function, const char *name);

#endif
