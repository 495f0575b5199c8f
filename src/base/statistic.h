/* statistic.h - one number for many. */
#ifndef WL_BASE_STATISTIC_H
#define WL_BASE_STATISTIC_H

#include <stdint.h>

/* The middle one of count >= 1 values, which it sorts: neither the luckiest nor a disturbed one. */
double wl_median(double *values, int count);
/* Euclidean norm. */
double wl_norm(const double *x, int64_t n);

#endif
