/* environment.c - removes or sets environment variables, and checks the numbers that it reads from them. */
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

/* Removes all variables of HDF5 except the variable for the version check. The removed variables choose drivers,
 * plug-ins, file prefixes and file locks, all of which the program sets explicitly. */
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

/* Sets the time for which waiting OpenMP threads spin before they sleep to some microseconds. By default, the OpenMP
 * library spins for many milliseconds. Other programs and ranks would then have to wait for these cores. */
static bool choose_waiting(void) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return false;
  return setenv("GOMP_SPINCOUNT", "1000", 1) == 0;
}

/* the first execution stores its kernels here for the second execution */
static const char replaced[] = "WARPLOOM_BLAS_REPLACED";

static bool choose_kernels(void) {
  if (getenv("OPENBLAS_CORETYPE") || !wl_blas_is_slow()) return false;
  setenv(replaced, wl_blas_kernels(), 1);
  return setenv("OPENBLAS_CORETYPE", wl_blas_better_kernels(), 1) == 0;
}

void wl_environment_prepare(char **argv) {
  unsetenv("POSIXLY_CORRECT"); /* options may follow operands */
  forget_hdf5();
  const bool waiting = choose_waiting(), kernels = choose_kernels();
#ifdef WL_SIMULATED /* the simulator is the executable, and it loaded this program as a module */
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
        "OpenBLAS does not know this processor and chose its %s kernels: the program uses its %s kernels instead "
        "(OPENBLAS_CORETYPE chooses others)",
        before, kernels);
}

/* Warns if ranks run different kernels. On nodes with different processors, the bits of a unit then depend on the rank
 * that computes it. */
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

/* Returns the value of a variable, an integer of at least 0. Returns -1 if it is not set or has another value. */
static int number_of(const char *name) {
  const char *const text = getenv(name);
  if (!text || !*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text)) return -1;
  return atoi(text);
}

/* Reads the rank and the number of ranks. Variables may be left over in a shell, so a rank is used only if the launcher
 * also gives a number of several ranks. SLURM_PROCID is not used, because separate programs of a packed job step also
 * have it. */
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
