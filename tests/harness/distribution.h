/* distribution.h - tests whether a sample has the distribution that the documentation states. The seeds fix the
 * samples, so a check either always passes or always fails. A correct generator passes with a probability of at least
 * 0.9999. */
#ifndef WL_TESTS_DISTRIBUTION_H
#define WL_TESTS_DISTRIBUTION_H

#include <stdint.h>

/* The cumulative distribution function at x of a continuous distribution with the parameters a and b. */
typedef double (*distribution_cdf)(double x, double a, double b);
double cdf_uniform(double x, double a, double b);       /* uniform distribution on [a, b) */
double cdf_normal(double x, double mean, double sd);    /* N(mean, sd^2) */
double cdf_truncated(double x, double mean, double sd); /* normal distribution, truncated at two standard deviations */
double cdf_log_uniform(double x, double a, double b);   /* density 1 / x on [a, b) */

/* Applies the test of Kolmogorov and Smirnov to x[0..n), and sorts x. `what` is the name of the sample in messages. */
void assert_distributed(const char *what, double *x, int64_t n, distribution_cdf cdf, double a,
                        double b);
/* Asserts that the smallest and the largest of x[0..n) are in [low, high] and close to its ends. The allowed distance
 * is so large that usually 12 draws are closer to an end. `density` is the density of the distribution at its ends: 1
 * for a uniform distribution on an interval of length 1. */
void assert_reaches_ends(const char *what, const double *x, int64_t n, double low, double high,
                         double density);
#define TRUNCATED_DENSITY 0.226 /* density of cdf_truncated at its ends: 4 exp(-2) / (sqrt(2 pi) 0.9545) */
/* Asserts that counts[0..k) of n draws are within five standard errors of n p_i. If p is NULL, all p_i are equal. The
 * sum of the counts must be n, so that a value outside 0 .. k - 1 makes the test fail. */
void assert_counts(const char *what, const int64_t *counts, int64_t k, const double *p, int64_t n);
/* Asserts that the correlation of x and y [n] is within five standard errors of 0. */
void assert_uncorrelated(const char *what, const double *x, const double *y, int64_t n);

#endif
