/* aside.c - a thread for one piece of work, whose outcome is kept for the caller. */
#include "io/aside.h"

#include <signal.h>

#include "base/clock.h"
#include "base/cores.h"

static void *do_work(void *context) {
  wl_aside *const a = context;
  const double start = wl_seconds();
  wl_failure_keep(&a->failure, a->work(a->data));
  a->seconds += wl_seconds() - start;
  atomic_store(&a->busy, false);
  return NULL;
}

/* Beside the caller's threads, not on the core of the one that starts it. */
static void *run_thread(void *context) {
  wl_cores_unbind();
  return do_work(context);
}

void wl_aside_start(wl_aside *a, wl_status (*work)(void *data), void *data) {
  sigset_t all, before;
  a->work = work;
  a->data = data;
  atomic_store(&a->busy, true);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  a->threaded = pthread_create(&a->thread, NULL, run_thread, a) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!a->threaded) do_work(a);
}

void wl_aside_run(wl_aside *a, wl_status (*work)(void *data), void *data) {
  a->work = work;
  a->data = data;
  a->threaded = false;
  do_work(a);
}

bool wl_aside_is_busy(wl_aside *a) { return atomic_load(&a->busy); }

static void join(wl_aside *a) {
  if (a->threaded) pthread_join(a->thread, NULL);
  a->threaded = false;
}

void wl_aside_drop(wl_aside *a) {
  join(a);
  a->failure.code = WL_OK;
}

wl_status wl_aside_wait(wl_aside *a) {
  join(a);
  return wl_failure_raise(&a->failure);
}
