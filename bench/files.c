/* files.c - compares the cost of a checkpoint with a plain write of the same bytes: bench_files [FOLDER] [MIB...]
 *
 * Measures these alternately, ROUNDS times for each size:
 *
 *   plain       open, write, fsync, close, rename, fsync of the folder
 *   checkpoint  wl_checkpoint_save: HDF5 layout, checksums, the same system calls, and every byte is read
 *               back and checked before the file is renamed
 *   verify      opening that file: it is read and checked, but not written
 *
 * Prints the median of each, and of the ratio within a round. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/build_info.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"

enum { ROUNDS = 21, WARM = 5, UNITS = 16, FIELDS = 3 };
static const double MIB = 1048576.0;

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double values[ROUNDS]) {
  double sorted[ROUNDS];
  memcpy(sorted, values, sizeof sorted);
  qsort(sorted, ROUNDS, sizeof *sorted, compare);
  return sorted[ROUNDS / 2];
}

/* ---- the two kinds of write ---- */

static wl_status sync_folder(const char *folder) {
  const int fd = open(folder, O_RDONLY | O_DIRECTORY);
  const int failed = fd < 0 || fsync(fd) != 0;
  if (fd >= 0) close(fd);
  return failed ? WL_FAIL(WL_ERR_IO, "cannot sync '%s'", folder) : WL_OK;
}

static wl_status write_plain(const char *folder, const char *data, size_t bytes) {
  char name[WL_PATH_MAX], final[WL_PATH_MAX];
  WL_TRY(wl_path_join(name, folder, "plain.part"));
  WL_TRY(wl_path_join(final, folder, "plain"));
  const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd < 0) return WL_FAIL(WL_ERR_CANNOT_CREATE, "cannot create '%s'", name);
  for (size_t at = 0; at < bytes;) {
    const ssize_t done = write(fd, data + at, bytes - at);
    if (done <= 0) return WL_FAIL(WL_ERR_IO, "cannot write '%s'", name);
    at += (size_t)done;
  }
  if (fsync(fd) != 0 || close(fd) != 0 || rename(name, final) != 0)
    return WL_FAIL(WL_ERR_IO, "cannot finish '%s'", name);
  return sync_folder(folder);
}

/* The state of units within their episodes, as in training: parameters and rule state. */
static wl_status save(const char *folder, int64_t step, char *data, size_t bytes) {
  const int64_t reals = (int64_t)(bytes / sizeof(float)), theta = reals / 81;
  double loss[UNITS] = {0};
  wl_field fields[FIELDS] = {
      {.name = "units/start_loss", .type = WL_FLOAT64, .ndim = 1, .shape = {UNITS}, .data = loss},
      {.name = "units/theta", .type = WL_FLOAT32, .ndim = 1, .shape = {theta}, .data = data},
      {.name = "units/state",
       .type = WL_FLOAT32,
       .ndim = 1,
       .shape = {reals - theta},
       .data = data + theta * (int64_t)sizeof(float)}};
  return wl_checkpoint_save(folder, &(wl_checkpoint){step, 2, 0, fields, FIELDS, NULL, 0});
}

static wl_status verify(const char *folder) {
  wl_file *file = NULL;
  int64_t step;
  char path[WL_PATH_MAX];
  WL_TRY(wl_checkpoint_open_newest(folder, &file, &step, path, sizeof path));
  wl_file_close(&file);
  return WL_OK;
}

/* ---- measuring ---- */

static wl_status measure(const char *parent, size_t bytes) {
  char folder[WL_PATH_MAX], name[32];
  snprintf(name, sizeof name, "%zu", bytes);
  WL_TRY(wl_path_join(folder, parent, name));
  if (mkdir(folder, 0777) != 0) return WL_FAIL(WL_ERR_CANNOT_CREATE, "cannot create '%s'", folder);
  double plain[ROUNDS], checkpoint[ROUNDS], verified[ROUNDS], ratio[ROUNDS];
  char *data = NULL;
  WL_TRY(wl_alloc((void **)&data, bytes, 1));
  for (size_t i = 0; i < bytes; i++) data[i] = (char)(i * 2654435761u >> 13);
  wl_status status = WL_OK;
  for (int r = 0; r < WARM && status == WL_OK; r++) { /* warm-up of memory and disk */
    status = write_plain(folder, data, bytes);
    if (status == WL_OK) status = save(folder, r, data, bytes);
  }
  for (int r = 0; r < ROUNDS && status == WL_OK; r++) {
    const double start = now_seconds();
    status = write_plain(folder, data, bytes);
    const double written = now_seconds();
    if (status == WL_OK) status = save(folder, WARM + r, data, bytes);
    const double saved = now_seconds();
    if (status == WL_OK) status = verify(folder);
    plain[r] = written - start;
    checkpoint[r] = saved - written;
    verified[r] = now_seconds() - saved;
    ratio[r] = plain[r] / checkpoint[r];
  }
  wl_free(data);
  WL_TRY(status);
  printf("%8.0f %14.0f %14.0f %12.0f %10.2f\n", (double)bytes / MIB,
         (double)bytes / MIB / median(plain), (double)bytes / MIB / median(checkpoint),
         (double)bytes / MIB / median(verified), median(ratio));
  return WL_OK;
}

static wl_status measure_sizes(const char *folder, int count, char **sizes) {
  static char *const usual[] = {"1", "16", "64", "256"};
  if (count == 0) {
    count = 4;
    sizes = (char **)usual;
  }
  for (int i = 0; i < count; i++) {
    const double mib = strtod(sizes[i], NULL);
    if (!(mib >= 0.01 && mib <= 65536))
      return WL_FAIL(WL_ERR_USAGE, "'%s' is no size in MiB from 0.01 to 65536", sizes[i]);
    WL_TRY(measure(folder, (size_t)(mib * MIB) / 8 * 8));
  }
  return WL_OK;
}

int main(int argc, char **argv) {
  char folder[WL_PATH_MAX];
  if (argc > 1 && argv[1][0] == '-') {
    const bool asked = strcmp(argv[1], "--help") == 0;
    fputs(
        "usage: bench_files [FOLDER] [MIB...]\n"
        "A checkpoint beside a plain write and fsync of the same bytes, in FOLDER (default: here), for each size\n"
        "(default: 1 16 64 256). ratio: the median of the checkpoint's rate over the plain one of its round.\n",
        asked ? stdout : stderr);
    return asked ? 0 : WL_ERR_USAGE;
  }
  snprintf(folder, sizeof folder, "%s/warploom-files-XXXXXX", argc > 1 ? argv[1] : ".");
  if (!mkdtemp(folder)) {
    fprintf(stderr, "bench_files: cannot make a folder in '%s'\n", argc > 1 ? argv[1] : ".");
    return WL_ERR_CANNOT_CREATE;
  }
  printf("%s; HDF5 %s; %s\n%8s %14s %14s %12s %10s\n", wl_build_processor(), wl_build_hdf5(),
         wl_build_compiler(), "MiB", "plain MiB/s", "checkpoint", "verify", "ratio");
  const wl_status status = measure_sizes(folder, argc > 2 ? argc - 2 : 0, argv + 2);
  if (status != WL_OK) fprintf(stderr, "bench_files: %s\n", wl_last_error());
  char command[WL_PATH_MAX + 16];
  snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
  return system(command) == 0 ? (int)status : WL_ERR_IO;
}
