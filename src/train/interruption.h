/* interruption.h - leaving a meta-step early: a rank that sees a signal, or rank 0 at the time limit, ends its windows
 * at the next inner step and tells the others, which look for that while they run theirs. */
#ifndef WL_TRAIN_INTERRUPTION_H
#define WL_TRAIN_INTERRUPTION_H

#include <signal.h>
#include <stdatomic.h>

#include "comm/comm.h"

typedef struct wl_interruption {
  wl_comm *comm;
  const volatile sig_atomic_t *stop; /* set by a signal handler; NULL: none */
  double deadline;                   /* by wl_seconds; 0: none */
  bool enabled;                      /* else a meta-step is always ended */
  atomic_bool asked;                 /* this rank leaves */
  atomic_bool first;                 /* not because another rank said so */
  bool told;                         /* it has told the others */
  double next_look;                  /* at the others' messages */
} wl_interruption;

/* Before the windows of a meta-step. */
void wl_interruption_begin(wl_interruption *interruption, const volatile sig_atomic_t *stop,
                           double deadline);
/* Whether to leave: for wl_unroll_set_interrupt, from any thread; the main one looks at messages, at most a
 * hundred times a second. */
bool wl_interruption_asked(void *interruption);
/* After the windows: tells the other ranks, where this one leaves. Main thread. */
wl_status wl_interruption_tell(wl_interruption *interruption);
/* After the reduction that counted the ranks that told: receives what they sent. Collective. */
wl_status wl_interruption_settle(wl_interruption *interruption, int64_t told);

#endif
