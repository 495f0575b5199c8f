/* measure.h - measures the rate of the LSTM kernel, the time of the exact sum over ranks, and the rate of file
 * writes. */
#ifndef WL_MEASURE_MEASURE_H
#define WL_MEASURE_MEASURE_H

#include "comm/comm.h"

/* Rates of the ranks while all ranks compute at the same time. */
typedef struct wl_kernel_rate {
  double least, most, total; /* cs/s */
  double share;              /* fraction of the peak rate: total flop / peak_total */
} wl_kernel_rate;

/* Figures of the LSTM of 2 x 20 units with preprocessing, in windows of WL_CHUNK_STEPS steps, forward and backward. A
 * coordinate-step ("cs") is one step of one coordinate, forward and backward. */
typedef struct wl_kernel_figures {
  int64_t coordinates;                      /* number of coordinates of each rank */
  int threads;                              /* number of threads of each rank */
  double flop; /* operations of one coordinate-step, with a second forward pass */
  double peak_least, peak_most, peak_total; /* FLOP/s of the slowest and of the fastest rank; sum over all ranks */
  wl_kernel_rate recompute, activations;    /* `activations` is zeros if the activations were too large */
  wl_kernel_rate vanishing;                 /* rate of `recompute` with subnormal gradients and adjoints */
} wl_kernel_figures;

/* Measures medians over `repeats` (1 .. WL_MEASURE_REPEATS) windows of each storage, alternately with the peak rate.
 * Omits the storage `activations` if the activations need more than `most_kept` bytes. Collective. */
wl_status wl_measure_kernel(wl_comm *comm, int64_t coordinates, int threads, int repeats,
                            int64_t most_kept, wl_kernel_figures *out);

/* Measures the seconds of one exact sum of `count` numbers from each rank, as in every meta-step. The result is the
 * mean over many sums on the slowest rank. Collective. */
wl_status wl_measure_sum(wl_comm *comm, int64_t count, double *seconds);

typedef struct wl_file_figures {
  int64_t bytes;
  double plain;      /* bytes/s of write, sync and rename of one file */
  double checkpoint; /* bytes/s of a checkpoint: made by HDF5, written with a footer, read back, synced, renamed */
  double verify;     /* bytes/s of opening the checkpoint, including the check of every byte */
  double ratio;      /* the checkpoint's rate divided by the plain rate: median over the rounds */
} wl_file_figures;

/* Writes `repeats` plain files and `repeats` checkpoints of `bytes` bytes alternately in `folder`, and measures the
 * medians. Removes the files. Not collective. */
wl_status wl_measure_files(const char *folder, int64_t bytes, int repeats, wl_file_figures *out);

enum { WL_MEASURE_REPEATS = 101 };

#endif
