/* background.c - runs a function in a new thread, and stores the status of the function for the
 * caller. */
#include "base/background.h"

#include <signal.h>

#include "base/clock.h"
#include "base/cores.h"

static void do_work(wl_background *b) {
  const double start = wl_seconds();
  wl_failure_keep(&b->failure, b->work(b->data));
  b->seconds += wl_seconds() - start;
  atomic_store(&b->busy, false);
}

/* Runs the work in the new thread, which may use any core and not only the core of its creator. */
static void *run_thread(void *background) {
  wl_cores_unbind();
  do_work(background);
  return NULL;
}

void wl_background_start(wl_background *b, wl_status (*work)(void *data), void *data) {
  sigset_t all, before;
  b->work = work;
  b->data = data;
  atomic_store(&b->busy, true);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  b->threaded = pthread_create(&b->thread, NULL, run_thread, b) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!b->threaded) do_work(b);
}

bool wl_background_is_busy(wl_background *b) { return atomic_load(&b->busy); }

static void join(wl_background *b) {
  if (b->threaded) pthread_join(b->thread, NULL);
  b->threaded = false;
}

void wl_background_drop(wl_background *b) {
  join(b);
  b->failure.code = WL_OK;
}

wl_status wl_background_wait(wl_background *b) {
  join(b);
  return wl_failure_raise(&b->failure);
}
