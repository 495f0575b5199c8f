/* interruption.h - ends a meta-step early. A rank that receives a signal leaves its windows at the next inner step.
 * Rank 0 also leaves its windows at the time limit. The rank that leaves sends a message to the other ranks, which test
 * for messages while they compute their windows. */
#ifndef WL_TRAIN_INTERRUPTION_H
#define WL_TRAIN_INTERRUPTION_H

#include <signal.h>
#include <stdatomic.h>

#include "comm/comm.h"

typedef struct wl_interruption {
  wl_comm *comm;
  const volatile sig_atomic_t *stop; /* a signal handler sets *stop; NULL if there is no handler */
  double deadline;                   /* deadline (time of wl_seconds); 0: no deadline */
  bool enabled;                      /* false if every meta-step must be completed */
  atomic_bool asked;                 /* this rank must leave its windows */
  atomic_bool first;                 /* the cause is a signal or deadline of this rank, not a message */
  bool told;                         /* this rank has sent its message */
  double next_look;                  /* time (wl_seconds) of the next test for messages */
} wl_interruption;

/* Call this before the windows of a meta-step. `stop` is borrowed until the next call. */
void wl_interruption_begin(wl_interruption *interruption, const volatile sig_atomic_t *stop,
                           double deadline);
/* Returns true if this rank must leave its windows. The function is a callback for wl_unroll_set_interrupt. Any thread
 * may call it. In the main thread, it also tests for messages, at most a hundred times a second. */
bool wl_interruption_asked(void *interruption);
/* Call this after the windows, in the main thread. If this rank leaves its windows because of its own signal or
 * deadline, the function sends a message to the other ranks. */
wl_status wl_interruption_tell(wl_interruption *interruption);
/* Call this after the reduction. Receives the messages that are still in transit. `told` is the number of ranks that
 * have sent a message. Collective. */
wl_status wl_interruption_settle(wl_interruption *interruption, int64_t told);

#endif
