/* interruption.h - ends a meta-step early. A rank that receives a signal leaves its windows at the next inner step. At
 * the time limit rank 0 also leaves its windows. The rank that leaves sends a message to the other ranks, which test
 * for messages while they compute their windows. */
#ifndef WL_TRAIN_INTERRUPTION_H
#define WL_TRAIN_INTERRUPTION_H

#include <signal.h>
#include <stdatomic.h>

#include "comm/comm.h"

typedef struct wl_interruption {
  wl_comm *comm;
  const volatile sig_atomic_t *stop; /* set by a signal handler; NULL: there is no handler */
  double deadline;                   /* time (wl_seconds); 0: no deadline */
  bool enabled;                      /* false: every meta-step is completed */
  atomic_bool asked;                 /* this rank must leave its windows */
  atomic_bool first;                 /* the cause is a signal or deadline of this rank, not a message */
  bool told;                         /* this rank has sent its message */
  double next_look;                  /* time (wl_seconds) of the next test for messages */
} wl_interruption;

/* Call before the windows of a meta-step. `stop` is borrowed until the next call. */
void wl_interruption_begin(wl_interruption *interruption, const volatile sig_atomic_t *stop,
                           double deadline);
/* Whether this rank must leave its windows; a callback for wl_unroll_set_interrupt. Any thread may call this function.
 * In the main thread this function also tests for messages, at most a hundred times a second. */
bool wl_interruption_asked(void *interruption);
/* Call after the windows, in the main thread. If this rank leaves its windows because of its own signal or deadline,
 * sends a message to the other ranks. */
wl_status wl_interruption_tell(wl_interruption *interruption);
/* Receives the messages still in transit; `told` is the number of ranks that have sent a message. Call after the
 * reduction. Collective. */
wl_status wl_interruption_settle(wl_interruption *interruption, int64_t told);

#endif
