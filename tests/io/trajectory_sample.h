/* trajectory_sample.h - creates trajectory records whose numbers depend only on the meta-step and the unit. */
#ifndef WL_TESTS_IO_TRAJECTORY_SAMPLE_H
#define WL_TESTS_IO_TRAJECTORY_SAMPLE_H

#include "io/trajectory.h"

enum { T_STEPS = 5, T_COORDINATES = 3, T_HIDDEN = 2, T_N = 7, T_SNAPSHOTS = 2, T_UNITS = 2 };

static const int64_t t_index[T_COORDINATES] = {0, 2, 4};
static const wl_metric t_metrics[] = {{"meta_loss", "meta-loss"}, {"io_seconds", "spent on files"}};
static const wl_trajectory_setting t_setting = {.steps = T_STEPS,
                                                .coordinates = T_COORDINATES,
                                                .index = t_index,
                                                .hidden = T_HIDDEN,
                                                .n = T_N,
                                                .snapshots = T_SNAPSHOTS,
                                                .compression = 4,
                                                .metrics = t_metrics,
                                                .n_metrics = 2};

/* Returns the number of steps of a window: three in even meta-steps, five in odd meta-steps. */
static inline int64_t t_length(int64_t meta_step) { return meta_step % 2 ? T_STEPS : 3; }

static inline wl_status t_append(wl_trajectory *t, int64_t meta_step, int64_t unit) {
  double loss[T_STEPS], norm[T_STEPS];
  wl_real sampled[T_STEPS * T_COORDINATES], hidden[T_STEPS * T_COORDINATES * T_HIDDEN],
      theta[T_SNAPSHOTS * T_N];
  int64_t at[T_SNAPSHOTS] = {1, 3};
  for (int i = 0; i < T_STEPS; i++) {
    loss[i] = (double)meta_step + 0.125 * i;
    norm[i] = (double)unit + 0.5 * i;
  }
  for (int i = 0; i < T_STEPS * T_COORDINATES; i++) sampled[i] = (wl_real)(meta_step % 16 * 16 + i);
  for (int i = 0; i < T_STEPS * T_COORDINATES * T_HIDDEN; i++) hidden[i] = (wl_real)i / 4;
  for (int i = 0; i < T_SNAPSHOTS * T_N; i++) theta[i] = (wl_real)(meta_step + i);
  const wl_record record = {meta_step,
                            unit,
                            meta_step / 4,
                            meta_step % 4 * T_STEPS,
                            t_length(meta_step),
                            0,
                            loss,
                            loss,
                            norm,
                            norm,
                            sampled,
                            sampled,
                            hidden,
                            theta,
                            at,
                            T_SNAPSHOTS,
                            T_N};
  return wl_trajectory_append(t, &record);
}

/* Appends the records of the meta-steps from, ..., to - 1. Flushes after every `every` meta-steps. */
static inline wl_status t_run(wl_trajectory *t, int64_t from, int64_t to, int64_t every) {
  for (int64_t m = from; m < to; m++) {
    const double values[] = {(double)m + 1, 2.0 * (double)m};
    wl_status status = WL_OK;
    for (int64_t u = 0; status == WL_OK && u < T_UNITS; u++) status = t_append(t, m, u);
    if (status == WL_OK) status = wl_trajectory_metrics(t, m + 1, values);
    if (status == WL_OK && (m + 1) % every == 0) status = wl_trajectory_flush(t);
    if (status != WL_OK) return status;
  }
  return WL_OK;
}

#endif
