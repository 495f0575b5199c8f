/* distribution.h - tests whether a sample has the documented distribution. The seeds are fixed, so a check either
 * passes in every run or fails in every run. A correct generator passes with a probability of at least 0.9999. */
#ifndef WL_TESTS_DISTRIBUTION_H
#define WL_TESTS_DISTRIBUTION_H

#include <stdint.h>

/* A cumulative distribution function with the parameters a and b. The function returns the probability that a random
 * value is at most x. */
typedef double (*distribution_cdf)(double x, double a, double b);
double cdf_uniform(double x, double a, double b);       /* uniform distribution on [a, b) */
double cdf_normal(double x, double mean, double sd);    /* N(mean, sd^2) */
double cdf_truncated(double x, double mean, double sd); /* normal distribution N(mean, sd^2), truncated at two
                                                         * standard deviations from the mean */
double cdf_log_uniform(double x, double a, double b);   /* density 1 / x on [a, b) */

/* Applies the Kolmogorov-Smirnov test to x[0..n), and sorts x. `what` is the name of the sample in messages. */
void assert_distributed(const char *what, double *x, int64_t n, distribution_cdf cdf, double a,
                        double b);
/* Asserts that the smallest and the largest value of x[0..n) are in [low, high] and close to `low` and `high`. The
 * allowed distance is such that on average 12 draws are closer to each end of the interval. `density` is the density
 * of the distribution at `low` and `high`. For a uniform distribution on an interval of length 1, `density` is 1. */
void assert_reaches_ends(const char *what, const double *x, int64_t n, double low, double high,
                         double density);
/* Density of cdf_truncated at its ends: 4 exp(-2) / (sqrt(2 pi) 0.9545). */
#define TRUNCATED_DENSITY 0.226
/* Asserts that each of counts[0..k) is within five standard errors of its expectation n p_i, where n is the number of
 * draws and p_i the probability of value i. If p is NULL, all probabilities p_i are equal. The sum of the counts must
 * be n, so the test fails if a value was outside 0 .. k - 1. */
void assert_counts(const char *what, const int64_t *counts, int64_t k, const double *p, int64_t n);
/* Asserts that the correlation of x[0..n) and y[0..n) is within five standard errors of 0. */
void assert_uncorrelated(const char *what, const double *x, const double *y, int64_t n);

#endif
