/* validate.h - the final loss of the current rule on fixed tasks, as a measure of progress. */
#ifndef WL_RUN_VALIDATE_H
#define WL_RUN_VALIDATE_H

#include "train/trainer.h"

enum { WL_VALIDATION_TASKS = 8 };

typedef struct wl_validation {
  int64_t steps, tasks; /* length of the episodes; number of tasks of each family */
} wl_validation;

/* Computes the mean final loss of complete episodes on tasks that training does not draw. The loss is computed on the
 * fixed sample (few-shot: on the query set). The mean is NaN if a loss is not finite. Runs the rule with
 * wl_trainer_result, and changes no state of the training. The result has the same bits on any number of ranks.
 * Collective. */
wl_status wl_run_validate(wl_trainer *trainer, const wl_validation *validation, double *loss);

#endif
