/* trajectory_writer.c - writes a trajectory that tests in Python read:
 *
 *   trajectory_writer RUN FROM TO EVERY PAUSE [half]
 *
 * The program writes the meta-steps FROM, ..., TO - 1. The program flushes after every EVERY meta-steps and waits PAUSE
 * milliseconds between meta-steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "trajectory_sample.h"

static wl_status run(char **argv, bool half) {
  wl_trajectory *t = NULL;
  wl_trajectory_setting setting = t_setting;
  const long pause = atol(argv[5]);
  const struct timespec wait = {pause / 1000, pause % 1000 * 1000000};
  setting.half = half;
  wl_status status = wl_trajectory_open(argv[1], &setting, atol(argv[2]), "seed: 1\n", &t);
  for (long m = atol(argv[2]); status == WL_OK && m < atol(argv[3]); m++) {
    status = t_run(t, m, m + 1, atol(argv[4]));
    nanosleep(&wait, NULL);
  }
  const wl_status closed = wl_trajectory_close(&t);
  return status == WL_OK ? closed : status;
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: %s RUN FROM TO EVERY PAUSE [half]\n", argv[0]);
    return 64;
  }
  mkdir(argv[1], 0777);
  const wl_status status = run(argv, argc > 6 && strcmp(argv[6], "half") == 0);
  if (status != WL_OK) fprintf(stderr, "%s\n", wl_last_error());
  return status;
}
