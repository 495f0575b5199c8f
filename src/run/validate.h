/* validate.h - the loss that the rule being trained reaches on fixed tasks, the same every time: what tells progress. */
#ifndef WL_RUN_VALIDATE_H
#define WL_RUN_VALIDATE_H

#include "train/trainer.h"

enum { WL_VALIDATION_TASKS = 8 };

/* Mean final loss, on the fixed sample (few-shot: the query set), of whole episodes of the longest horizon on 8 tasks of each
 * family that training does not draw; NaN when one is not finite. With the meta-parameters that would be exported. Touches
 * nothing that training depends on; the same bits on any ranks. Collective. */
wl_status wl_run_validate(wl_trainer *trainer, double *loss);

#endif
