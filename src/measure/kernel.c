/* kernel.c - measures how many coordinate-steps per second the coordinatewise LSTM computes, and
 * compares this rate with the peak rate of the threads.
 *
 * All times are wall times. All ranks compute at the same time, as they do in a training. */
#include "base/statistic.h"
#include "measure/kernel_window.h"
#include "measure/measure.h"
#include "measure/peak.h"

/* Computes the minimum, the maximum and the sum of `figure` over the ranks. */
static wl_status gather(wl_comm *comm, double figure, double *least, double *most, double *total) {
  double bounds[] = {figure, -figure};
  int64_t sum = (int64_t)figure;
  WL_TRY(wl_comm_max(comm, bounds, 2));
  WL_TRY(wl_comm_sum_int64(comm, &sum, 1));
  *most = bounds[0];
  *least = -bounds[1];
  *total = (double)sum;
  return WL_OK;
}

/* The median peak rate in FLOP/s, and the median time in seconds of a window for each measured
 * value of the key `window.storage`. */
typedef struct medians {
  double peak, recompute, activations, vanishing;
} medians;

static wl_status measure(wl_comm *comm, wl_kernel_window *w, int threads, int repeats,
                         medians *out) {
  double peak[WL_MEASURE_REPEATS], recompute[WL_MEASURE_REPEATS],
      activations[WL_MEASURE_REPEATS] = {0};
  /* the first windows are not measured, because they cause page faults */
  wl_kernel_window_seconds(w, false);
  if (w->activations) wl_kernel_window_seconds(w, true);
  for (int i = 0; i < repeats; i++) {
    WL_TRY(wl_comm_barrier(comm));
    peak[i] = wl_measure_peaks(threads);
    recompute[i] = wl_kernel_window_seconds(w, false);
    if (w->activations) activations[i] = wl_kernel_window_seconds(w, true);
  }
  *out = (medians){wl_median(peak, repeats), wl_median(recompute, repeats),
                   wl_median(activations, repeats), 0};
  return WL_OK;
}

/* Measures the median time in seconds of a window with `window.storage: recompute`. In these
 * windows, the gradients and the adjoints at the window's end are subnormal numbers. */
static wl_status measure_vanishing(wl_comm *comm, wl_kernel_window *w, int repeats,
                                   double *seconds) {
  double each[WL_MEASURE_REPEATS];
  for (int64_t i = 0; i < WL_WINDOW_STEPS * w->lanes; i++) w->g[i] *= (wl_real)1e-38;
  WL_TRY(wl_comm_barrier(comm));
  for (int i = 0; i < repeats; i++) each[i] = wl_kernel_window_seconds(w, false);
  *seconds = wl_median(each, repeats);
  return WL_OK;
}

static wl_status rate_of(wl_comm *comm, double seconds, wl_kernel_figures *f, wl_kernel_rate *out) {
  const double work = (double)(f->coordinates * WL_WINDOW_STEPS);
  WL_TRY(gather(comm, work / seconds, &out->least, &out->most, &out->total));
  out->share = out->total * f->flop / f->peak_total;
  return WL_OK;
}

wl_status wl_measure_kernel(wl_comm *comm, int64_t coordinates, int threads, int repeats,
                            int64_t most_kept, wl_kernel_figures *out) {
  wl_kernel_window w;
  medians m;
  WL_CHECK(repeats >= 1 && repeats <= WL_MEASURE_REPEATS);
  const wl_kernel_setting setting = {coordinates, threads, "log", most_kept};
  WL_TRY(wl_comm_agree(comm, wl_kernel_window_create(&setting, &w)));
  *out = (wl_kernel_figures){.coordinates = coordinates, .threads = threads, .flop = w.rule->cost};
  wl_status status = measure(comm, &w, threads, repeats, &m);
  if (status == WL_OK) status = measure_vanishing(comm, &w, repeats, &m.vanishing);
  const bool kept = w.activations != NULL;
  wl_kernel_window_destroy(&w);
  WL_TRY(status);
  WL_TRY(gather(comm, m.peak, &out->peak_least, &out->peak_most, &out->peak_total));
  WL_TRY(rate_of(comm, m.recompute, out, &out->recompute));
  WL_TRY(rate_of(comm, m.vanishing, out, &out->vanishing));
  return kept ? rate_of(comm, m.activations, out, &out->activations) : WL_OK;
}
