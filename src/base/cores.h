/* cores.h - the processor cores that this process may use, and binding threads to them. */
#ifndef WL_BASE_CORES_H
#define WL_BASE_CORES_H

#include <stdbool.h>

/* Number of cores that this process may use; fewer than the node has if a batch system or MPI binds processes. */
int wl_cores_allowed(void);
/* Whether the cores belong to this job alone: a batch system, a launcher or the user (taskset) assigned this process
 * some of the node's cores, or SLURM assigned all of the node to the job. Otherwise other programs may use the same
 * cores. */
bool wl_cores_are_owned(void);
/* Number of allowed cores that are idle at the moment, at least 1. */
int wl_cores_idle(void);
/* The first number of OMP_NUM_THREADS; 0 if it is not set or not a number from 1 to 1024. */
int wl_cores_wished(void);
/* Binds the calling thread and the others of its OpenMP team of `threads` to the allowed cores `first`,
 * first + 1, ... one each; false if the system does not support it or the user set the binding
 * (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY). */
bool wl_cores_bind(int threads, int first);
/* Lets the calling thread run on all allowed cores again. Call it in new threads, which inherit their creator's
 * binding. */
void wl_cores_unbind(void);

#endif
