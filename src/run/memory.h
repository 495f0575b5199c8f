/* memory.h - what a training takes: an estimate before its first step, the peak after its last. */
#ifndef WL_RUN_MEMORY_H
#define WL_RUN_MEMORY_H

#include "train/trainer.h"

/* Bytes that this rank will take at its peak: what it holds now (program, libraries, data, state) and
 * what the first episode and the checkpoints add. Not collective. */
double wl_memory_estimate(const wl_trainer *trainer);
/* Bytes that this process has taken at its peak so far. Not collective. */
double wl_memory_peak(void);

#endif
