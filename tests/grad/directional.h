/* directional.h - compares a gradient with central differences of the function, in float64. The comparison includes the
 * sign of derivatives. It uses several random directions and the steps h, h/2 and h/4. The error must decrease as h^2.
 * The limit for h -> 0 must agree with the derivative within `tolerance`. Richardson extrapolation removes the terms of
 * order h^2 and h^4 from the limit. The tolerance is relative to ||gradient|| ||direction|| / sqrt(count), which is the
 * typical size of the derivative. */
#ifndef WL_TESTS_DIRECTIONAL_H
#define WL_TESTS_DIRECTIONAL_H

#include <stdint.h>

typedef double (*directional_function)(void *context, const double *x);

typedef struct directional {
  const char *name; /* for messages */
  directional_function f;
  void *context;
  double *x;              /* the point x; the call changes it and restores it */
  const double *gradient; /* gradient with respect to all elements of x */
  int64_t first, count;   /* directions change only the elements first .. first + count - 1 of x */
  double h, tolerance;
} directional;

/* Fails the running cmocka test if the gradient does not agree with the differences. Returns the largest relative error
 * over the directions. */
double directional_check(const directional *d);

#endif
