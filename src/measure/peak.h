/* peak.h - the most multiply-adds that a core of this processor does, to hold kernels against. */
#ifndef WL_MEASURE_PEAK_H
#define WL_MEASURE_PEAK_H

/* FLOP per second (two for each multiply-add) in wl_real, in vectors of the instruction set that kernels
 * run with (base/isa.h), on the calling thread. Takes some hundredths of a second. */
double wl_measure_peak(void);

#endif
