/* environment.c - removes and sets environment variables, and reads the rank from the launcher's
 * variables. */
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

/* Removes all environment variables of HDF5 except HDF5_DISABLE_VERSION_CHECK. The removed
 * variables would change drivers, plug-ins, file prefixes and file locks, which the program sets
 * explicitly. */
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
    /* *entry is now the next variable, because unsetenv moves the later entries forward */
    unsetenv(name);
  }
  setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
}

/* Sets GOMP_SPINCOUNT, so that waiting OpenMP threads spin for only some microseconds before they
 * sleep. By default, the threads of GCC's OpenMP library spin for many milliseconds. While a thread
 * spins, other programs and ranks cannot use its core. */
static bool choose_waiting(void) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return false;
  return setenv("GOMP_SPINCOUNT", "1000", 1) == 0;
}

/* Environment variable in which the first execution of the program stores the name of the kernels
 * that OpenBLAS chose. The second execution, which uses other kernels, prints the stored name. */
static const char replaced[] = "WARPLOOM_BLAS_REPLACED";

static bool choose_kernels(void) {
  if (getenv("OPENBLAS_CORETYPE") || !wl_blas_is_slow()) return false;
  setenv(replaced, wl_blas_kernels(), 1);
  return setenv("OPENBLAS_CORETYPE", wl_blas_better_kernels(), 1) == 0;
}

void wl_environment_prepare(char **argv) {
  /* with POSIXLY_CORRECT, getopt_long would reject options after operands */
  unsetenv("POSIXLY_CORRECT");
  forget_hdf5();
  const bool waiting = choose_waiting(), kernels = choose_kernels();
/* in a simulation with SimGrid, /proc/self/exe is the simulator, which loaded this program as a
 * module; executing /proc/self/exe would start the simulator again */
#ifdef WL_SIMULATED
  (void)argv, (void)waiting, (void)kernels;
#else
  /* if execv fails, this process continues */
  if (waiting || kernels) execv("/proc/self/exe", argv);
#endif
}

static void report_blas(void) {
  const char *const before = getenv(replaced), *const kernels = wl_blas_kernels();
  if (wl_blas_is_slow())
    wl_log_warning(
        "OpenBLAS uses its %s kernels, which do not use all instructions of this processor (%s), so products "
        "of large matrices are slow; %s",
        kernels, wl_build_blas(),
        before ? "install a newer OpenBLAS, or one built with DYNAMIC_ARCH"
               : "set OPENBLAS_CORETYPE=Haswell, or unset it, or install a newer OpenBLAS");
  else if (before)
    wl_log_info(
        "OpenBLAS does not recognise this processor and chose its %s kernels; the program uses the %s kernels "
        "of OpenBLAS instead (set OPENBLAS_CORETYPE to choose other kernels)",
        before, kernels);
}

/* Warns if ranks run different kernels, for example on nodes with different processors. With
 * different kernels, the bits of a unit's results depend on the rank that computes the unit. */
static wl_status report_differences(wl_comm *comm) {
  char text[1024];
  snprintf(text, sizeof text, "%s %s", wl_isa_name(wl_isa_choose()), wl_build_blas());
  wl_digest digest = {0};
  wl_digest_add(&digest, "kernels", text, strlen(text));
  const wl_status status = wl_comm_same(comm, "the kernels", digest.value);
  if (status == WL_ERR_PROTOCOL)
    wl_log_warning(
        "ranks run different kernels (rank 0 runs %s), so results depend on which rank computes a unit; set "
        "WARPLOOM_ISA and OPENBLAS_CORETYPE to values that all nodes support",
        text);
  return status == WL_ERR_PROTOCOL ? WL_OK : status;
}

wl_status wl_environment_report(wl_comm *comm) {
  report_blas();
  return report_differences(comm);
}

/* Returns the value of an environment variable that contains an integer of 0 or more. Returns -1 if
 * the variable is not set or contains any other string. */
static int number_of(const char *name) {
  const char *const text = getenv(name);
  if (!text || !*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text)) return -1;
  return atoi(text);
}

/* Reads the rank and the number of ranks from the variables of the launcher. A shell may still have
 * variables of an earlier launcher. The function therefore uses the rank only if the number of
 * ranks is above 1. SLURM_PROCID is not used, because SLURM also sets this variable for separate
 * programs of one job step. */
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
