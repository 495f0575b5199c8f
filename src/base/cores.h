/* cores.h - the processor cores that this process may use, and binding threads to them. */
#ifndef WL_BASE_CORES_H
#define WL_BASE_CORES_H

#include <stdbool.h>

/* Number of cores that this process may use. It is less than the node's number of cores if a batch system or MPI binds
 * processes. */
int wl_cores_allowed(void);
/* Whether the cores belong to this job alone: a batch system, a launcher or the user (taskset) assigned some of the
 * node's cores to this process, or SLURM assigned the whole node to the job. Otherwise other programs may use the same
 * cores. */
bool wl_cores_are_owned(void);
/* Number of allowed cores that are idle at the moment, at least 1. */
int wl_cores_idle(void);
/* Returns the first number of OMP_NUM_THREADS; 0 if the variable is not set or the number is not from 1 to 1024. */
int wl_cores_wished(void);
/* Binds each thread of the caller's OpenMP team (`threads` threads) to a separate core: one of the allowed cores
 * `first`, first + 1, and so on. Returns false if the system does not support binding or if the user has set the
 * binding (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY). */
bool wl_cores_bind(int threads, int first);
/* Lets the calling thread run on all allowed cores again. Call this function in new threads, which inherit the binding
 * of their creator. */
void wl_cores_unbind(void);

#endif
