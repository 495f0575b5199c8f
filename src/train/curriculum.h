/* curriculum.h - stages of growing episodes (Chen et al. 2020, "Training stronger baselines for learning to optimize").
 *
 * `curriculum.steps` lists the episode lengths of the first stages. The last stage has episodes of `episode.steps`.
 * Every `curriculum.every` meta-steps the rule is evaluated on fixed tasks, in episodes as long as those of the next
 * stage; in the last stage, as long as those of the last stage. If `curriculum.patience` consecutive evaluations are
 * not better than the best evaluation of the stage, phi returns to its value at the best evaluation, and the next stage
 * begins. Running episodes keep their length. */
#ifndef WL_TRAIN_CURRICULUM_H
#define WL_TRAIN_CURRICULUM_H

#include "train/problem.h"

typedef struct wl_curriculum {
  int64_t *length; /* [stages][2] shortest and longest episode of each stage */
  int64_t stages, every, patience, tasks;
  int64_t size; /* number of meta-parameters */
  /* the members from here on are part of the training's state */
  int64_t stage;
  int64_t failures; /* evaluations since the best one of this stage */
  double best_loss; /* loss of the stage's best evaluation; infinite: there is none yet */
  double *best;     /* [size] the meta-parameters of the stage's best evaluation */
  int64_t exported; /* 1: `best` is the result of the training, because this stage is the last one */
} wl_curriculum;

/* Creates the stages; *out is NULL if the configuration has none. WL_ERR_CONFIG: the lengths do not grow. */
wl_status wl_curriculum_create(const wl_config *config, const wl_problem *problem,
                               wl_curriculum **out);
void wl_curriculum_destroy(wl_curriculum **curriculum);
/* Returns the length of the episodes on which the current stage is evaluated. */
int64_t wl_curriculum_horizon(const wl_curriculum *curriculum);
/* Records an evaluation of the meta-parameters `judged` [size]. A loss that is not finite counts as worse than any
 * finite loss. Returns true if the next stage begins; training then continues from curriculum->best. */
bool wl_curriculum_judge(wl_curriculum *curriculum, double loss, const double *judged);
/* Returns the best meta-parameters of the last stage; NULL if that stage has not begun or has no finite evaluation. */
double *wl_curriculum_result(const wl_curriculum *curriculum);

#endif
