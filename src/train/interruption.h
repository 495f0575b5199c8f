/* interruption.h - ends a meta-step early on all ranks. A rank that receives a signal stops
 * computing its windows at the next inner step. Rank 0 also stops computing its windows when the
 * deadline has passed. The rank that stops first sends a message to the other ranks. The other
 * ranks test for messages while they compute their windows. A rank that receives a message stops
 * computing its windows. */
#ifndef WL_TRAIN_INTERRUPTION_H
#define WL_TRAIN_INTERRUPTION_H

#include <signal.h>
#include <stdatomic.h>

#include "comm/comm.h"

typedef struct wl_interruption {
  wl_comm *comm;
  /* *stop is nonzero after a signal; NULL if there is no signal handler */
  const volatile sig_atomic_t *stop;
  /* time (wl_seconds) at which this rank must stop computing its windows; 0 means no deadline */
  double deadline;
  bool enabled;                      /* false if a meta-step must never end early */
  atomic_bool asked;                 /* true if this rank must stop computing its windows */
  /* true if this rank stops because of a signal or the deadline; false if it stops because of a
   * message from another rank */
  atomic_bool first;
  bool told;                         /* true if this rank has sent the message to the other ranks */
  double next_look;                  /* time (wl_seconds) of the next test for messages */
} wl_interruption;

/* Prepares `interruption` for a meta-step. Call this function before the windows are computed.
 * `stop` is borrowed until the next call. */
void wl_interruption_begin(wl_interruption *interruption, const volatile sig_atomic_t *stop,
                           double deadline);
/* Returns true if this rank must stop computing its windows. The function is a callback for
 * wl_unroll_set_interrupt, and any thread may call it. In the main thread, the function also tests
 * for messages, at most a hundred times a second. */
bool wl_interruption_asked(void *interruption);
/* Sends a message to the other ranks if this rank stopped computing because of a signal or the
 * deadline. Call this function in the main thread after the windows were computed or stopped. */
wl_status wl_interruption_tell(wl_interruption *interruption);
/* Receives all messages that other ranks have sent and this rank has not received yet. `told` is
 * the number of ranks that have sent a message. Call this function after the reduction.
 * Collective. */
wl_status wl_interruption_settle(wl_interruption *interruption, int64_t told);

#endif
