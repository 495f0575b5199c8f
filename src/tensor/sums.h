/* sums.h - computes sums over an array in double precision. The sums use a fixed number of lanes,
 * so that the compiler can vectorise the loops. The sums of equal arrays have equal bits. */
#ifndef WL_TENSOR_SUMS_H
#define WL_TENSOR_SUMS_H

#include "base/real.h"

enum { WL_SUM_LANES = 8 };

static inline double wl_sum_lanes(const double lane[WL_SUM_LANES]) {
  return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

static inline double wl_sum(int64_t n, const wl_real *x) {
  double lane[WL_SUM_LANES] = {0};
  int64_t i = 0;
  for (; i + WL_SUM_LANES <= n; i += WL_SUM_LANES)
    for (int l = 0; l < WL_SUM_LANES; ++l) lane[l] += (double)x[i + l];
  double sum = wl_sum_lanes(lane);
  for (; i < n; ++i) sum += (double)x[i];
  return sum;
}

/* Returns the sum of x_i y_i over all n elements. */
static inline double wl_sum_product(int64_t n, const wl_real *x, const wl_real *y) {
  double lane[WL_SUM_LANES] = {0};
  int64_t i = 0;
  for (; i + WL_SUM_LANES <= n; i += WL_SUM_LANES)
    for (int l = 0; l < WL_SUM_LANES; ++l) lane[l] += (double)x[i + l] * (double)y[i + l];
  double sum = wl_sum_lanes(lane);
  for (; i < n; ++i) sum += (double)x[i] * (double)y[i];
  return sum;
}

#endif
