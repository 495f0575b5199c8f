/* distribution.h - does a sample come from the distribution that the documentation states?
 *
 * The samples are fixed by their seeds, so a check either always passes or always fails. Its bounds are such
 * that a right generator would pass with probability 0.9999 or more. */
#ifndef WL_TESTS_DISTRIBUTION_H
#define WL_TESTS_DISTRIBUTION_H

#include <stdint.h>

/* A continuous distribution: its cumulative distribution function at x for the parameters a, b. */
typedef double (*distribution_cdf)(double x, double a, double b);
double cdf_uniform(double x, double a, double b);       /* on [a, b) */
double cdf_normal(double x, double mean, double sd);    /* N(mean, sd^2) */
double cdf_truncated(double x, double mean, double sd); /* the same, cut at 2 sd */
double cdf_log_uniform(double x, double a, double b);   /* density 1 / x on [a, b) */

/* Kolmogorov and Smirnov's test of x[0..n), which is sorted; `what` names it in the message. */
void assert_distributed(const char *what, double *x, int64_t n, distribution_cdf cdf, double a,
                        double b);
/* The smallest and the largest of x[0..n) lie in [low, high], near its ends: so near that as a rule 12 draws
 * lie beyond. `density` is that of the distribution at its ends, 1 for a uniform one on an interval of length 1. */
void assert_reaches_ends(const char *what, const double *x, int64_t n, double low, double high,
                         double density);
#define TRUNCATED_DENSITY 0.226 /* of cdf_truncated: 4 exp(-2) / (sqrt(2 pi) 0.9545) */
/* counts[0..k) of n draws are within five standard errors of n p_i; p NULL: all the same. Values
 * outside 0 .. k - 1 must not have been counted: their sum is n. */
void assert_counts(const char *what, const int64_t *counts, int64_t k, const double *p, int64_t n);
/* Correlation of x and y [n] is within five standard errors of 0. */
void assert_uncorrelated(const char *what, const double *x, const double *y, int64_t n);

#endif
