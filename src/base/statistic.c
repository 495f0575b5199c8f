/* statistic.c - sorts an array, and computes its median and its norm. */
#include "base/statistic.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void wl_sort(double *values, int64_t count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
}

double wl_median(double *values, int64_t count) {
  wl_sort(values, count);
  return 0.5 * (values[count / 2] + values[(count - 1) / 2]);
}

double wl_statistic_norm(const double *x, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sqrt(sum);
}
