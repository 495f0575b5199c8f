/* writer.c - a thread that takes one piece of work, does it, and keeps its outcome for the caller. */
#include "io/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "io/h5_support.h"

enum { MESSAGE = 4096 };

struct wl_writer {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  wl_status (*work)(void *data); /* NULL: none under way */
  void *data;
  bool leaving;
  wl_status status;      /* of the last work, until it is asked for */
  char message[MESSAGE]; /* its error */
  double seconds;
};

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Does the work under way, with the lock held at entry and exit only. */
static void do_work(wl_writer *w) {
  pthread_mutex_unlock(&w->lock);
  const double start = now_seconds();
  wl_h5_lock();
  const wl_status status = w->work(w->data);
  wl_h5_unlock();
  pthread_mutex_lock(&w->lock);
  w->seconds += now_seconds() - start;
  w->status = status;
  if (status != WL_OK) snprintf(w->message, sizeof w->message, "%s", wl_last_error());
  w->work = NULL;
  pthread_cond_broadcast(&w->changed);
}

static void *write_until_told(void *context) {
  wl_writer *const w = context;
  pthread_mutex_lock(&w->lock);
  while (w->work || !w->leaving) {
    if (w->work) do_work(w);
    else pthread_cond_wait(&w->changed, &w->lock);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

/* Signals are the business of the thread that trains. */
static int start_thread(wl_writer *w) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&w->thread, NULL, write_until_told, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

wl_status wl_writer_create(wl_writer **out) {
  wl_writer *w = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(w, 1));
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->changed, NULL);
  const int error = start_thread(w);
  if (error != 0) {
    wl_free(w);
    return WL_FAIL(WL_ERR_OS, "cannot start the thread that writes files: %s; raise the limit of processes (ulimit -u)",
                   strerror(error));
  }
  *out = w;
  return WL_OK;
}

void wl_writer_destroy(wl_writer **writer) {
  wl_writer *const w = *writer;
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->leaving = true;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->changed);
  pthread_mutex_destroy(&w->lock);
  wl_free(w);
  *writer = NULL;
}

void wl_writer_start(wl_writer *w, wl_status (*work)(void *data), void *data) {
  pthread_mutex_lock(&w->lock);
  w->work = work;
  w->data = data;
  pthread_cond_broadcast(&w->changed);
  pthread_mutex_unlock(&w->lock);
}

bool wl_writer_is_busy(wl_writer *w) {
  pthread_mutex_lock(&w->lock);
  const bool busy = w->work != NULL;
  pthread_mutex_unlock(&w->lock);
  return busy;
}

wl_status wl_writer_wait(wl_writer *w) {
  pthread_mutex_lock(&w->lock);
  while (w->work) pthread_cond_wait(&w->changed, &w->lock);
  const wl_status status = w->status;
  w->status = WL_OK;
  pthread_mutex_unlock(&w->lock);
  /* recorded under a code that adds no source line: where the failure arose has added its own */
  if (status != WL_OK) WL_FAIL(WL_ERR_OS, "%s", w->message);
  return status;
}

double wl_writer_seconds(const wl_writer *w) { return w->seconds; }
