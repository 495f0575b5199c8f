/* environment.c - variables are input: what is not ours to follow is taken away, what is a number is checked. */
#include "cli/environment.h"

#include <stdlib.h>
#include <string.h>

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

void wl_environment_prepare(void) {
  unsetenv("POSIXLY_CORRECT"); /* options may follow operands */
  forget_hdf5();
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
