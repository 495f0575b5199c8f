/* measure.h - declares functions that measure the rate of the LSTM kernel, the time of an exact sum
 * over ranks, and the rate of writing files. */
#ifndef WL_MEASURE_MEASURE_H
#define WL_MEASURE_MEASURE_H

#include "comm/comm.h"

/* Rates of the ranks, measured while all ranks compute at the same time. */
typedef struct wl_kernel_rate {
  /* coordinate-steps per second of the slowest rank, of the fastest rank and of all ranks
   * together */
  double least, most, total;
  double share; /* fraction of the peak rate, equal to total * flop / peak_total */
} wl_kernel_rate;

/* Measured rates of the LSTM with two layers of 20 units and with preprocessing. The measured
 * windows have WL_CHUNK_STEPS steps. A coordinate-step ("cs") is one step of one coordinate and
 * includes the forward and the backward pass. */
typedef struct wl_kernel_figures {
  int64_t coordinates; /* number of coordinates of each rank */
  int threads;         /* number of threads of each rank */
  /* number of floating-point operations of one coordinate-step; the number includes two forward
   * passes, because `window.storage: recompute` computes the forward pass twice */
  double flop;
  /* peak rates in FLOP/s of the slowest rank, of the fastest rank and of all ranks together */
  double peak_least, peak_most, peak_total;
  /* rates with `window.storage: recompute` and with `window.storage: activations`; the rates with
   * activations are 0 if the activations needed too much memory to be measured */
  wl_kernel_rate recompute, activations;
  /* rates with `window.storage: recompute` when the gradients and adjoints are subnormal numbers */
  wl_kernel_rate vanishing;
} wl_kernel_figures;

/* Measures `repeats` windows for each of the storages `recompute` and `activations` (key
 * `window.storage`), and sets the medians. `repeats` is 1 to WL_MEASURE_REPEATS. The measurements
 * of windows and of the peak rate alternate. If the activations need more than `most_kept` bytes,
 * the function does not measure the storage `activations`. Collective. */
wl_status wl_measure_kernel(wl_comm *comm, int64_t coordinates, int threads, int repeats,
                            int64_t most_kept, wl_kernel_figures *out);

/* Measures the time of an exact sum over the ranks, where each rank contributes `count` numbers.
 * Every meta-step computes such a sum. Sets *seconds to the mean time of one sum on the slowest
 * rank. Collective. */
wl_status wl_measure_sum(wl_comm *comm, int64_t count, double *seconds);

typedef struct wl_file_figures {
  int64_t bytes;
  /* bytes per second of one plain file, which is written, synchronised with the disk and renamed */
  double plain;
  /* bytes per second of saving a checkpoint, including the computation of its file image and the
   * verification of the written bytes */
  double checkpoint;
  /* bytes per second of opening a checkpoint, including the check of every byte */
  double verify;
  /* rate of the checkpoint divided by the rate of the plain file, as the median over the rounds */
  double ratio;
} wl_file_figures;

/* Writes `repeats` plain files and `repeats` checkpoints of `bytes` bytes alternately into
 * `folder`, and sets the median rates. Removes the files at the end. The function is not
 * collective. */
wl_status wl_measure_files(const char *folder, int64_t bytes, int repeats, wl_file_figures *out);

enum { WL_MEASURE_REPEATS = 101 };

#endif
