/* finite.h - tests whether all numbers of an array are finite. The tests compare the exponent bits,
 * because the compiler can vectorise a loop of integer comparisons. */
#ifndef WL_BASE_FINITE_H
#define WL_BASE_FINITE_H

#include <stdbool.h>
#include <string.h>

#include "base/real.h"

/* An infinity or a NaN has an exponent of all ones. */
static inline bool wl_finite_floats(const float *x, int64_t n) {
  const uint32_t ones = UINT32_C(0x7f800000);
  uint32_t bad = 0;
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    bad |= (bits & ones) == ones;
  }
  return bad == 0;
}

static inline bool wl_finite_doubles(const double *x, int64_t n) {
  const uint32_t ones = UINT32_C(0x7ff00000);
  uint32_t bad = 0;
  for (int64_t i = 0; i < n; i++) {
    uint64_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    bad |= ((uint32_t)(bits >> 32) & ones) == ones;
  }
  return bad == 0;
}

static inline bool wl_finite_reals(const wl_real *x, int64_t n) {
#ifdef WL_DOUBLE
  return wl_finite_doubles(x, n);
#else
  return wl_finite_floats(x, n);
#endif
}

#endif
