/* clock.h - how long things take. */
#ifndef WL_BASE_CLOCK_H
#define WL_BASE_CLOCK_H

/* Seconds since some moment in the past, by a clock that nobody sets. */
double wl_seconds(void);

#endif
