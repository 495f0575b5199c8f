/* evaluate_impl.h - types and functions that several files of src/evaluate share. Private to src/evaluate. */
#ifndef WL_EVALUATE_EVALUATE_IMPL_H
#define WL_EVALUATE_EVALUATE_IMPL_H

#include "evaluate/evaluate.h"

/* The results of one episode. For few-shot tasks, the losses are measured on the query set. */
typedef struct wl_outcome {
  double start, final, heldout, accuracy;
  double diverged; /* 1 if the episode diverged, otherwise 0 */
} wl_outcome;

/* A rule that takes part in the comparison: its model, its phi and the task on which it runs. */
typedef struct wl_contender {
  wl_model *model;
  const double *phi;
  const wl_task *task;
  /* [jobs][n] initial parameters of each episode; NULL: every episode starts from theta_0 */
  const wl_real *from;
} wl_contender;

typedef struct wl_eval_runner {
  const wl_trained *trained;
  const wl_task *task;  /* task with the trained warp layers */
  const wl_task *plain; /* task without warp layers, for hand-designed rules */
  const wl_eval_setting *setting;
  bool few_shot;
  wl_comm *comm;
} wl_eval_runner;

/* Runs the contender on all tasks of the setting in a space. WL_SPACE_TUNE has one set of tune_units tasks. Fills
 * outcomes [sets*units] and curves [sets*units][steps]; curves may be NULL. Collective. */
wl_status wl_eval_run_sets(const wl_eval_runner *runner, const wl_contender *contender,
                           wl_space space, wl_outcome *outcomes, double *curves);
/* A rank runs the jobs first, first + stride, first + 2 stride and so on. */
static inline int64_t wl_eval_first_job(const wl_eval_runner *r) { return wl_comm_rank(r->comm); }
static inline int64_t wl_eval_job_stride(const wl_eval_runner *r) { return wl_comm_size(r->comm); }
/* Returns the episode of job number `job`, where each set has `units` tasks. */
static inline wl_episode wl_eval_episode(const wl_eval_runner *r, wl_space space, int64_t job,
                                         int64_t units) {
  return (wl_episode){r->setting->seed, space, job / units, job % units};
}

/* For a family with an explicit warp of the parameters, computes the coverage of the warp and its advantage. The
 * advantage compares the learned contender with the same rule without the warp. `outcomes` are the results of the
 * learned contender. For other families, the function does nothing. Collective. */
wl_status wl_eval_warp(const wl_eval_runner *runner, const wl_contender *learned,
                       const wl_outcome *outcomes, wl_eval_case *out);

#endif
