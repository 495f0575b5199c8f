/* files.c - compares the time of a checkpoint with the time of a plain write of the same bytes: bench_files [FOLDER]
 * [MIB...]
 *
 * In each round, the program measures a plain write, a checkpoint, and the opening of that checkpoint
 * (src/measure/files.c). The program prints the median of each time over the rounds. The program also prints the
 * median over the rounds of the ratio (time of the checkpoint) / (time of the plain write). */
#include <stdlib.h>

#include "base/build_info.h"
#include "measure/measure.h"
#include "usage.h"

enum { ROUNDS = 21 };
static const double MIB = 1048576.0;

static wl_status measure(const char *folder, const char *size) {
  const double mib = strtod(size, NULL);
  wl_file_figures f;
  if (!(mib >= 0.01 && mib <= 65536))
    return WL_FAIL(WL_ERR_USAGE, "'%s' is not a size in MiB from 0.01 to 65536", size);
  WL_TRY(wl_measure_files(folder, (int64_t)(mib * MIB), ROUNDS, &f));
  printf("%8.0f %14.0f %14.0f %12.0f %10.2f\n", (double)f.bytes / MIB, f.plain / MIB,
         f.checkpoint / MIB, f.verify / MIB, f.ratio);
  fflush(stdout);
  return WL_OK;
}

int main(int argc, char **argv) {
  static char *const usual[] = {"1", "16", "64", "256"};
  char *const *sizes = argc > 2 ? argv + 2 : usual;
  const int count = argc > 2 ? argc - 2 : 4;
  if (argc > 1 && argv[1][0] == '-')
    return print_usage(
        "usage: bench_files [FOLDER] [MIB...]\n"
        "Compares a checkpoint with a plain write and fsync of the same bytes, for each size (default: 1 16 64 256).\n"
        "FOLDER is the folder of the files (default: the current one). ratio: the rate of the checkpoint divided by\n"
        "the rate of the plain write in the same round, median over the rounds.\n",
        argv[1][1] == '-' && argv[1][2] == 'h');
  printf("%s; HDF5 %s; %s\n%8s %14s %14s %12s %10s\n", wl_build_processor(), wl_build_hdf5(),
         wl_build_compiler(), "MiB", "plain MiB/s", "checkpoint", "verify", "ratio");
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < count; i++)
    status = measure(argc > 1 ? argv[1] : ".", sizes[i]);
  if (status != WL_OK) fprintf(stderr, "bench_files: %s\n", wl_last_error());
  return (int)status;
}
