/* statistic.h - computes statistics of an array. */
#ifndef WL_BASE_STATISTIC_H
#define WL_BASE_STATISTIC_H

#include <stdint.h>

/* Sorts the array `values` in place, in ascending order. */
void wl_sort(double *values, int64_t count);
/* Sorts the array `values` in place and returns the median. `count` must be at least 1. */
double wl_median(double *values, int64_t count);
/* Returns the Euclidean norm of the array `x`, which has n elements. */
double wl_statistic_norm(const double *x, int64_t n);

#endif
