/* cores.h - finds the processor cores that this process may use, and binds threads to cores. */
#ifndef WL_BASE_CORES_H
#define WL_BASE_CORES_H

#include <stdbool.h>

/* Returns the number of cores that this process may use. If a batch system or MPI binds processes, this number is less
 * than the node's number of cores. */
int wl_cores_allowed(void);
/* Returns true if only this job may use the cores. The function assumes that this is the case if a
 * batch system, a launcher or the user (taskset) assigned some of the node's cores to this process.
 * The function also returns true if SLURM assigned the whole node to the job. In all other cases,
 * other programs may use the same cores. */
bool wl_cores_are_owned(void);
/* Returns the number of allowed cores that are idle at the moment. The result is at least 1. */
int wl_cores_idle(void);
/* Returns the first number of the environment variable OMP_NUM_THREADS. Returns 0 if the variable
 * is not set, or if its first number is below 1 or above 1024. */
int wl_cores_wished(void);
/* Binds each of the `threads` threads of the caller's OpenMP team to a separate allowed core. The
 * threads use the allowed cores with the indices `first`, `first` + 1, and so on. Returns false if
 * the system does not support binding or if the user has set the binding (OMP_PROC_BIND,
 * OMP_PLACES, GOMP_CPU_AFFINITY). */
bool wl_cores_bind(int threads, int first);
/* Allows the calling thread to run on all allowed cores again. Call this function in new threads,
 * which inherit the binding of their creator. */
void wl_cores_unbind(void);

#endif
