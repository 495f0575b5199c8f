/* curriculum.h - stages of growing episodes (Chen et al. 2020, "Training stronger baselines for learning to optimize").
 *
 * The stages of `curriculum.steps` precede episodes of `episode.steps`, the last stage. Every `curriculum.every`
 * meta-steps the rule is evaluated on fixed tasks at the length of the next stage, in the last stage at its own length.
 * After `curriculum.patience` evaluations in a row that are not better than the best one of the stage, phi returns to
 * its value at the best one and the next stage begins. Running episodes keep their length. */
#ifndef WL_TRAIN_CURRICULUM_H
#define WL_TRAIN_CURRICULUM_H

#include "train/problem.h"

typedef struct wl_curriculum {
  int64_t *length; /* [stages][2] shortest and longest episode of each stage */
  int64_t stages, every, patience, tasks;
  int64_t size; /* of phi */
  /* part of the state */
  int64_t stage;
  int64_t failures; /* evaluations since the best one of this stage */
  double best_loss; /* of this stage; infinite: none yet */
  double *best;     /* [size] the meta-parameters that were evaluated then */
  int64_t exported; /* 1: they are the result, because the stage is the last one */
} wl_curriculum;

/* *out is NULL without stages. WL_ERR_CONFIG if the lengths do not grow. */
wl_status wl_curriculum_create(const wl_config *config, const wl_problem *problem,
                               wl_curriculum **out);
void wl_curriculum_destroy(wl_curriculum **curriculum);
/* Length of the episodes on which the current stage is evaluated. */
int64_t wl_curriculum_horizon(const wl_curriculum *curriculum);
/* Records an evaluation of the meta-parameters `judged` [size]; a loss that is not finite is worse than any other. True:
 * the next stage begins, and training continues from curriculum->best. */
bool wl_curriculum_judge(wl_curriculum *curriculum, double loss, const double *judged);
/* The best meta-parameters of the last stage; NULL: it has not been reached, or has no finite evaluation. */
double *wl_curriculum_result(const wl_curriculum *curriculum);

#endif
