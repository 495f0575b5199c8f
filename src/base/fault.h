/* fault.h - makes calls fail on request. Tests use this to reach every clean-up path.
 *
 * The environment variable WL_FAIL_ALLOC=k makes the k-th allocation of a process fail (base/status.h). WL_FAIL_IO=k
 * makes the k-th step of writing files fail (base/atomic_file.h). The counts begin with 1 and include all threads. The
 * variables are read once. */
#ifndef WL_BASE_FAULT_H
#define WL_BASE_FAULT_H

#include <stdbool.h>

typedef enum wl_fault { WL_FAULT_ALLOC, WL_FAULT_IO, WL_FAULT_COUNT } wl_fault;

/* Counts this call; returns true if this call must fail. */
bool wl_fault_due(wl_fault which);

/* Makes the k-th call of wl_fault_due from now on return true; k = 0 makes no call return true. This function is for
 * tests within one process. */
void wl_fault_request(wl_fault which, long long k);

#endif
