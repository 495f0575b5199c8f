/* peak.h - peak rate of multiply-adds of one core, the reference for the rates of kernels. */
#ifndef WL_MEASURE_PEAK_H
#define WL_MEASURE_PEAK_H

/* Measures FLOP per second (two for each multiply-add) in wl_real on the calling thread, with vectors of the kernels'
 * instruction set (base/isa.h). Takes some hundredths of a second. */
double wl_measure_peak(void);
/* Measures the sum of the rates of `threads` threads that run at once. Two threads of one core together have the rate
 * of one. */
double wl_measure_peaks(int threads);

#endif
