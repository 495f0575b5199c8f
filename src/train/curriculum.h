/* curriculum.h - trains in stages with longer and longer episodes (Chen et al. 2020, "Training
 * stronger baselines for learning to optimize").
 *
 * `curriculum.steps` lists the episode lengths of the first stages. The last stage has episodes of
 * the length `episode.steps`. Every `curriculum.every` meta-steps, the rule is evaluated on fixed
 * tasks. The episodes of an evaluation have the length of the next stage, or of the last stage if
 * there is no next stage. The next stage begins after `curriculum.patience` consecutive evaluations
 * whose loss is not below the lowest loss of the stage. The meta-parameters phi are then set to the
 * values that phi had at the evaluation with the lowest loss. The length of episodes that are in
 * progress does not change. */
#ifndef WL_TRAIN_CURRICULUM_H
#define WL_TRAIN_CURRICULUM_H

#include "train/problem.h"

typedef struct wl_curriculum {
  /* [stages][2] lengths of the shortest and of the longest episode of each stage, in inner steps */
  int64_t *length;
  int64_t stages, every, patience, tasks;
  int64_t size; /* number of meta-parameters */
  /* checkpoints store the members that follow */
  int64_t stage;
  /* number of evaluations of this stage after the evaluation with the lowest loss */
  int64_t failures;
  /* lowest loss of the evaluations of this stage; INFINITY before the first finite loss */
  double best_loss;
  double *best;     /* [size] meta-parameters at the evaluation that had the loss `best_loss` */
  /* 1 if `best` contains meta-parameters of the last stage, otherwise 0; if the value is 1, `best`
   * is exported */
  int64_t exported;
} wl_curriculum;

/* Creates the curriculum of a configuration. Sets *out to NULL if `curriculum.steps` is empty.
 * Returns WL_ERR_CONFIG if a stage is not longer than the previous stage. Not collective. */
wl_status wl_curriculum_create(const wl_config *config, const wl_problem *problem,
                               wl_curriculum **out);
void wl_curriculum_destroy(wl_curriculum **curriculum);
/* Returns the number of inner steps of an episode in an evaluation of the current stage. */
int64_t wl_curriculum_horizon(const wl_curriculum *curriculum);
/* Records the loss of an evaluation of the meta-parameters `judged` [size]. A loss that is not
 * finite counts as worse than any finite loss. Returns true if the next stage begins. The training
 * must then continue from curriculum->best. */
bool wl_curriculum_judge(wl_curriculum *curriculum, double loss, const double *judged);
/* Returns the meta-parameters with the lowest loss in the last stage. Returns NULL if the last
 * stage has not begun or none of its evaluations had a finite loss. */
double *wl_curriculum_result(const wl_curriculum *curriculum);

#endif
