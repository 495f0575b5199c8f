/* environment.h - removes and sets environment variables that change how the program runs. */
#ifndef WL_CLI_ENVIRONMENT_H
#define WL_CLI_ENVIRONMENT_H

#include "comm/comm.h"

/* Prepares the environment variables. The function main must call this function first. The function
 * removes POSIXLY_CORRECT, which would change the parsing of the command line. The function also
 * removes HDF5_* variables, which would change the access to files. If the user has not chosen how
 * OpenMP threads wait, the function sets GOMP_SPINCOUNT. If OpenBLAS does not recognise the
 * processor, the function sets OPENBLAS_CORETYPE. After setting GOMP_SPINCOUNT or
 * OPENBLAS_CORETYPE, the function executes the program again, because some libraries read the
 * variables before main runs. */
void wl_environment_prepare(char **argv);

/* Prints a message on rank 0 if the program replaced the kernels that OpenBLAS chose, if OpenBLAS
 * uses slow kernels, or if ranks run different kernels. The message also names a remedy. Only
 * subcommands that compute call this function. Collective. */
wl_status wl_environment_report(wl_comm *comm);

/* wl_environment_rank and wl_environment_ranks return the rank and the number of ranks before MPI
 * starts. The functions read the variables that the launcher sets. Without a launcher, the rank is
 * 0 and the number of ranks is 1. */
int wl_environment_rank(void);
int wl_environment_ranks(void);

#endif
