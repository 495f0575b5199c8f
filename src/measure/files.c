/* files.c - compares writing a checkpoint with a plain write of the same bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/statistic.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "measure/measure.h"

/* Seconds for open, write, fsync and close. */
static wl_status plain(const char *path, const char *data, size_t bytes, double *seconds) {
  const double start = wl_seconds();
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0) return wl_os_fail("create", path, errno);
  size_t done = 0;
  ssize_t got = 1;
  while (done < bytes && got > 0) {
    got = write(file, data + done, bytes - done);
    if (got > 0) done += (size_t)got;
  }
  const bool failed = done < bytes || fsync(file) != 0;
  const int error = errno;
  close(file);
  *seconds = wl_seconds() - start;
  return failed ? wl_os_fail("write", path, error) : WL_OK;
}

static wl_status checkpoint(const char *path, double *data, int64_t count, double *seconds) {
  const wl_field field = {.name = "values",
                          .type = WL_FLOAT64,
                          .ndim = 1,
                          .shape = {count},
                          .data = data,
                          .units = "1",
                          .long_name = "uniform random numbers"};
  const double start = wl_seconds();
  const wl_status status = wl_file_write(path, "checkpoint", &field, 1, NULL, 0);
  *seconds = wl_seconds() - start;
  return status;
}

/* Measures both kinds alternately; removes the files also after an error. */
static wl_status measure(const char *folder, double *data, int64_t count, int repeats,
                         wl_file_figures *out) {
  double plain_seconds[WL_MEASURE_REPEATS], checkpoint_seconds[WL_MEASURE_REPEATS];
  char a[WL_PATH_MAX], b[WL_PATH_MAX], name[64];
  snprintf(name, sizeof name, "warploom-bench-%ld.plain", (long)getpid());
  WL_TRY(wl_path_join(a, folder, name));
  snprintf(name, sizeof name, "warploom-bench-%ld.h5", (long)getpid());
  WL_TRY(wl_path_join(b, folder, name));
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < repeats; i++) {
    status = plain(a, (const char *)data, (size_t)out->bytes, &plain_seconds[i]);
    unlink(a);
    if (status == WL_OK) status = checkpoint(b, data, count, &checkpoint_seconds[i]);
    unlink(b);
  }
  WL_TRY(status);
  out->plain = (double)out->bytes / wl_median(plain_seconds, repeats);
  out->checkpoint = (double)out->bytes / wl_median(checkpoint_seconds, repeats);
  return WL_OK;
}

wl_status wl_measure_files(const char *folder, int64_t bytes, int repeats, wl_file_figures *out) {
  const int64_t count = bytes / (int64_t)sizeof(double);
  double *data = NULL;
  WL_CHECK(repeats >= 1 && repeats <= WL_MEASURE_REPEATS && count > 0);
  *out = (wl_file_figures){.bytes = count * (int64_t)sizeof(double)};
  WL_TRY(WL_NEW(data, count));
  wl_rng_uniform_double((wl_stream){.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK}, 0,
                        count, 0.0, 1.0, data);
  const wl_status status = measure(folder, data, count, repeats, out);
  wl_free(data);
  return status;
}
