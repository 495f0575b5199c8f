/* test_check_ladder.c - tests how `warploom check` classifies a derivative. The class of a derivative is right,
 * wrong, zero, near a kink, or hidden by rounding. The tests use functions of one variable with known derivatives. */
#include "cmocka_all.h"

#include <math.h>

#include "check/check_ladder.h"

static const double TOLERANCE = 1e-7;

static wl_ladder climb(double (*loss)(void *, double), double claim, double scale) {
  wl_ladder l = {.loss = loss,
                 .base = loss(NULL, 0.0),
                 .magnitude = fabs(loss(NULL, 0.0)),
                 .claim = claim,
                 .scale = scale,
                 .tolerance = TOLERANCE};
  wl_ladder_climb(&l);
  return l;
}

static void assert_right(const wl_ladder *l) {
  if (!(l->error <= TOLERANCE)) fail_msg("error %.1e", l->error);
}

/* Asserts that the error is above the tolerance and is caused neither by a kink nor by rounding. */
static void assert_wrong(const wl_ladder *l) {
  if (!(l->error > TOLERANCE) || l->kink || l->faint)
    fail_msg("error %.1e, kink %d, faint %d", l->error, l->kink, l->faint);
}

static double wave(void *context, double h) {
  (void)context;
  return 2.0 + sin(3.0 * h + 0.4);
}

static void smooth(void **state) {
  (void)state;
  const double slope = 3.0 * cos(0.4);
  wl_ladder l = climb(wave, slope, slope);
  assert_right(&l);
  assert_true(l.orders >= 2);
  for (int i = 0; i < l.orders; i++) assert_true(l.order[i] > 1.7 && l.order[i] < 2.3);
  static const double factors[] = {-1.0, 0.0, 2.0, 1.001, 1.00001, 1.000001};
  for (int i = 0; i < 6; i++) {
    l = climb(wave, factors[i] * slope, slope);
    assert_wrong(&l);
  }
}

/* The first step of Adam for a gradient g is g / (|g| + 1e-8). If g changes by its own small magnitude |g|, the sign of
 * the step can change. The loss is more than a million times as large as its change along the tested direction. */
static const double gradients[] = {1e-3, 3e-5, -1e-6};

static double turning(void *context, double h) {
  (void)context;
  double sum = 0.0;
  for (int i = 0; i < 3; i++) {
    const double g = gradients[i] + 1e-2 * (i + 1) * h;
    sum += 1e-8 * g / (sqrt(g * g) + 1e-8);
  }
  return 2.3 + sum;
}

static double turning_slope(void) {
  double sum = 0.0;
  for (int i = 0; i < 3; i++) {
    const double root = fabs(gradients[i]) + 1e-8;
    sum += 1e-2 * (i + 1) * 1e-8 * 1e-8 / (root * root);
  }
  return sum;
}

static void turns_too_early(void **state) {
  (void)state;
  const double slope = turning_slope();
  wl_ladder l = climb(turning, slope, slope);
  assert_true(l.error > TOLERANCE && (l.kink || l.faint));
  l = climb(turning, 1e5 * slope, 1e5 * slope); /* at the usual h, finite differences would return this wrong slope */
  assert_wrong(&l);
}

/* The change of the loss is smaller than its rounding error, except for the largest step h. */
static double faint(void *context, double h) {
  const double *size = context;
  return 2.3 + (size ? *size : 1e-10) * sin(h + 0.4);
}

static void hidden_by_rounding(void **state) {
  (void)state;
  const double slope = 1e-10 * cos(0.4);
  wl_ladder l = climb(faint, slope, slope);
  assert_true(l.error > TOLERANCE && l.faint && !l.kink);
  static const double factors[] = {-1.0, 0.0, 2.0, 1.01};
  for (int i = 0; i < 4; i++) {
    l = climb(faint, factors[i] * slope, slope);
    assert_wrong(&l);
  }
}

static double small(void *context, double h) {
  (void)context;
  double size = 1e-7;
  return faint(&size, h);
}

/* If a loss does not depend on a block, the derivative of the loss along this block is zero. A gradient that the code
 * omits by mistake is also zero. If the loss changes, a zero gradient must therefore be classified as wrong. */
static void forgotten(void **state) {
  (void)state;
  const double slope = 1e-7 * cos(0.4);
  wl_ladder l = climb(small, slope, slope);
  assert_right(&l);
  static const double factors[] = {-1.0, 0.0, 2.0, 1.01, 1.0001};
  for (int i = 0; i < 5; i++) {
    l = climb(small, factors[i] * slope, slope);
    assert_wrong(&l);
  }
  l = climb(small, 0.0, 0.0); /* here, the gradient of the whole block is zero */
  assert_wrong(&l);
}

static double bent(void *context, double h) {
  (void)context;
  return 1.0 + fabs(h - 1e-12) + h;
}

static void kink(void **state) {
  (void)state;
  wl_ladder l = climb(bent, 0.0, 1.0); /* 0 is the slope of the loss on this side of the kink */
  assert_true(l.error > TOLERANCE && l.kink && !l.faint);
  l = climb(bent, 9.0, 1.0); /* the error is larger than the change of the slope at the kink */
  assert_wrong(&l);
  l = climb(wave, 0.0, 0.0); /* the gradient of the whole block is zero, although the loss changes */
  assert_wrong(&l);
}

static double constant(void *context, double h) {
  (void)context;
  (void)h;
  return 2.0;
}

static void zero(void **state) {
  (void)state;
  const wl_ladder l = climb(constant, 1e-15, 1e-15);
  assert_true(wl_ladder_is_zero(l.magnitude, l.moved, l.claimed));
  const wl_ladder claims = climb(constant, 1e-3, 1e-3);
  assert_false(wl_ladder_is_zero(claims.magnitude, claims.moved, claims.claimed));
  assert_wrong(&claims);
}

static double broken(void *context, double h) {
  (void)context;
  return h == 0.0 ? 1.0 : NAN;
}

static void not_finite(void **state) {
  (void)state;
  const wl_ladder l = climb(broken, 1e-6, 1e-6);
  assert_wrong(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(smooth),
                                     cmocka_unit_test(turns_too_early),
                                     cmocka_unit_test(hidden_by_rounding),
                                     cmocka_unit_test(forgotten),
                                     cmocka_unit_test(kink),
                                     cmocka_unit_test(zero),
                                     cmocka_unit_test(not_finite)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
