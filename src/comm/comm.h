/* comm.h - the only user of MPI. The communicator is a duplicate of MPI_COMM_WORLD, made once; without mpirun the
 * communicator has one rank.
 *
 * "Collective" means that every rank calls the function, in the same order. Errors of MPI itself are WL_ERR_OS. No
 * count is narrowed without a check; larger messages are split. */
#ifndef WL_COMM_COMM_H
#define WL_COMM_COMM_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_comm wl_comm;

/* Start and finish call MPI_Init_thread (FUNNELED) and MPI_Finalize. Collective. If wl_comm_start fails on one rank,
 * the other ranks wait for that rank. The failing rank does not finalise MPI. Unless the error is shared, main ends
 * the other ranks by wl_comm_abort. */
wl_status wl_comm_start(int *argc, char ***argv, wl_comm **out);
void wl_comm_finish(wl_comm **comm);
/* Ends all ranks immediately with exit code `code`; `comm` may be NULL. Does not return. Not collective; only main
 * calls this function. */
void wl_comm_abort(wl_comm *comm, int code) __attribute__((noreturn));
int wl_comm_rank(const wl_comm *comm);
int wl_comm_size(const wl_comm *comm);
/* Returns the number of ranks on this node, for advice on the layout. */
int wl_comm_node_size(const wl_comm *comm);
/* Returns the default number of threads of a rank: the node's cores divided by its ranks, at least 1, limited by the
 * cores that this rank is bound to and by OMP_NUM_THREADS. A single rank on a shared machine uses the idle cores. */
int wl_comm_cores(const wl_comm *comm);
/* Binds each thread of the caller's OpenMP team (`threads` threads) to a separate core. Binds only if the job owns its
 * cores and the ranks of the node use all of the node's cores: otherwise another program may be bound to the same
 * cores while other cores idle. Does nothing if the environment sets the binding. Returns whether the threads were
 * bound. Not collective. */
bool wl_comm_bind_threads(const wl_comm *comm, int threads);
const char *wl_comm_library(void); /* "Open MPI v4.1.4, ..." */

/* Combines the statuses of all ranks. All ranks get WL_OK, or all get the code of the lowest failing rank. The message
 * of that rank becomes the last error of every rank ("rank 3: ..." if there are several ranks), marked as shared. Call
 * this function before any collective that a failed rank would miss. Collective. */
wl_status wl_comm_agree(wl_comm *comm, wl_status mine);
/* Fails with WL_ERR_PROTOCOL unless all ranks pass the same 64-bit value; the message mentions `what`. Collective. */
wl_status wl_comm_same(wl_comm *comm, const char *what, uint64_t value);
wl_status wl_comm_barrier(wl_comm *comm);
wl_status wl_comm_bcast(wl_comm *comm, void *data, size_t bytes, int root); /* collective */

/* Takes the maximum of each value over the ranks. Collective, in place, exact and independent of the order of the
 * ranks. */
wl_status wl_comm_max(wl_comm *comm, double *values, size_t count);
wl_status wl_comm_sum_int64(wl_comm *comm, int64_t *values, size_t count);

/* Send and receive data between two ranks: recorded windows, replay points and unit state that rank 0 gathers.
 * Messages are matched by their order. */
wl_status wl_comm_send(wl_comm *comm, const void *data, size_t bytes, int to);
wl_status wl_comm_receive(wl_comm *comm, void *data, size_t bytes, int from);

/* Sends an alarm, which is an empty message, to every other rank. The other ranks poll for alarms between two
 * collectives. Not collective; main thread only. Each rank raises at most one alarm between two calls of
 * wl_comm_alarm_settle. */
wl_status wl_comm_alarm_raise(wl_comm *comm);
/* Whether an alarm of another rank has arrived. Does not receive it. */
bool wl_comm_alarm_is_heard(wl_comm *comm);
/* Receives `count` alarms that other ranks have raised, and completes the sending of this rank's own alarm. */
wl_status wl_comm_alarm_settle(wl_comm *comm, int64_t count);

/* Exact sum of double vectors over units on all ranks (docs/mathematics.md, section 10). For each block, all ranks
 * derive the same quantum from the block's largest magnitude. Each unit's values are rounded once to integer multiples
 * of the quantum, and the integers are summed. The result is therefore bitwise equal for any number of ranks and any
 * order of units. If a counted unit has a value that is not finite, the block of that value is NaN in `sum`; the other
 * blocks are not affected. Sums beyond the largest double are infinite. */
typedef struct wl_exact_sum {
  const double *vectors; /* [units][count] of this rank */
  int64_t units;         /* may be 0 */
  const bool *counted; /* [units] false: the unit is not finite, is left out and not read */
  int64_t count;
  /* [n_blocks + 1] ascending offsets into the vector; each block has one quantum */
  const int64_t *blocks;
  int64_t n_blocks;
  int64_t total; /* an upper bound of the number of units over all ranks; determines the head room */
  double *flags; /* [n_flags] any finite numbers; out: the maximum of each flag over the ranks */
  int n_flags;
  int64_t *tallies; /* [n_tallies] out: the sum of each tally over the ranks */
  int n_tallies;
  double *sum;       /* [count] out, the same on every rank */
  int64_t n_counted; /* out: units counted over all ranks */
} wl_exact_sum;

wl_status wl_comm_exact_sum(wl_comm *comm, wl_exact_sum *sum); /* collective: start, then finish */
/* Compute the exact sum in two parts, so that a rank can work between the two calls. Both calls are collective.
 * wl_comm_exact_sum_start sends this rank's largest magnitudes without waiting. The first call, and any call larger
 * than all earlier calls, does wait, because all ranks then check together that the memory was allocated. The caller
 * must not change the data of `sum` in between. */
wl_status wl_comm_exact_sum_start(wl_comm *comm, wl_exact_sum *sum);
wl_status wl_comm_exact_sum_finish(wl_comm *comm, wl_exact_sum *sum);

#endif
