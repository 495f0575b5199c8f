/* cores.c - reads and sets the affinity masks of the operating system. On systems without affinity
 * masks, threads are not bound. */
#define _GNU_SOURCE
#include "base/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Reads an integer from 1 to `most` at the start of an environment variable. Returns 0 if the
 * variable does not start with such an integer, or if the integer is followed by a character other
 * than `end`. */
static int number_from(const char *name, char end, long most) {
  const char *const text = getenv(name);
  if (!text || *text < '0' || *text > '9') return 0;
  char *rest;
  const long value = strtol(text, &rest, 10);
  return (*rest == '\0' || *rest == end) && value >= 1 && value <= most ? (int)value : 0;
}

int wl_cores_wished(void) { return number_from("OMP_NUM_THREADS", ',', 1024); }

bool wl_cores_are_owned(void) {
  const long node = sysconf(_SC_NPROCESSORS_ONLN);
  if (wl_cores_allowed() < node) return true;
  return getenv("SLURM_JOB_ID") && number_from("SLURM_CPUS_ON_NODE", '\0', 1 << 20) >= node;
}

/* Returns how many threads on this machine run or wait for a core, including the calling thread.
 * Reads the number before the slash in /proc/loadavg, for example 2 in "0.5 0.4 0.3 2/310 4711". */
static int running_threads(void) {
  int running = 1;
  FILE *const file = fopen("/proc/loadavg", "r");
  if (!file) return 1;
  if (fscanf(file, "%*s %*s %*s %d/", &running) != 1) running = 1;
  fclose(file);
  return running > 1 ? running : 1;
}

/* Uses the minimum of several samples, because a thread that runs only for a moment does not occupy a core. */
int wl_cores_idle(void) {
  enum { LOOKS = 5, PAUSE = 2000000 };
  const struct timespec pause = {.tv_nsec = PAUSE};
  int running = running_threads();
  for (int i = 1; i < LOOKS; i++) {
    nanosleep(&pause, NULL);
    const int now = running_threads();
    if (now < running) running = now;
  }
  const int idle = wl_cores_allowed() - (running - 1);
  return idle > 1 ? idle : 1;
}

#if defined(_OPENMP) && defined(__linux__)
#include <omp.h>

/* the cores that this process was allowed to use before the first binding */
static cpu_set_t allowed;
static bool bound;

/* Stores the affinity mask of this process in `allowed`. Returns false if the machine has more
 * cores than a mask can represent. */
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

/* Returns a mask that contains one of the allowed cores. `index` is the index of this core among
 * the allowed cores. */
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
    /* if this call fails, the thread keeps its previous mask */
    (void)sched_setaffinity(0, sizeof own, &own);
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
