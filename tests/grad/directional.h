/* directional.h - a gradient against central differences of the function, in float64.
 *
 * Signed, along several random directions, at h, h/2 and h/4: the error must fall as h^2, and the
 * limit for h -> 0 (Richardson, without the terms h^2 and h^4) must agree within `tolerance`,
 * relative to ||gradient|| ||direction|| / sqrt(count), the typical size of the derivative. */
#ifndef WL_TESTS_DIRECTIONAL_H
#define WL_TESTS_DIRECTIONAL_H

#include <stdint.h>

typedef double (*directional_function)(void *context, const double *x);

typedef struct directional {
  const char *name; /* for messages */
  directional_function f;
  void *context;
  double *x;              /* the point; used as scratch, restored */
  const double *gradient; /* of all of x */
  int64_t first, count;   /* the part of x that directions lie in */
  double h, tolerance;
} directional;

/* Fails the running cmocka test when it does not agree. Returns the largest relative error. */
double directional_check(const directional *d);

#endif
