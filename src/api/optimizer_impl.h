/* optimizer_impl.h - the content of a handle. Private to src/api. */
#ifndef WL_API_OPTIMIZER_IMPL_H
#define WL_API_OPTIMIZER_IMPL_H

#include "precondition/precondition.h"
#include "rule/rule.h"
#include "task/task.h"
#include "unroll/initialisation.h"
#include "warploom/optimizer.h"

enum { WL_OPTIMIZER_THREADS_MAX = 4096 };

/* A run in progress. The struct owns all arrays. Arrays over coordinates have n elements, padded to whole blocks. */
typedef struct wl_optimizer_run {
  int64_t n, t; /* number of parameters (0: no run), and number of steps done */
  int64_t blocks, state_reals, before_reals;
  wl_layout layout; /* layout of theta */
  int64_t horizon;  /* number of steps T that the rule receives */
  double loss;      /* minibatch loss at theta of the next step; NaN: unknown */
  wl_rule_ws *rule_ws;
  wl_real *g, *pg, *u; /* [16 blocks] gradient, preconditioned gradient (NULL: no preconditioner), update */
  wl_real *theta;      /* [16 blocks]; NULL if the rule does not read theta */
  wl_real *state;      /* [state_reals]; for a coordinatewise rule [blocks][width][16] */
  wl_real *scratch;    /* workspace of the preconditioner */
  wl_real *factor;     /* the preconditioner's factors of the gradient */
  wl_real *before;     /* the preconditioner's result of the previous step */
} wl_optimizer_run;

struct wl_optimizer {
  wl_config *config;
  char digest[17];
  int64_t meta_steps, horizon, meta_parameters;
  wl_task *task; /* task with the network of the parts; NULL: no part depends on a network */
  wl_rule *rule;
  wl_precondition *precondition;     /* NULL: none */
  wl_initialisation *initialisation; /* NULL: the initialisation is not learned */
  wl_real *rule_phi;                 /* [rule->phi.size] */
  wl_real *precondition_phi;         /* [precondition->phi.size] */
  wl_real *theta0;                   /* [initialisation->phi.size] */
  int threads;
  wl_optimizer_run run;
};

/* Ends a run and frees its memory. A zeroed run is accepted. */
void wl_optimizer_run_clear(wl_optimizer_run *run);

/* Returns WL_ERR_USAGE for a NULL handle, with a message that names the calling function. */
wl_status wl_optimizer_check_handle(const wl_optimizer *o, const char *function);
wl_status wl_optimizer_check_array(const float *array, const char *function, const char *name);

#endif
