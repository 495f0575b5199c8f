/* directional.h - compares a gradient with central differences of the function, in float64. The comparison has a sign
 * and uses several random directions, with the steps h, h/2 and h/4. The error must fall as h^2. The limit for h -> 0
 * (Richardson, without the terms h^2 and h^4) must agree with the derivative within `tolerance`. The tolerance is
 * relative to ||gradient|| ||direction|| / sqrt(count), the typical size of the derivative. */
#ifndef WL_TESTS_DIRECTIONAL_H
#define WL_TESTS_DIRECTIONAL_H

#include <stdint.h>

typedef double (*directional_function)(void *context, const double *x);

typedef struct directional {
  const char *name; /* for messages */
  directional_function f;
  void *context;
  double *x;              /* the point x; changed during the call and restored */
  const double *gradient; /* gradient with respect to all of x */
  int64_t first, count;   /* directions change only the elements [first, first + count) of x */
  double h, tolerance;
} directional;

/* Fails the running cmocka test if the gradient does not agree. Returns the largest relative error. */
double directional_check(const directional *d);

#endif
