/* fault.h - makes calls fail on request, so that tests reach every clean-up path.
 *
 * WL_FAIL_ALLOC=k in the environment makes the k-th allocation of a process fail (base/status.h). WL_FAIL_IO=k makes
 * the k-th step of writing files fail (base/atomic_file.h). Both count from 1, over all threads. The variables are read
 * once. */
#ifndef WL_BASE_FAULT_H
#define WL_BASE_FAULT_H

#include <stdbool.h>

typedef enum wl_fault { WL_FAULT_ALLOC, WL_FAULT_IO, WL_FAULT_COUNT } wl_fault;

/* Counts this call; returns true if this call must fail. */
bool wl_fault_due(wl_fault which);

/* For tests within one process: the k-th call of wl_fault_due from now on must fail; with k = 0 no call must fail. */
void wl_fault_request(wl_fault which, long long k);

#endif
