/* measure.h - measures this machine: rate of the LSTM kernel, time of the exact sum over ranks, rate of file writes. */
#ifndef WL_MEASURE_MEASURE_H
#define WL_MEASURE_MEASURE_H

#include "comm/comm.h"

/* Rates over the ranks; all ranks compute at once. */
typedef struct wl_kernel_rate {
  double least, most, total; /* cs/s */
  double share;              /* of the peak: total flop / peak_total */
} wl_kernel_rate;

/* Figures of the LSTM of 2 x 20 units with preprocessing, in windows of WL_CHUNK_STEPS steps, forward and backward. A
 * coordinate-step ("cs") is one step of one coordinate, forward and backward. */
typedef struct wl_kernel_figures {
  int64_t coordinates;                      /* of each rank */
  int threads;                              /* of each rank */
  double flop;                              /* of one cs: forward twice, backward */
  double peak_least, peak_most, peak_total; /* FLOP/s of all threads of a rank, and of all ranks */
  wl_kernel_rate recompute, activations;    /* activations: zeros if they were too large */
  wl_kernel_rate vanishing;                 /* recompute, with subnormal gradients and adjoints */
} wl_kernel_figures;

/* Measures medians over `repeats` (1 .. WL_MEASURE_REPEATS) windows of either storage, alternately with the peak.
 * Omits the storage `activations` if these have more than `most_kept` bytes. Collective. */
wl_status wl_measure_kernel(wl_comm *comm, int64_t coordinates, int threads, int repeats,
                            int64_t most_kept, wl_kernel_figures *out);

/* Seconds of one exact sum of `count` numbers from each rank (every meta-step has one such sum): the
 * mean over many sums, of the slowest rank. Collective. */
wl_status wl_measure_sum(wl_comm *comm, int64_t count, double *seconds);

typedef struct wl_file_figures {
  int64_t bytes;
  double plain;      /* bytes/s of write, sync and rename of one file */
  double checkpoint; /* bytes/s of a checkpoint: HDF5, footer, written, re-read, synced, renamed */
  double verify;     /* bytes/s of opening it, which compares every byte */
  double ratio;      /* of the checkpoint's rate and the plain one: median over the rounds */
} wl_file_figures;

/* Measures medians over `repeats` files of `bytes` bytes of each kind, alternately, in `folder`; removes the files.
 * Not collective. */
wl_status wl_measure_files(const char *folder, int64_t bytes, int repeats, wl_file_figures *out);

enum { WL_MEASURE_REPEATS = 101 };

#endif
