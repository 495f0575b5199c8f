/* environment.c - variables are input: what is not ours to follow is taken away, what is a number is checked. */
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

/* HDF5's variables choose drivers, plug-ins, prefixes of files, and locks that many file systems do not have; all of
 * these the program decides itself. The one about its version check only concerns the installation. */
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
    unsetenv(name); /* moves the rest forward */
  }
  setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
}

/* OpenMP's threads wait for the next region some microseconds awake, then asleep: the library's default, many
 * milliseconds, takes from other programs and other ranks the cores that they need, and from ours what it waits for. */
static bool choose_waiting(void) {
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return false;
  return setenv("GOMP_SPINCOUNT", "1000", 1) == 0;
}

static const char replaced[] = "WARPLOOM_BLAS_REPLACED"; /* for the second execution: the kernels of the first */

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
  if (waiting || kernels) execv("/proc/self/exe", argv); /* where that fails, things stay as they are */
#endif
}

static void report_blas(void) {
  const char *const before = getenv(replaced), *const kernels = wl_blas_kernels();
  if (wl_blas_is_slow())
    wl_log_warning(
        "OpenBLAS runs its %s kernels, which use a part of this processor alone (%s): products of large matrices are "
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

/* On nodes of different processors a unit's bits depend on the rank that computes it. */
static wl_status report_differences(wl_comm *comm) {
  char text[1024];
  snprintf(text, sizeof text, "%s %s", wl_isa_name(wl_isa_choose()), wl_build_blas());
  wl_digest digest = {0};
  wl_digest_add(&digest, "kernels", text, strlen(text));
  const wl_status status = wl_comm_same(comm, "the kernels", digest.value);
  if (status == WL_ERR_PROTOCOL)
    wl_log_warning(
        "ranks run different kernels (on rank 0: %s): results depend on which rank computes what; set WARPLOOM_ISA and "
        "OPENBLAS_CORETYPE to what all nodes have",
        text);
  return status == WL_ERR_PROTOCOL ? WL_OK : status;
}

wl_status wl_environment_report(wl_comm *comm) {
  report_blas();
  return report_differences(comm);
}

/* A whole number from 0 on, -1 where the variable is not set or holds something else. */
static int number_of(const char *name) {
  const char *const text = getenv(name);
  if (!text || !*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text)) return -1;
  return atoi(text);
}

/* A rank counts where its launcher also names several: the variables may be left in a shell. SLURM_PROCID is not among
 * them, since each program of a packed job step has one and is alone. */
int wl_environment_rank(void) {
  static const struct {
    const char *rank, *size;
  } launchers[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                   {"PMI_RANK", "PMI_SIZE"},
                   {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};
  for (size_t i = 0; i < sizeof launchers / sizeof *launchers; ++i) {
    const int rank = number_of(launchers[i].rank);
    if (rank >= 0 && number_of(launchers[i].size) > 1) return rank;
  }
  return 0;
}
