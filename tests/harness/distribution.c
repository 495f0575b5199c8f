#include "harness/distribution.h"

#include <math.h>
#include <stdlib.h>

#include "unit/cmocka_all.h"

double cdf_uniform(double x, double a, double b) {
  return x <= a ? 0 : x >= b ? 1 : (x - a) / (b - a);
}

double cdf_normal(double x, double mean, double sd) {
  return 0.5 * erfc((mean - x) / (sd * M_SQRT2));
}

double cdf_truncated(double x, double mean, double sd) {
  const double low = cdf_normal(-2, 0, 1), high = cdf_normal(2, 0, 1);
  const double p = (cdf_normal(x, mean, sd) - low) / (high - low);
  return p < 0 ? 0 : p > 1 ? 1 : p;
}

double cdf_log_uniform(double x, double a, double b) { return cdf_uniform(log(x), log(a), log(b)); }

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void assert_distributed(const char *what, double *x, int64_t n, distribution_cdf cdf, double a,
                        double b) {
  double furthest = 0, at = 0;
  qsort(x, (size_t)n, sizeof *x, compare);
  for (int64_t i = 0; i < n; i++) {
    const double p = cdf(x[i], a, b);
    const double distance = fmax(p - (double)i / (double)n, (double)(i + 1) / (double)n - p);
    if (!(distance <= furthest)) furthest = distance, at = x[i];
  }
  /* a correct sample exceeds this bound only with the probability 2 exp(-2 2.3^2) = 5e-5 */
  const double bound = 2.3 / sqrt((double)n);
  if (!(furthest <= bound))
    fail_msg("%s: distance %.4g at %.6g from the stated distribution, allowed %.4g", what, furthest,
             at, bound);
}

void assert_reaches_ends(const char *what, const double *x, int64_t n, double low, double high,
                         double density) {
  double least = INFINITY, most = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    least = fmin(least, x[i]);
    most = fmax(most, x[i]);
  }
  const double margin = 12 * (high - low) / ((double)n * density);
  if (!(least >= low && least <= low + margin && most <= high && most >= high - margin))
    fail_msg("%s: from %.6g to %.6g, expected from %.6g to %.6g", what, least, most, low, high);
}

void assert_counts(const char *what, const int64_t *counts, int64_t k, const double *p, int64_t n) {
  int64_t sum = 0;
  for (int64_t i = 0; i < k; i++) {
    const double share = p ? p[i] : 1.0 / (double)k;
    const double tolerance = 5 * sqrt((double)n * share * (1 - share));
    sum += counts[i];
    if (!(fabs((double)counts[i] - (double)n * share) <= tolerance))
      fail_msg("%s: %lld of %lld draws are number %lld, expected %.1f within %.1f", what,
               (long long)counts[i], (long long)n, (long long)i, (double)n * share, tolerance);
  }
  if (sum != n) fail_msg("%s: %lld of %lld draws are in range", what, (long long)sum, (long long)n);
}

void assert_uncorrelated(const char *what, const double *x, const double *y, int64_t n) {
  double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  for (int64_t i = 0; i < n; i++) {
    sx += x[i], sy += y[i];
    sxx += x[i] * x[i], syy += y[i] * y[i], sxy += x[i] * y[i];
  }
  const double c =
      (sxy - sx * sy / (double)n) / sqrt((sxx - sx * sx / (double)n) * (syy - sy * sy / (double)n));
  if (!(fabs(c) <= 5 / sqrt((double)n)))
    fail_msg("%s: correlation %.4g, expected 0 within %.4g", what, c, 5 / sqrt((double)n));
}
