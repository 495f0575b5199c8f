/* clock.h - measures wall time and CPU time. */
#ifndef WL_BASE_CLOCK_H
#define WL_BASE_CLOCK_H

/* Returns the time of the monotonic clock in seconds. The origin is arbitrary, so only differences
 * have a meaning. */
double wl_seconds(void);
/* Returns the CPU seconds of the calling thread. Unlike wall time, CPU time excludes the time in which the core runs
 * other programs. */
double wl_thread_seconds(void);

#endif
