/* interruption.c - ends a meta-step early on all ranks. The interface is in interruption.h. */
#include "train/interruption.h"

#include <omp.h>

#include "base/clock.h"

/* smallest number of seconds between two tests for messages of other ranks */
static const double LOOK = 0.01;

void wl_interruption_begin(wl_interruption *i, const volatile sig_atomic_t *stop, double deadline) {
  i->stop = stop;
  i->deadline = deadline;
  i->told = false;
  i->next_look = 0.0;
  atomic_store(&i->first, false);
  atomic_store(&i->asked, false);
}

/* Returns true if the deadline has passed or another rank has sent the message that ends the
 * meta-step early. Only the main thread may call this function. */
static bool hears(wl_interruption *i) {
  const double now = wl_seconds();
  if (now < i->next_look) return false;
  i->next_look = now + LOOK;
  if (i->deadline > 0 && now > i->deadline) atomic_store(&i->first, true);
  return atomic_load(&i->first) || wl_comm_alarm_is_heard(i->comm);
}

bool wl_interruption_asked(void *interruption) {
  wl_interruption *const i = interruption;
  if (!i->enabled) return false;
  if (atomic_load_explicit(&i->asked, memory_order_relaxed)) return true;
  if (i->stop && *i->stop) atomic_store(&i->first, true);
  else if (omp_get_thread_num() != 0 || !hears(i)) return false;
  atomic_store(&i->asked, true);
  return true;
}

wl_status wl_interruption_tell(wl_interruption *i) {
  i->told = atomic_load(&i->first);
  return i->told ? wl_comm_alarm_raise(i->comm) : WL_OK;
}

wl_status wl_interruption_settle(wl_interruption *i, int64_t told) {
  return wl_comm_alarm_settle(i->comm, told - i->told);
}
