/* fault.h - makes allocations and file operations fail on request. Tests request failures in order
 * to run every clean-up path.
 *
 * The environment variable WL_FAIL_ALLOC=k makes the k-th allocation of a process fail (base/status.h). The variable
 * WL_FAIL_IO=k makes the k-th file operation of a process fail (base/atomic_file.h). Allocations and file operations
 * are counted from 1 over all threads of the process. The program reads each variable only once. */
#ifndef WL_BASE_FAULT_H
#define WL_BASE_FAULT_H

#include <stdbool.h>

typedef enum wl_fault { WL_FAULT_ALLOC, WL_FAULT_IO, WL_FAULT_COUNT } wl_fault;

/* Counts this call, and returns true if the caller must fail. */
bool wl_fault_due(wl_fault which);

/* Makes wl_fault_due return true at its k-th call from now on. With k = 0, wl_fault_due always
 * returns false. Tests call this function to request a failure in their own process. */
void wl_fault_request(wl_fault which, long long k);

#endif
