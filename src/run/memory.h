/* memory.h - estimates and measures the memory that a training needs. A caller prints the estimate
 * before the first meta-step, and the measured peak after the last meta-step. */
#ifndef WL_RUN_MEMORY_H
#define WL_RUN_MEMORY_H

#include "train/trainer.h"

/* Returns the estimated peak memory of this rank in bytes. The estimate is the current memory (program, libraries,
 * data, state) plus the memory for the first episode and the checkpoints. Not collective. */
double wl_memory_estimate(const wl_trainer *trainer);
/* Returns the peak memory of this process so far, in bytes. Not collective. */
double wl_memory_peak(void);

#endif
