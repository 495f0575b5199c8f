/* evaluate_impl.h - types and functions that the files of an evaluation share. Private to src/evaluate. */
#ifndef WL_EVALUATE_EVALUATE_IMPL_H
#define WL_EVALUATE_EVALUATE_IMPL_H

#include "evaluate/evaluate.h"

/* Results of one episode. For few-shot tasks the losses are those of the query set. */
typedef struct wl_outcome {
  double start, final, heldout, accuracy;
  double diverged; /* 1 if the episode diverged, otherwise 0 */
} wl_outcome;

/* A model with its phi, on a network. */
typedef struct wl_contender {
  wl_model *model;
  const double *phi;
  const wl_task *task;
  /* [jobs][n] initial parameters of each episode instead of theta_0; NULL: theta_0 */
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

/* Runs the contender on the setting's sets of tasks of a space (one set to tune). outcomes [sets*units]; curves
 * [sets*units][steps] or NULL. Collective. */
wl_status wl_eval_run_sets(const wl_eval_runner *runner, const wl_contender *contender,
                           wl_space space, wl_outcome *outcomes, double *curves);
/* The job numbers of this rank: first, first + stride, ... */
static inline int64_t wl_eval_first_job(const wl_eval_runner *r) { return wl_comm_rank(r->comm); }
static inline int64_t wl_eval_job_stride(const wl_eval_runner *r) { return wl_comm_size(r->comm); }
/* Returns the episode of job `job`, with `units` tasks per set. */
static inline wl_episode wl_eval_episode(const wl_eval_runner *r, wl_space space, int64_t job,
                                         int64_t units) {
  return (wl_episode){r->setting->seed, space, job / units, job % units};
}

/* For a family with an explicit warp of the parameters: computes the coverage of the warp, and the advantage of the
 * learned contender, whose outcomes are given, over the same rule without the warp. Otherwise does nothing.
 * Collective. */
wl_status wl_eval_warp(const wl_eval_runner *runner, const wl_contender *learned,
                       const wl_outcome *outcomes, wl_eval_case *out);

#endif
