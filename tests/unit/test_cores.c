/* test_cores.c - tests how threads are bound to cores. Each bound thread must use exactly one core, and two threads
 * must not use the same core. After unbinding, a thread may use all cores of the process. */
#define _GNU_SOURCE
#include <omp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* This test must run before any thread is bound. Every thread may then use all cores of the process. */
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

static void test_wished(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int wished;
  } cases[] = {{"4", 4},   {"4,2", 4}, {"1", 1},    {"0", 0},          {"", 0},
               {"abc", 0}, {"-1", 0},  {"2x", 0},   {"99999999999", 0}, {" 3", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    setenv("OMP_NUM_THREADS", cases[i].text, 1);
    assert_int_equal(wl_cores_wished(), cases[i].wished);
  }
  unsetenv("OMP_NUM_THREADS");
  assert_int_equal(wl_cores_wished(), 0);
}

/* This test must run before any thread is bound. If the process may use only some of the machine's cores, these cores
 * always belong to the job alone. If the process may use all cores, these cores belong to the job alone only if the
 * variables of SLURM assign all cores to the job. */
static void test_owned(void **state) {
  (void)state;
  const bool part = wl_cores_allowed() < sysconf(_SC_NPROCESSORS_ONLN);
  char all[32], fewer[32];
  snprintf(all, sizeof all, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
  snprintf(fewer, sizeof fewer, "%ld", sysconf(_SC_NPROCESSORS_ONLN) - 1);
  unsetenv("SLURM_JOB_ID");
  setenv("SLURM_CPUS_ON_NODE", all, 1);
  assert_int_equal(wl_cores_are_owned(), part);
  setenv("SLURM_JOB_ID", "17", 1);
  assert_true(wl_cores_are_owned());
  static const char *const none[] = {"", "many", "-4", "1e9"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    setenv("SLURM_CPUS_ON_NODE", none[i], 1);
    assert_int_equal(wl_cores_are_owned(), part);
  }
  setenv("SLURM_CPUS_ON_NODE", fewer, 1);
  assert_int_equal(wl_cores_are_owned(), part);
  unsetenv("SLURM_CPUS_ON_NODE");
  unsetenv("SLURM_JOB_ID");
}

/* If other programs occupy all cores, the function must report one idle core. The function never reports fewer idle
 * cores. */
static void test_idle(void **state) {
  (void)state;
  enum { MOST = 64 };
  const int cores = wl_cores_allowed();
  const long node = sysconf(_SC_NPROCESSORS_ONLN);
  if (node > MOST) skip();
  pid_t others[MOST];
  for (long i = 0; i < node; i++) {
    others[i] = fork();
    if (others[i] == 0)
      for (;;) (void)getppid();
    assert_true(others[i] > 0);
  }
  const int idle = wl_cores_idle();
  for (long i = 0; i < node; i++) {
    kill(others[i], SIGKILL);
    waitpid(others[i], NULL, 0);
  }
  assert_int_equal(idle, 1);
  assert_in_range(wl_cores_idle(), 1, cores);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_wished), cmocka_unit_test(test_owned),
                                     cmocka_unit_test(test_idle), cmocka_unit_test(test_user_binds),
                                     cmocka_unit_test(test_bind)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
