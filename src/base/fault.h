/* fault.h - failures on request, so that tests reach every clean-up path.
 *
 * WL_FAIL_ALLOC=k in the environment makes the k-th allocation of a process fail (base/status.h), WL_FAIL_IO=k
 * the k-th step of its writing (io/atomic_file.h): counted from 1, over all threads. Read once. */
#ifndef WL_BASE_FAULT_H
#define WL_BASE_FAULT_H

#include <stdbool.h>

typedef enum wl_fault { WL_FAULT_ALLOC, WL_FAULT_IO, WL_FAULT_COUNT } wl_fault;

/* True when this call is the one that is to fail. */
bool wl_fault_due(wl_fault which);

/* For tests within one process: the k-th call of wl_fault_due from now is the one; 0: none is. */
void wl_fault_request(wl_fault which, long long k);

#endif
