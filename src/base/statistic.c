/* statistic.c - computes the median and the norm of an array. */
#include "base/statistic.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double wl_median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return 0.5 * (values[count / 2] + values[(count - 1) / 2]);
}

double wl_statistic_norm(const double *x, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sqrt(sum);
}
