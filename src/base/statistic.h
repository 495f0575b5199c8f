/* statistic.h - statistics of an array. */
#ifndef WL_BASE_STATISTIC_H
#define WL_BASE_STATISTIC_H

#include <stdint.h>

/* Sorts count >= 1 values and returns their median. */
double wl_median(double *values, int count);
/* Returns the Euclidean norm. */
double wl_statistic_norm(const double *x, int64_t n);

#endif
