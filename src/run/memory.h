/* memory.h - memory of a training: an estimate before its first step, the peak after its last. */
#ifndef WL_RUN_MEMORY_H
#define WL_RUN_MEMORY_H

#include "train/trainer.h"

/* Estimated peak of this rank in bytes: memory used now (program, libraries, data, state) plus memory for the first
 * episode and the checkpoints. Not collective. */
double wl_memory_estimate(const wl_trainer *trainer);
/* Peak memory of this process so far, in bytes. Not collective. */
double wl_memory_peak(void);

#endif
