/* environment.h - removes or sets environment variables that affect the program. */
#ifndef WL_CLI_ENVIRONMENT_H
#define WL_CLI_ENVIRONMENT_H

#include "comm/comm.h"

/* Prepares the environment variables. main must call this function first. It removes variables that would change how
 * this program and its children parse the command line (POSIXLY_CORRECT) or access files (HDF5_*). Some libraries read
 * variables before main runs. In two cases, the program therefore sets a variable and executes itself once more. It
 * sets GOMP_SPINCOUNT, unless the user has chosen how OpenMP threads wait. It sets OPENBLAS_CORETYPE if OpenBLAS does
 * not recognise the processor. */
void wl_environment_prepare(char **argv);

/* Warns on rank 0 in three cases: other kernels replace the kernels that OpenBLAS chose, slow kernels run, or ranks run
 * different kernels. The warning describes the fix. Only commands that compute call this function. Collective. */
wl_status wl_environment_report(wl_comm *comm);

/* These functions return the rank and the number of ranks from the variables of the launcher, before MPI starts.
 * Without a launcher, they return 0 and 1. */
int wl_environment_rank(void);
int wl_environment_ranks(void);

#endif
