/* interruption.h - leaving a meta-step early. A rank that sees a signal, or rank 0 at the time limit, leaves its
 * windows at the next inner step and sends a message to the others, which test for messages in their windows. */
#ifndef WL_TRAIN_INTERRUPTION_H
#define WL_TRAIN_INTERRUPTION_H

#include <signal.h>
#include <stdatomic.h>

#include "comm/comm.h"

typedef struct wl_interruption {
  wl_comm *comm;
  const volatile sig_atomic_t *stop; /* set by a signal handler; NULL: none */
  double deadline;                   /* time by wl_seconds; 0: none */
  bool enabled;                      /* false: every meta-step is completed */
  atomic_bool asked;                 /* this rank must leave its windows */
  atomic_bool first;                 /* for its signal or deadline, not for a message of another rank */
  bool told;                         /* this rank has sent its message */
  double next_look;                  /* time (wl_seconds) of the next test for messages */
} wl_interruption;

/* Call before the windows of a meta-step. `stop` is borrowed until the next call. */
void wl_interruption_begin(wl_interruption *interruption, const volatile sig_atomic_t *stop,
                           double deadline);
/* Whether this rank must leave its windows; a callback for wl_unroll_set_interrupt. Any thread may call it. The main
 * thread also tests for messages, at most a hundred times a second. */
bool wl_interruption_asked(void *interruption);
/* Call after the windows, in the main thread: tells the other ranks that this one leaves, if it does. */
wl_status wl_interruption_tell(wl_interruption *interruption);
/* Call after the reduction. `told`: how many ranks have sent a message. Receives the messages still in transit.
 * Collective. */
wl_status wl_interruption_settle(wl_interruption *interruption, int64_t told);

#endif
