/* evaluate_impl.h - declares types and functions that several files of src/evaluate share. Only
 * src/evaluate includes this header. */
#ifndef WL_EVALUATE_EVALUATE_IMPL_H
#define WL_EVALUATE_EVALUATE_IMPL_H

#include "evaluate/evaluate.h"

/* The results of one episode. For few-shot tasks, the losses are measured on the query set. */
typedef struct wl_outcome {
  double start, final, heldout, accuracy;
  /* 1 if the episode diverged, otherwise 0; this is a double because all members must have the same
   * type */
  double diverged;
} wl_outcome;

/* A rule in the comparison: the model that contains the rule, the values of the model's
 * meta-parameters, and the task on which the rule runs. */
typedef struct wl_contender {
  wl_model *model;
  const double *phi;
  const wl_task *task;
  /* [jobs][n] parameters from which each episode starts; NULL means that every episode starts from
   * theta_0 */
  const wl_real *from;
} wl_contender;

typedef struct wl_eval_runner {
  const wl_trained *trained;
  const wl_task *task;  /* task whose network contains the trained warp layers */
  const wl_task *plain; /* task whose network has no warp layers, for hand-designed rules */
  const wl_eval_setting *setting;
  bool few_shot;
  wl_comm *comm;
} wl_eval_runner;

/* Runs a rule on the tasks of an evaluation, which are drawn from `space`. WL_SPACE_TUNE has one
 * set of tune_units tasks. WL_SPACE_EVAL has `seeds` sets of `units` tasks. Fills outcomes [sets *
 * units]. If `curves` is not NULL, also fills curves [sets * units][steps]. Collective. */
wl_status wl_eval_run_sets(const wl_eval_runner *runner, const wl_contender *contender,
                           wl_space space, wl_outcome *outcomes, double *curves);
/* A job is one episode. A rank runs the jobs with the numbers first, first + stride, first + 2
 * stride and so on. */
static inline int64_t wl_eval_first_job(const wl_eval_runner *r) { return wl_comm_rank(r->comm); }
static inline int64_t wl_eval_job_stride(const wl_eval_runner *r) { return wl_comm_size(r->comm); }
/* Returns the episode of job number `job`. The jobs of a set have consecutive numbers, and each set
 * has `units` tasks. */
static inline wl_episode wl_eval_episode(const wl_eval_runner *r, wl_space space, int64_t job,
                                         int64_t units) {
  return (wl_episode){r->setting->seed, space, job / units, job % units};
}

/* If the task family has an explicit warp of the parameters, computes the coverage and the
 * advantage of the warp (evaluate_warp.c). For all other families, does nothing. `outcomes` are the
 * results of the learned rule. Collective. */
wl_status wl_eval_warp(const wl_eval_runner *runner, const wl_contender *learned,
                       const wl_outcome *outcomes, wl_eval_case *out);

#endif
