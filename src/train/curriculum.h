/* curriculum.h - stages of growing episodes (Chen et al. 2020, "Training stronger baselines for learning to optimize").
 *
 * `curriculum.steps` lists the episode lengths of the first stages. The last stage has episodes of `episode.steps`.
 * Every `curriculum.every` meta-steps, the rule is evaluated on fixed tasks. The episodes of an evaluation have the
 * length of the next stage, or of the last stage if there is no next stage. The next stage begins after
 * `curriculum.patience` consecutive evaluations that are not better than the best evaluation of the stage. phi then
 * returns to its value at the best evaluation. The length of running episodes does not change. */
#ifndef WL_TRAIN_CURRICULUM_H
#define WL_TRAIN_CURRICULUM_H

#include "train/problem.h"

typedef struct wl_curriculum {
  int64_t *length; /* [stages][2] shortest and longest episode of each stage */
  int64_t stages, every, patience, tasks;
  int64_t size; /* number of meta-parameters */
  /* the following members are part of the state of the training */
  int64_t stage;
  int64_t failures; /* number of evaluations since the best evaluation of this stage */
  double best_loss; /* loss of the stage's best evaluation; infinite if there is no evaluation yet */
  double *best;     /* [size] meta-parameters of the stage's best evaluation */
  int64_t exported; /* 1 if the stage is the last stage and `best` is the result of the training */
} wl_curriculum;

/* Creates the stages. *out is NULL if the configuration has no stages. Returns WL_ERR_CONFIG if the lengths of the
 * stages do not grow. Not collective. */
wl_status wl_curriculum_create(const wl_config *config, const wl_problem *problem,
                               wl_curriculum **out);
void wl_curriculum_destroy(wl_curriculum **curriculum);
/* Returns the length of the episodes on which the current stage is evaluated. */
int64_t wl_curriculum_horizon(const wl_curriculum *curriculum);
/* Records the loss of an evaluation of the meta-parameters `judged` [size]. A loss that is not finite counts as worse
 * than any finite loss. Returns true if the next stage begins; training then continues from curriculum->best. */
bool wl_curriculum_judge(wl_curriculum *curriculum, double loss, const double *judged);
/* Returns the best meta-parameters of the last stage. Returns NULL if this stage has not begun or has no finite
 * evaluation. */
double *wl_curriculum_result(const wl_curriculum *curriculum);

#endif
