/* cores.c - measures the combined speed of all threads of this process, as a multiple of the speed of one full core.
 *
 *   echo go | OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive bench_cores
 *
 * The result is the sum of the multiply-add rates of all threads, measured while all threads compute, divided by the
 * rate of one thread alone. The rate is the number of multiply-adds per second of CPU time, so time in which a thread
 * waits for a core is not counted. The result is N if N threads run on N full cores. The result is about N / 2 if
 * every pair of virtual cores consists of hyperthreads of one core. The program uses the protocol of versus.py: it
 * answers the word `go` on standard input with the result. */
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/build_info.h"
#include "base/status.h"
#include "measure/peak.h"
#include "usage.h"

enum { REPEATS = 25 };

static double rate(void) {
  double sum = 0;
  for (int i = 0; i < REPEATS; i++) sum += wl_measure_peak();
  return sum / REPEATS;
}

static double all_at_once(void) {
  double sum = 0;
#pragma omp parallel reduction(+ : sum)
  sum += rate();
  return sum;
}

static const char usage[] =
    "usage: echo go | OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive bench_cores\n"
    "Measures the multiply-add rate of all threads at once, divided by the rate of one thread alone, by CPU\n"
    "time. Each line on standard input is one measurement.\n";

int main(int argc, char **argv) {
  char line[32];
  if (argc > 1) return print_usage(usage, strcmp(argv[1], "--help") == 0);
  printf("ready %d threads on %s; warploom %s, %s\n", omp_get_max_threads(), wl_build_processor(),
         wl_build_version(), wl_build_compiler());
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    const double alone = rate();
    printf("%.9e\n", all_at_once() / alone);
    fflush(stdout);
  }
  return 0;
}
