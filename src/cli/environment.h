/* environment.h - removes or sets environment variables that affect the program. */
#ifndef WL_CLI_ENVIRONMENT_H
#define WL_CLI_ENVIRONMENT_H

#include "comm/comm.h"

/* Called first in main. Removes variables that would change how this program and its children parse the command line
 * (POSIXLY_CORRECT) or access files (HDF5_*). Some libraries read variables before main runs. In two cases the program
 * therefore sets a variable and executes itself once more: GOMP_SPINCOUNT, unless the user chose how OpenMP threads
 * wait, and OPENBLAS_CORETYPE, if OpenBLAS does not recognise the processor. */
void wl_environment_prepare(char **argv);

/* Warns on rank 0 if other kernels replace the kernels that OpenBLAS chose, if slow kernels run, or if ranks run
 * different kernels. The warning describes the fix. For commands that compute. Collective. */
wl_status wl_environment_report(wl_comm *comm);

/* Return the rank and the number of ranks according to the launcher's variables, for use before MPI starts; 0 and 1
 * without a launcher. */
int wl_environment_rank(void);
int wl_environment_ranks(void);

#endif
