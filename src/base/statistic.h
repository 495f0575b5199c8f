/* statistic.h - statistics of an array. */
#ifndef WL_BASE_STATISTIC_H
#define WL_BASE_STATISTIC_H

#include <stdint.h>

/* Median of count >= 1 values, which it sorts. */
double wl_median(double *values, int count);
/* Euclidean norm. */
double wl_statistic_norm(const double *x, int64_t n);

#endif
