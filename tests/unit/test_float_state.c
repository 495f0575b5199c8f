/* test_float_state.c - tests the floating-point state of the processor. In float32, every thread must set subnormal
 * numbers to zero. In float64, every thread must compute with subnormal numbers. At the end, the rounding mode, the
 * traps and the flags of the caller must be restored. */
#define _GNU_SOURCE
#include <fenv.h>
#include <float.h>
#include <omp.h>
#include <pthread.h>

#include "base/float_state.h"
#include "base/real.h"
#include "unit/cmocka_all.h"

enum { THREADS = 4 };

#ifdef WL_DOUBLE
enum { FLUSHES = 0 };
#else
enum { FLUSHES = 1 };
#endif

/* Returns true if half of the smallest normal number is 0, which shows that subnormal results are set to zero. */
static bool flushes_results(void) {
  volatile wl_real smallest = FLUSHES ? (wl_real)FLT_MIN : (wl_real)DBL_MIN;
  return smallest * (wl_real)0.5 == 0;
}

/* Returns true if a subnormal number times 2^20 is 0, which shows that subnormal operands are read as zero. The
 * function creates the subnormal number from its bits. */
static bool flushes_operands(void) {
  union {
    uint64_t bits;
    wl_real value;
  } subnormal = {.bits = 1000};
  volatile wl_real x = subnormal.value;
  return x * (wl_real)1048576 == 0;
}

static bool is_ours(void) {
  return wl_float_state_is_set() && flushes_results() == FLUSHES && flushes_operands() == FLUSHES &&
         fegetround() == FE_TONEAREST;
}

static void *ask(void *answer) {
  *(bool *)answer = is_ours();
  return NULL;
}

/* This test must run first, because it creates the OpenMP threads of the process. */
static void test_new_threads_inherit(void **state) {
  (void)state;
  wl_float_state before;
  bool ours[THREADS] = {false}, in_thread = false;
  wl_float_state_enter(&before);
  assert_true(is_ours());
#pragma omp parallel num_threads(THREADS)
  ours[omp_get_thread_num()] = is_ours();
  for (int i = 0; i < THREADS; i++) assert_true(ours[i]);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, ask, &in_thread), 0);
  pthread_join(thread, NULL);
  assert_true(in_thread);
  wl_float_state_leave(&before);
}

static void test_callers_state_returns(void **state) {
  (void)state;
  wl_float_state before, inner;
  feclearexcept(FE_ALL_EXCEPT);
  assert_int_equal(fesetround(FE_UPWARD), 0);
  assert_false(wl_float_state_is_set());
  wl_float_state_enter(&before);
  assert_true(is_ours());
  feclearexcept(FE_ALL_EXCEPT); /* setting results to zero raises the flag `inexact` */
  wl_float_state_enter(&inner); /* this second call is nested in the first, as in an OpenMP region */
  volatile double third = 3.0;
  third = 1.0 / third; /* inexact */
  wl_float_state_leave(&inner);
  assert_false(fetestexcept(FE_INEXACT));
  assert_true(is_ours());
  third = third * third;
  wl_float_state_leave(&before);
  assert_int_equal(fegetround(), FE_UPWARD);
  assert_false(flushes_results());
  assert_false(flushes_operands());
  assert_false(fetestexcept(FE_INEXACT));
  fesetround(FE_TONEAREST);
}

/* The caller may have enabled floating-point traps. Even then, a division by zero in the library must not end the
 * process. */
static void test_no_traps_inside(void **state) {
  (void)state;
  wl_float_state before;
  feclearexcept(FE_ALL_EXCEPT);
  if (feenableexcept(FE_DIVBYZERO) == -1) skip();
  wl_float_state_enter(&before);
  volatile double zero = 0.0;
  zero = 1.0 / zero;
  assert_true(zero > DBL_MAX);
  wl_float_state_leave(&before);
  assert_int_equal(fegetexcept(), FE_DIVBYZERO);
  fedisableexcept(FE_ALL_EXCEPT);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_new_threads_inherit),
                                     cmocka_unit_test(test_callers_state_returns),
                                     cmocka_unit_test(test_no_traps_inside)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
