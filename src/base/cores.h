/* cores.h - the processor cores that this process may run on, and its threads bound to them. */
#ifndef WL_BASE_CORES_H
#define WL_BASE_CORES_H

#include <stdbool.h>

/* How many; fewer than the node's where a batch system or MPI binds processes. */
int wl_cores_allowed(void);
/* Whether they are this job's own: a batch system, a launcher or the user (taskset) gave this process a part of the
 * node's, or SLURM gave the job the whole node. Elsewhere other programs' threads may run on the same cores. */
bool wl_cores_are_owned(void);
/* Those among them that nobody uses at the moment, at least 1: how many threads cost others and this program nothing. */
int wl_cores_idle(void);
/* The first number of OMP_NUM_THREADS, 0 where it is not set or no number from 1 to 1024. */
int wl_cores_wished(void);
/* Binds the calling thread and the others of its OpenMP team of `threads` to the allowed cores `first`,
 * first + 1, ... one each; false where the system cannot, or where the user has said how to bind
 * (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY). */
bool wl_cores_bind(int threads, int first);
/* Lets the calling thread run on all allowed cores again: a new thread starts where its creator is bound. */
void wl_cores_unbind(void);

#endif
