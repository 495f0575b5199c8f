/* update.c - measures the time that libwarploom needs for one step of trained optimizers over many parameters.
 *
 *   bench_update PARAMETERS THREADS FILE...
 *
 * Each round measures the optimizer of every file once. For each file, the program prints the median and the shortest
 * time of wl_optimizer_step over the rounds, in milliseconds. The program also divides the median by the median of the
 * last file. The script update.sh passes the files of two LSTMs and of Adam. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "warploom/optimizer.h"

enum { FILES = 8, ROUNDS = 21 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(wl_status status) {
  if (status == WL_OK) return;
  fprintf(stderr, "bench_update: %s\n", wl_last_error());
  exit((int)status);
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void open_all(wl_optimizer **optimizer, char **files, int count, int64_t n, int threads) {
  for (int i = 0; i < count; i++) {
    need(wl_optimizer_load(files[i], &optimizer[i]));
    need(wl_optimizer_set_threads(optimizer[i], threads));
    need(wl_optimizer_start(optimizer[i], n));
  }
}

/* Fills the array with random gradients of magnitude about 1 and of both signs. */
static void fill(float *gradient, int64_t n) {
  uint32_t bits = 1;
  for (int64_t i = 0; i < n; i++) {
    bits = bits * 1664525u + 1013904223u;
    gradient[i] = (float)bits / 2147483648.0f - 1.0f;
  }
}

static void report(wl_optimizer *const *optimizer, double times[FILES][ROUNDS], int count,
                   int64_t n, int threads) {
  for (int i = 0; i < count; i++) qsort(times[i], ROUNDS, sizeof(double), ascending);
  printf("%lld parameters, %d thread%s, %d rounds\n", (long long)n, threads,
         threads == 1 ? "" : "s", ROUNDS);
  printf("%-8s %16s %12s %12s %16s\n", "rule", "meta-parameters", "ms, median", "ms, least",
         "times the last");
  for (int i = 0; i < count; i++)
    printf("%-8s %16lld %12.2f %12.2f %16.1f\n", wl_optimizer_rule(optimizer[i]),
           (long long)wl_optimizer_meta_parameters(optimizer[i]), 1e3 * times[i][ROUNDS / 2],
           1e3 * times[i][0], times[i][ROUNDS / 2] / times[count - 1][ROUNDS / 2]);
}

static int print_usage(bool asked) {
  fprintf(
      asked ? stdout : stderr,
      "usage: bench_update PARAMETERS THREADS FILE...\n"
      "Measures one step of the optimizer of each FILE (at most %d) over the given number of parameters.\n"
      "bench/update.sh writes files of LSTMs and of Adam and compares them.\n",
      FILES);
  return asked ? 0 : WL_ERR_USAGE;
}

int main(int argc, char **argv) {
  wl_optimizer *optimizer[FILES] = {NULL};
  static double times[FILES][ROUNDS];
  const int count = argc - 3;
  if (argc > 1 && strcmp(argv[1], "--help") == 0) return print_usage(true);
  if (count < 1 || count > FILES || atoll(argv[1]) < 1 || atoi(argv[2]) < 1)
    return print_usage(false);
  const int64_t n = atoll(argv[1]);
  float *gradient = calloc((size_t)n, sizeof *gradient), *theta = calloc((size_t)n, sizeof *theta);
  if (!gradient || !theta) return WL_ERR_OS;
  fill(gradient, n);
  open_all(optimizer, argv + 3, count, n, atoi(argv[2]));
  /* the first round is not counted, because it includes page faults */
  for (int round = -1; round < ROUNDS; round++)
    for (int i = 0; i < count; i++) {
      const double start = seconds();
      need(wl_optimizer_step(optimizer[i], n, gradient, theta));
      if (round >= 0) times[i][round] = seconds() - start;
    }
  report(optimizer, times, count, n, atoi(argv[2]));
  for (int i = 0; i < count; i++) wl_optimizer_destroy(&optimizer[i]);
  free(gradient);
  free(theta);
  return 0;
}
