/* files.c - measures how long the program needs to save a checkpoint, to open a checkpoint, and to
 * write the same number of bytes to a plain file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/statistic.h"
#include "base/atomic_file.h"
#include "io/checkpoint.h"
#include "measure/measure.h"

enum { WARM = 2 }; /* number of warm-up rounds, which are not measured */

/* Opens, writes, syncs, closes and renames a plain file. */
static wl_status write_plain(const char *folder, const double *data, size_t bytes) {
  char name[WL_PATH_MAX], last[WL_PATH_MAX];
  WL_TRY(wl_path_join(name, folder, "plain.new"));
  WL_TRY(wl_path_join(last, folder, "plain"));
  const int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0) return wl_os_fail("create", name, errno);
  size_t done = 0;
  ssize_t got = 1;
  while (done < bytes && got > 0) {
    got = write(file, (const char *)data + done, bytes - done);
    if (got > 0) done += (size_t)got;
  }
  const bool failed = done < bytes || fsync(file) != 0 || rename(name, last) != 0;
  const int error = errno;
  close(file);
  return failed ? wl_os_fail("write", name, error) : WL_OK;
}

/* Saves a checkpoint that contains the parameters and the rule state of units, as a checkpoint of a
 * training does. */
static wl_status save(const char *folder, int64_t step, double *data, int64_t count) {
  const int64_t theta = count / 81;
  const wl_field fields[] = {
      {.name = "units/theta", .type = WL_FLOAT64, .ndim = 1, .shape = {theta}, .data = data},
      {.name = "units/state",
       .type = WL_FLOAT64,
       .ndim = 1,
       .shape = {count - theta},
       .data = data + theta}};
  return wl_checkpoint_save(folder, &(wl_checkpoint){step, 2, 0, fields, 2, NULL, 0});
}

static wl_status verify(const char *folder) {
  wl_file *file = NULL;
  int64_t step;
  WL_TRY(wl_checkpoint_open_newest(folder, &file, &step));
  wl_file_close(&file);
  return WL_OK;
}

typedef struct times {
  double plain[WL_MEASURE_REPEATS], checkpoint[WL_MEASURE_REPEATS], verify[WL_MEASURE_REPEATS],
      ratio[WL_MEASURE_REPEATS];
} times;

static wl_status measure_round(const char *folder, double *data, int64_t count, int round,
                               times *t) {
  const int i = round < WARM ? 0 : round - WARM;
  const double start = wl_seconds();
  WL_TRY(write_plain(folder, data, (size_t)count * sizeof *data));
  const double written = wl_seconds();
  WL_TRY(save(folder, round, data, count));
  const double saved = wl_seconds();
  WL_TRY(verify(folder));
  t->plain[i] = written - start;
  t->checkpoint[i] = saved - written;
  t->verify[i] = wl_seconds() - saved;
  t->ratio[i] = t->plain[i] / t->checkpoint[i];
  return WL_OK;
}

static void remove_all(const char *folder) {
  static const char *const names[] = {"plain.new", "plain", "checkpoints/latest"};
  char path[WL_PATH_MAX];
  for (int i = 0; i < WARM + WL_MEASURE_REPEATS; i++) {
    char name[48];
    snprintf(name, sizeof name, "checkpoints/step-%08d.h5", i);
    if (wl_path_join(path, folder, name) == WL_OK) unlink(path);
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (wl_path_join(path, folder, names[i]) == WL_OK) unlink(path);
  if (wl_path_join(path, folder, "checkpoints") == WL_OK) rmdir(path);
  rmdir(folder);
}

wl_status wl_measure_files(const char *folder, int64_t bytes, int repeats, wl_file_figures *out) {
  const int64_t count = bytes / (int64_t)sizeof(double);
  char work[WL_PATH_MAX];
  double *data = NULL;
  times *t = NULL;
  WL_CHECK(repeats >= 1 && repeats <= WL_MEASURE_REPEATS && count > 0);
  *out = (wl_file_figures){.bytes = count * (int64_t)sizeof(double)};
  WL_TRY(wl_path_join(work, folder, "warploom-files-XXXXXX"));
  if (!mkdtemp(work)) return wl_os_fail("create a folder in", folder, errno);
  wl_status status = WL_NEW(data, count);
  if (status == WL_OK) status = WL_NEW(t, 1);
  if (status == WL_OK)
    wl_rng_uniform_double((wl_stream){.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK},
                          0, count, 0.0, 1.0, data);
  for (int i = 0; status == WL_OK && i < WARM + repeats; i++)
    status = measure_round(work, data, count, i, t);
  if (status == WL_OK) {
    out->plain = (double)out->bytes / wl_median(t->plain, repeats);
    out->checkpoint = (double)out->bytes / wl_median(t->checkpoint, repeats);
    out->verify = (double)out->bytes / wl_median(t->verify, repeats);
    out->ratio = wl_median(t->ratio, repeats);
  }
  remove_all(work);
  wl_free(data);
  wl_free(t);
  return status;
}
