/* directional.h - compares a gradient with central differences of the function in float64. The comparison includes
 * the signs of the derivatives. The comparison uses several random directions and the steps h, h/2 and h/4. The error
 * of the central differences must be proportional to h^2. The extrapolated value for h -> 0 must agree with the
 * derivative within `tolerance`. Richardson's extrapolation is used, because it removes the error terms of order h^2
 * and h^4. The tolerance is relative to ||gradient|| ||direction|| / sqrt(count), which is the typical size of the
 * derivative. */
#ifndef WL_TESTS_DIRECTIONAL_H
#define WL_TESTS_DIRECTIONAL_H

#include <stdint.h>

typedef double (*directional_function)(void *context, const double *x);

typedef struct directional {
  const char *name; /* for messages */
  directional_function f;
  void *context;
  double *x;              /* the point x, which the check changes and then restores */
  const double *gradient; /* gradient with respect to all elements of x */
  int64_t first, count;   /* directions change only the elements first .. first + count - 1 of x */
  double h, tolerance;
} directional;

/* Fails the running cmocka test if the gradient does not agree with the central differences. Returns the largest
 * relative error of all directions. */
double directional_check(const directional *d);

#endif
