/* optimizer_impl.h - what a handle holds. Private to src/api. */
#ifndef WL_API_OPTIMIZER_IMPL_H
#define WL_API_OPTIMIZER_IMPL_H

#include "precondition/precondition.h"
#include "rule/rule.h"
#include "task/task.h"
#include "unroll/initialisation.h"
#include "warploom/optimizer.h"

enum { WL_OPTIMIZER_THREADS_MAX = 4096 };

/* A run in progress; all arrays are owned, over n coordinates padded to blocks. */
typedef struct wl_optimizer_run {
  int64_t n, t; /* parameters, steps done; n = 0: no run */
  int64_t blocks;
  wl_layout layout; /* of theta */
  int64_t horizon;  /* T that the rule is told */
  double loss;      /* at theta of the next step; NaN: unknown */
  wl_rule_ws *rule_ws;
  wl_real *g, *pg, *u; /* [16 blocks] gradient, preconditioned (NULL: none), update */
  wl_real *theta;      /* [16 blocks]; NULL where the rule does not read it */
  wl_real *state;      /* [blocks][width][16] */
  wl_real *scratch;    /* the preconditioner's, */
  wl_real *factor;     /* and what it takes from the gradient */
} wl_optimizer_run;

struct wl_optimizer {
  wl_config *config;
  char digest[17];
  int64_t meta_steps, horizon, meta_parameters;
  wl_task *task; /* whose network the parts belong to; NULL: they belong to none */
  wl_rule *rule;
  wl_precondition *precondition;     /* NULL: none */
  wl_initialisation *initialisation; /* NULL: not learned */
  wl_real *rule_phi;                 /* [rule->phi.size] */
  wl_real *precondition_phi;         /* [precondition->phi.size] */
  wl_real *theta0;                   /* [initialisation->phi.size] */
  int threads;
  wl_optimizer_run run;
};

/* Ends a run and frees what it holds; a zeroed run is accepted. */
void wl_optimizer_run_clear(wl_optimizer_run *run);

#endif
