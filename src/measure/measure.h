/* measure.h - this machine's figures: the kernel's rate, the exact sum over ranks, checkpoint files. */
#ifndef WL_MEASURE_MEASURE_H
#define WL_MEASURE_MEASURE_H

#include "comm/comm.h"

/* Rates over the ranks, which all work at once. */
typedef struct wl_kernel_rate {
  double least, most, total; /* cs/s */
  double share;              /* of the peak: total flop / peak_total */
} wl_kernel_rate;

/* The LSTM of 2 x 20 units with preprocessing: windows of WL_CHUNK_STEPS steps, forward and backward. A
 * coordinate-step ("cs") is one step of one coordinate, forward and backward. */
typedef struct wl_kernel_figures {
  int64_t coordinates;                      /* of each rank */
  int threads;                              /* of each rank */
  double flop;                              /* of one cs: forward, replayed forward, backward */
  double peak_least, peak_most, peak_total; /* FLOP/s of all threads of a rank, and of all ranks */
  wl_kernel_rate replay, tape;              /* tape: zeros where it was too large */
  wl_kernel_rate vanishing;                 /* replay, of gradients and adjoints below the normal numbers */
} wl_kernel_figures;

/* Medians of `repeats` (1 .. WL_MEASURE_REPEATS) windows of either storage, each beside a measurement of the
 * peak; none with a tape of more than `most_tape` bytes. Collective. */
wl_status wl_measure_kernel(wl_comm *comm, int64_t coordinates, int threads, int repeats,
                            int64_t most_tape, wl_kernel_figures *out);

/* Seconds of one exact sum (as every meta-step has one) of `count` numbers from each rank, the mean of
 * many; of the slowest rank. Collective. */
wl_status wl_measure_sum(wl_comm *comm, int64_t count, double *seconds);

typedef struct wl_file_figures {
  int64_t bytes;
  double plain; /* bytes/s of write and fsync of one file */
  /* bytes/s of an HDF5 file as checkpoints are: sealed, written, synced, re-read, renamed */
  double checkpoint;
} wl_file_figures;

/* Medians of `repeats` files of `bytes` each, in turn, in `folder`, which are removed again. Not collective. */
wl_status wl_measure_files(const char *folder, int64_t bytes, int repeats, wl_file_figures *out);

enum { WL_MEASURE_REPEATS = 101 };

#endif
