/* fault.c - counts allocations and file operations, and determines which of them must fail. */
#include "base/fault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Number of calls until the call that fails, including that call. If the number is 0 or less, no
 * call fails. */
static atomic_llong calls_left[WL_FAULT_COUNT];

static void read_environment(void) {
  static const char *const names[WL_FAULT_COUNT] = {
      [WL_FAULT_ALLOC] = "WL_FAIL_ALLOC", [WL_FAULT_IO] = "WL_FAIL_IO"};
  for (int i = 0; i < WL_FAULT_COUNT; i++) {
    const char *const wanted = getenv(names[i]);
    if (wanted) atomic_store(&calls_left[i], strtoll(wanted, NULL, 10));
  }
}

bool wl_fault_due(wl_fault which) {
  pthread_once(&once, read_environment);
  if (atomic_load_explicit(&calls_left[which], memory_order_relaxed) <= 0) return false;
  return atomic_fetch_sub(&calls_left[which], 1) == 1;
}

void wl_fault_request(wl_fault which, long long k) {
  pthread_once(&once, read_environment);
  atomic_store(&calls_left[which], k);
}
