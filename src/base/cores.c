/* cores.c - by the system's affinity masks; where there are none, nothing is bound. */
#define _GNU_SOURCE
#include "base/cores.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(_OPENMP) && defined(__linux__)
#include <omp.h>

static cpu_set_t allowed; /* before anything was bound */
static bool bound;

/* The mask of this process; false where it has more cores than a mask holds. */
static bool find_allowed(void) {
  return bound || sched_getaffinity(0, sizeof allowed, &allowed) == 0;
}

int wl_cores_allowed(void) {
  return find_allowed() ? CPU_COUNT(&allowed) : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static bool user_binds(void) {
  static const char *const names[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (getenv(names[i])) return true;
  return false;
}

/* The allowed core number `index`, alone. */
static cpu_set_t one_core(int index) {
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &allowed) && index-- == 0) CPU_SET(cpu, &one);
  return one;
}

bool wl_cores_bind(int threads, int first) {
  if (user_binds() || !find_allowed()) return false;
  bound = true;
#pragma omp parallel num_threads(threads)
  {
    const cpu_set_t own = one_core(first + omp_get_thread_num());
    (void)sched_setaffinity(0, sizeof own, &own); /* else it runs where it did */
  }
  return true;
}

void wl_cores_unbind(void) {
  if (bound) (void)sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
int wl_cores_allowed(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }
bool wl_cores_bind(int threads, int first) {
  (void)threads, (void)first;
  return false;
}
void wl_cores_unbind(void) {}
#endif
