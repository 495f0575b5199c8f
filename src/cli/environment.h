/* environment.h - what the environment of the process may decide, and what it may not. */
#ifndef WL_CLI_ENVIRONMENT_H
#define WL_CLI_ENVIRONMENT_H

/* Called first in main. Takes away what would change how this program reads its command line (POSIXLY_CORRECT) or its
 * files (HDF5_*), for it and for what it starts. */
void wl_environment_prepare(void);

/* The rank that the launcher gave this process, for the time before MPI starts; 0 without a launcher. */
int wl_environment_rank(void);

#endif
