/* sum.c - measures the time of an exact sum over the ranks. Each rank contributes one vector, as in
 * a meta-step. */
#include "base/clock.h"
#include "measure/measure.h"

enum { MOST = 1000, LEAST = 3 };
static const double ENOUGH = 0.2; /* approximate duration of a measurement, in seconds */

/* Computes `repeats` sums, one after the other. Sets *seconds to the mean time of one sum on the
 * slowest rank. */
static wl_status run(wl_comm *comm, const wl_exact_sum *template, int repeats, double *seconds) {
  WL_TRY(wl_comm_barrier(comm));
  const double start = wl_seconds();
  for (int i = 0; i < repeats; i++) {
    wl_exact_sum sum = *template;
    WL_TRY(wl_comm_exact_sum(comm, &sum));
  }
  *seconds = (wl_seconds() - start) / repeats;
  return wl_comm_max(comm, seconds, 1);
}

wl_status wl_measure_sum(wl_comm *comm, int64_t count, double *seconds) {
  double *vector = NULL, *sum = NULL;
  wl_status status = WL_NEW(vector, count);
  if (status == WL_OK) status = WL_NEW(sum, count);
  status = wl_comm_agree(comm, status);
  for (int64_t i = 0; status == WL_OK && i < count; i++) vector[i] = 1.0 / (double)(i + 1);
  const wl_exact_sum template = {.vectors = vector,
                                 .units = 1,
                                 .counted = (const bool[]){true},
                                 .count = count,
                                 .blocks = (const int64_t[]){0, count},
                                 .n_blocks = 1,
                                 .total = wl_comm_size(comm),
                                 .sum = sum};
  if (status == WL_OK) status = run(comm, &template, LEAST, seconds);
  if (status == WL_OK) {
    /* all ranks compute the same `repeats`, because *seconds is a maximum over the ranks */
    const double wanted = ENOUGH / *seconds;
    const int repeats = wanted < LEAST ? LEAST : wanted > MOST ? MOST : (int)wanted;
    status = run(comm, &template, repeats, seconds);
  }
  wl_free(vector);
  wl_free(sum);
  return status;
}
