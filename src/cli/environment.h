/* environment.h - what the environment of the process may decide, and what it may not. */
#ifndef WL_CLI_ENVIRONMENT_H
#define WL_CLI_ENVIRONMENT_H

#include "comm/comm.h"

/* Called first in main. Takes away what would change how this program reads its command line (POSIXLY_CORRECT) or its
 * files (HDF5_*), for it and for what it starts. Where a library reads a variable before main runs, the program is executed
 * again with the variable set, once: GOMP_SPINCOUNT, unless the user has said how OpenMP's threads wait; OPENBLAS_CORETYPE,
 * where OpenBLAS does not know the processor. */
void wl_environment_prepare(char **argv);

/* Says on rank 0 which kernels were taken in place of OpenBLAS's choice, or that slow ones run, or that ranks run
 * different ones, and what to do. For commands that compute. Collective. */
wl_status wl_environment_report(wl_comm *comm);

/* The rank that the launcher gave this process, for the time before MPI starts; 0 without a launcher. */
int wl_environment_rank(void);

#endif
