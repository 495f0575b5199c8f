/* median.c - the middle one of several measurements: neither the luckiest nor a disturbed one. */
#include <stdlib.h>

#include "measure/measure.h"

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double wl_measure_median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return 0.5 * (values[count / 2] + values[(count - 1) / 2]);
}
