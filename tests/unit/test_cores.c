/* test_cores.c - threads on cores of their own: each bound thread has one, no two the same, and a thread that
 * is let go has all that the process had. */
#define _GNU_SOURCE
#include <omp.h>
#include <sched.h>
#include <stdlib.h>

#include "base/cores.h"
#include "unit/cmocka_all.h"

enum { THREADS = 2 };

static cpu_set_t mask(void) {
  cpu_set_t set;
  assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
  return set;
}

static void unset_bindings(void) {
  unsetenv("OMP_PROC_BIND");
  unsetenv("OMP_PLACES");
  unsetenv("GOMP_CPU_AFFINITY");
}

/* Runs first: nothing is bound yet. */
static void test_user_binds(void **state) {
  (void)state;
  unset_bindings();
  const cpu_set_t before = mask();
  setenv("OMP_PLACES", "cores", 1);
  assert_false(wl_cores_bind(THREADS, 0));
  const cpu_set_t after = mask();
  assert_true(CPU_EQUAL(&before, &after));
}

static void test_bind(void **state) {
  (void)state;
  unset_bindings();
  const cpu_set_t before = mask();
  assert_int_equal(wl_cores_allowed(), CPU_COUNT(&before));
  if (wl_cores_allowed() < THREADS) skip();
  assert_true(wl_cores_bind(THREADS, 0));
  assert_int_equal(wl_cores_allowed(), CPU_COUNT(&before));
  cpu_set_t own[THREADS], both, freed;
#pragma omp parallel num_threads(THREADS)
  own[omp_get_thread_num()] = mask();
  assert_int_equal(CPU_COUNT(&own[0]), 1);
  assert_int_equal(CPU_COUNT(&own[1]), 1);
  CPU_OR(&both, &own[0], &own[1]);
  assert_int_equal(CPU_COUNT(&both), 2);
  CPU_AND(&both, &both, &before);
  assert_int_equal(CPU_COUNT(&both), 2);
  wl_cores_unbind();
  freed = mask();
  assert_true(CPU_EQUAL(&freed, &before));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_user_binds),
                                     cmocka_unit_test(test_bind)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
