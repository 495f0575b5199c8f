/* peak.h - measures the peak rate of multiply-adds of one core. The rates of kernels are compared with this rate. */
#ifndef WL_MEASURE_PEAK_H
#define WL_MEASURE_PEAK_H

/* Measures FLOP per second (two for each multiply-add) in wl_real on the calling thread, with vectors of the kernels'
 * instruction set (base/isa.h). Takes some hundredths of a second. */
double wl_measure_peak(void);
/* Measures the sum of the rates of `threads` threads that run at the same time. Two threads on one core together have
 * the rate of one thread. */
double wl_measure_peaks(int threads);

#endif
