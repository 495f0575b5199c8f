/* environment.c - removes unwanted environment variables, and checks the numbers in other variables, because these
 * numbers are input. */
#include "cli/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/blas.h"
#include "base/build_info.h"
#include "base/digest.h"
#include "base/isa.h"
#include "base/log.h"

extern char **environ;

/* Removes HDF5's variables, which choose drivers, plug-ins, file prefixes and file locks: the program sets all of these
 * explicitly. The variable for HDF5's version check is kept. */
static void forget_hdf5(void) {
  char name[64];
  for (char **entry = environ; *entry;) {
    const size_t length = strcspn(*entry, "=");
    const int drop = strncmp(*entry, "HDF5_", 5) == 0 && length < sizeof name &&
                     strncmp(*entry, "HDF5_DISABLE_VERSION_CHECK=", 27) != 0;
    if (!drop) {
      entry++;
      continue;
    }
    memcpy(name, *entry, length);
    name[length] = '\0';
    unsetenv(name); /* unsetenv moves the later variables forward */
  }
  setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
}

/* Sets the time that waiting OpenMP threads spin before they sleep to some microseconds. By default the OpenMP library
 * spins for many milliseconds, which occupies cores that other programs and other ranks need. */
static bool choose_waiting(void) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return false;
  return setenv("GOMP_SPINCOUNT", "1000", 1) == 0;
}

static const char replaced[] = "WARPLOOM_BLAS_REPLACED"; /* holds the first execution's kernels for the second one */

static bool choose_kernels(void) {
  if (getenv("OPENBLAS_CORETYPE") || !wl_blas_is_slow()) return false;
  setenv(replaced, wl_blas_kernels(), 1);
  return setenv("OPENBLAS_CORETYPE", wl_blas_better_kernels(), 1) == 0;
}

void wl_environment_prepare(char **argv) {
  unsetenv("POSIXLY_CORRECT"); /* options may follow operands */
  forget_hdf5();
  const bool waiting = choose_waiting(), kernels = choose_kernels();
#ifdef WL_SIMULATED /* the executable is the simulator, which loaded the program as a module */
  (void)argv, (void)waiting, (void)kernels;
#else
  if (waiting || kernels) execv("/proc/self/exe", argv); /* if execv fails, this execution continues */
#endif
}

static void report_blas(void) {
  const char *const before = getenv(replaced), *const kernels = wl_blas_kernels();
  if (wl_blas_is_slow())
    wl_log_warning(
        "OpenBLAS runs its %s kernels, which do not use all instructions of this processor (%s): products of large matrices are "
        "slow; %s",
        kernels, wl_build_blas(),
        before ? "install a newer OpenBLAS, or one built with DYNAMIC_ARCH"
               : "set OPENBLAS_CORETYPE=Haswell, or unset it, or install a newer OpenBLAS");
  else if (before)
    wl_log_info(
        "OpenBLAS does not know this processor and took its %s kernels: running its %s ones instead (OPENBLAS_CORETYPE "
        "chooses others)",
        before, kernels);
}

/* Warns if ranks run different kernels. On nodes with different processors the bits of a unit depend on the rank that
 * computes the unit. */
static wl_status report_differences(wl_comm *comm) {
  char text[1024];
  snprintf(text, sizeof text, "%s %s", wl_isa_name(wl_isa_choose()), wl_build_blas());
  wl_digest digest = {0};
  wl_digest_add(&digest, "kernels", text, strlen(text));
  const wl_status status = wl_comm_same(comm, "the kernels", digest.value);
  if (status == WL_ERR_PROTOCOL)
    wl_log_warning(
        "ranks run different kernels (on rank 0: %s): results depend on which rank computes a unit; set WARPLOOM_ISA "
        "and OPENBLAS_CORETYPE to values that all nodes support",
        text);
  return status == WL_ERR_PROTOCOL ? WL_OK : status;
}

wl_status wl_environment_report(wl_comm *comm) {
  report_blas();
  return report_differences(comm);
}

/* Returns an integer of at least 0; -1 if the variable is not set or has another value. */
static int number_of(const char *name) {
  const char *const text = getenv(name);
  if (!text || !*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text)) return -1;
  return atoi(text);
}

/* Reads the rank and the number of ranks. A rank variable is used only if the launcher also gives a number of several
 * ranks, because variables may be left over in a shell. SLURM_PROCID is not used, because separate programs of a packed
 * job step also have that variable. */
static void read_launcher(int *rank, int *ranks) {
  static const struct {
    const char *rank, *size;
  } launchers[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                   {"PMI_RANK", "PMI_SIZE"},
                   {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};
  for (size_t i = 0; i < sizeof launchers / sizeof *launchers; ++i) {
    *rank = number_of(launchers[i].rank), *ranks = number_of(launchers[i].size);
    if (*rank >= 0 && *ranks > 1) return;
  }
  *rank = 0, *ranks = 1;
}

int wl_environment_rank(void) {
  int rank, ranks;
  read_launcher(&rank, &ranks);
  return rank;
}

int wl_environment_ranks(void) {
  int rank, ranks;
  read_launcher(&rank, &ranks);
  return ranks;
}
