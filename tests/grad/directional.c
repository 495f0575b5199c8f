/* directional.c - see directional.h. */
#include "grad/directional.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

enum { DIRECTIONS = 4 };

static double central(const directional *d, const double *origin, const double *v, double h) {
  double value[2];
  for (int side = 0; side < 2; side++) {
    const double step = side == 0 ? h : -h;
    for (int64_t i = 0; i < d->count; i++) d->x[d->first + i] = origin[i] + step * v[i];
    value[side] = d->f(d->context, d->x);
  }
  memcpy(d->x + d->first, origin, (size_t)d->count * sizeof *origin);
  return (value[0] - value[1]) / (2 * h);
}

static double norm(const double *v, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
  return sqrt(sum);
}

/* Compares the derivative of the function along one direction with central differences. Adds 1 to *falls if the error
 * is large enough to show how the error decreases with the step h. */
static double check_direction(const directional *d, const double *origin, const double *v,
                              int *falls) {
  const double *gradient = d->gradient + d->first;
  double exact = 0;
  for (int64_t i = 0; i < d->count; i++) exact += gradient[i] * v[i];
  const double scale = norm(gradient, d->count) * norm(v, d->count) / sqrt((double)d->count);
  const double d1 = central(d, origin, v, d->h), d2 = central(d, origin, v, d->h / 2);
  const double d4 = central(d, origin, v, d->h / 4);
  const double without_h2 = (4 * d2 - d1) / 3,
               without_h4 = (16 * (4 * d4 - d2) / 3 - without_h2) / 15;
  const double error = fabs(without_h4 - exact) / scale;
  if (!(error <= d->tolerance))
    fail_msg(
        "%s: derivative %.15g, differences %.15g at h, %.15g at h/4, %.15g in the limit: relative error %.2g",
        d->name, exact, d1, d4, without_h4, error);
  if (fabs(d2 - exact) > 10 * d->tolerance * scale) {
    const double ratio = (d1 - exact) / (d2 - exact);
    if (!(fabs(ratio - 4) <= 0.4))
      fail_msg("%s: error falls by %g, not 4, from h to h/2", d->name, ratio);
    *falls += 1;
  }
  return error;
}

double directional_check(const directional *d) {
  double *v = malloc((size_t)d->count * sizeof *v),
         *origin = malloc((size_t)d->count * sizeof *origin);
  assert_true(v != NULL && origin != NULL && d->count > 0);
  memcpy(origin, d->x + d->first, (size_t)d->count * sizeof *origin);
  if (!(norm(d->gradient + d->first, d->count) > 0)) fail_msg("%s: the gradient is zero", d->name);
  double worst = 0;
  int falls = 0;
  for (uint64_t k = 0; k < DIRECTIONS; k++) {
    wl_rng_normal((wl_stream){.seed = 11, .purpose = WL_FOR_PROBE, .index = k}, 0, d->count, 1, v);
    const double error = check_direction(d, origin, v, &falls);
    worst = error > worst ? error : worst;
  }
  if (falls == 0) fail_msg("%s: no direction shows how the error falls; take a larger h", d->name);
  free(v);
  free(origin);
  return worst;
}
