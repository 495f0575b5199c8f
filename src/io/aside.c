/* aside.c - a thread for one piece of work, whose outcome is kept for the caller. */
#include "io/aside.h"

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"

static void *do_work(void *context) {
  wl_aside *const a = context;
  const double start = wl_seconds();
  a->status = a->work(a->data);
  if (a->status != WL_OK) snprintf(a->message, sizeof a->message, "%s", wl_last_error());
  a->seconds += wl_seconds() - start;
  atomic_store(&a->busy, false);
  return NULL;
}

void wl_aside_start(wl_aside *a, wl_status (*work)(void *data), void *data) {
  sigset_t all, before;
  a->work = work;
  a->data = data;
  atomic_store(&a->busy, true);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  a->threaded = pthread_create(&a->thread, NULL, do_work, a) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!a->threaded) do_work(a);
}

bool wl_aside_is_busy(wl_aside *a) { return atomic_load(&a->busy); }

wl_status wl_aside_drop(wl_aside *a) {
  if (a->threaded) pthread_join(a->thread, NULL);
  const wl_status status = a->status;
  a->threaded = false;
  a->status = WL_OK;
  return status;
}

wl_status wl_aside_wait(wl_aside *a) {
  const wl_status status = wl_aside_drop(a);
  /* recorded under a code that adds no source line: where the failure arose has added its own */
  if (status != WL_OK) WL_FAIL(WL_ERR_OS, "%s", a->message);
  return status;
}
