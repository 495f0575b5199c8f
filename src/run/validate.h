/* validate.h - measures progress by the final loss of the current rule on fixed tasks. */
#ifndef WL_RUN_VALIDATE_H
#define WL_RUN_VALIDATE_H

#include "train/trainer.h"

enum { WL_VALIDATION_TASKS = 8 };

typedef struct wl_validation {
  /* number of inner steps of an episode, and number of drawn tasks of each task of the
   * configuration */
  int64_t steps, tasks;
} wl_validation;

/* Computes the mean final loss of complete episodes on tasks that training does not draw. The loss
 * is computed on the fixed sample, or on the query set of few-shot tasks. The mean is NaN if a loss
 * is not finite. The function runs the rule with the meta-parameters that wl_trainer_result
 * returns, and does not change the state of the training. The result is bitwise equal on any number
 * of ranks. Collective. */
wl_status wl_run_validate(wl_trainer *trainer, const wl_validation *validation, double *loss);

#endif
