/* peak.h - declares functions that measure the largest number of multiply-adds that a core can
 * compute per second. The measured rates of kernels are expressed as fractions of this peak
 * rate. */
#ifndef WL_MEASURE_PEAK_H
#define WL_MEASURE_PEAK_H

/* Returns the peak rate of the calling thread in FLOP per second. A multiply-add counts as two
 * operations. The operands are vectors of wl_real in the instruction set that the kernels use
 * (base/isa.h). The measurement lasts some hundredths of a second. */
double wl_measure_peak(void);
/* Returns the sum of the peak rates of `threads` threads that run at the same time. If two threads
 * share a core, the sum of their rates is about the rate of one thread. */
double wl_measure_peaks(int threads);

#endif
