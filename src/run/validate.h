/* validate.h - the final loss of the current rule on fixed tasks, which measures progress. */
#ifndef WL_RUN_VALIDATE_H
#define WL_RUN_VALIDATE_H

#include "train/trainer.h"

enum { WL_VALIDATION_TASKS = 8 };

/* Mean final loss, on the fixed sample (few-shot: the query set), of complete episodes of the longest horizon on 8
 * tasks of each family that training does not draw; NaN if one is not finite. Uses the meta-parameters that would be
 * exported, and changes no state of the training. Bitwise equal on any number of ranks. Collective. */
wl_status wl_run_validate(wl_trainer *trainer, double *loss);

#endif
