/* clock.h - elapsed time. */
#ifndef WL_BASE_CLOCK_H
#define WL_BASE_CLOCK_H

/* Returns the seconds of the monotonic clock, from an arbitrary origin. */
double wl_seconds(void);
/* Returns the CPU seconds of the calling thread. Unlike wall time, CPU time excludes the time in which the core runs
 * other programs. */
double wl_thread_seconds(void);

#endif
