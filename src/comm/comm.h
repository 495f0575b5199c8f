/* comm.h - the only folder that uses MPI. The communicator is a duplicate of MPI_COMM_WORLD. Without mpirun it has one
 * rank.
 *
 * "Collective" means that every rank calls the function, in the same order. Errors of MPI are WL_ERR_OS. Messages with
 * more elements than an int can count are split. */
#ifndef WL_COMM_COMM_H
#define WL_COMM_COMM_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_comm wl_comm;

/* wl_comm_start calls MPI_Init_thread (FUNNELED), and wl_comm_finish calls MPI_Finalize. Both are collective. If
 * wl_comm_start fails on one rank, the other ranks wait for that rank. The failing rank does not finalise MPI. Unless
 * the error is shared, main must end the other ranks with wl_comm_abort. */
wl_status wl_comm_start(int *argc, char ***argv, wl_comm **out);
void wl_comm_finish(wl_comm **comm);
/* Ends all ranks immediately with exit code `code`; `comm` may be NULL. Does not return. Not collective; only main
 * calls this function. */
void wl_comm_abort(wl_comm *comm, int code) __attribute__((noreturn));
int wl_comm_rank(const wl_comm *comm);
int wl_comm_size(const wl_comm *comm);
/* Returns the number of ranks on this node. Messages use this number for advice on the numbers of ranks and threads. */
int wl_comm_node_size(const wl_comm *comm);
/* Returns the default number of threads of a rank. The default is the node's number of cores divided by its number of
 * ranks, but at least 1. The default is at most the number of cores to which this rank is bound, and at most
 * OMP_NUM_THREADS. A single rank on a shared machine uses only the idle cores. */
int wl_comm_cores(const wl_comm *comm);
/* Binds each of the `threads` threads of the caller's OpenMP team to a separate core. The function binds only if the
 * job owns its cores and the node's ranks use all of the node's cores. In other cases, another program may be bound to
 * the same cores while other cores are idle. Does nothing if the environment sets the binding. Returns true if the
 * threads were bound. Not collective. */
bool wl_comm_bind_threads(const wl_comm *comm, int threads);
const char *wl_comm_library(void); /* "Open MPI v4.1.4, ..." */

/* Combines the statuses of all ranks. If no rank failed, all ranks get WL_OK. If ranks failed, all ranks get the code
 * and the message of the lowest failing rank. The message begins with "rank 3: ..." if there are several ranks. The
 * last error is marked as shared. Call this function before any collective that a failed rank would not call.
 * Collective. */
wl_status wl_comm_agree(wl_comm *comm, wl_status mine);
/* Returns WL_ERR_PROTOCOL unless all ranks pass the same 64-bit value. The message contains `what`. Collective. */
wl_status wl_comm_same(wl_comm *comm, const char *what, uint64_t value);
wl_status wl_comm_barrier(wl_comm *comm);
wl_status wl_comm_bcast(wl_comm *comm, void *data, size_t bytes, int root); /* collective */

/* Replaces each value by its maximum over the ranks. The result is exact and does not depend on the order of the ranks.
 * Collective. */
wl_status wl_comm_max(wl_comm *comm, double *values, size_t count);
wl_status wl_comm_sum_int64(wl_comm *comm, int64_t *values, size_t count);

/* These functions send and receive data between two ranks. Rank 0 gathers recorded windows, replay points and unit
 * state with them. Messages are matched by their order. */
wl_status wl_comm_send(wl_comm *comm, const void *data, size_t bytes, int to);
wl_status wl_comm_receive(wl_comm *comm, void *data, size_t bytes, int from);

/* Sends an alarm to every other rank. An alarm is an empty message. The other ranks poll for alarms between two
 * collectives. Each rank may raise at most one alarm between two calls of wl_comm_alarm_settle. Not collective. Only
 * the main thread may call this function. */
wl_status wl_comm_alarm_raise(wl_comm *comm);
/* Returns true if an alarm of another rank has arrived. Does not receive the alarm. */
bool wl_comm_alarm_is_heard(wl_comm *comm);
/* Receives `count` alarms that other ranks have raised, and completes the sending of this rank's own alarm. */
wl_status wl_comm_alarm_settle(wl_comm *comm, int64_t count);

/* Arguments and results of an exact sum of double vectors over the units of all ranks (docs/mathematics.md, section
 * 10). All ranks compute the same quantum for a block from the block's largest magnitude. Each value is rounded once to
 * an integer multiple of the quantum, and the integers are summed. The result is therefore bitwise equal for any number
 * of ranks and any order of units. If a counted unit has a value that is not finite, the value's block is NaN in `sum`;
 * other blocks are not affected. Sums above the largest double are infinite. */
typedef struct wl_exact_sum {
  const double *vectors; /* [units][count] of this rank */
  int64_t units;         /* may be 0 */
  const bool *counted;   /* [units] false: the unit is not finite, and its vector is not read */
  int64_t count;
  /* [n_blocks + 1] ascending offsets into the vector; each block has one quantum */
  const int64_t *blocks;
  int64_t n_blocks;
  int64_t total; /* an upper bound of the number of units over all ranks */
  double *flags; /* [n_flags] any finite numbers; out: the maximum of each flag over the ranks */
  int n_flags;
  int64_t *tallies; /* [n_tallies] out: the sum of each tally over the ranks */
  int n_tallies;
  double *sum;       /* [count] out, the same on every rank */
  int64_t n_counted; /* out: units counted over all ranks */
} wl_exact_sum;

wl_status wl_comm_exact_sum(wl_comm *comm, wl_exact_sum *sum); /* collective: start, then finish */
/* These functions compute the exact sum in two parts. A rank can do other work between the two calls, but must not
 * change the data of `sum`. Both calls are collective. wl_comm_exact_sum_start sends this rank's largest magnitudes
 * without waiting. wl_comm_exact_sum_start waits only if the call allocates memory. This happens in the first call and
 * in calls that are larger than all earlier calls. All ranks then check together that the allocation succeeded. */
wl_status wl_comm_exact_sum_start(wl_comm *comm, wl_exact_sum *sum);
wl_status wl_comm_exact_sum_finish(wl_comm *comm, wl_exact_sum *sum);

#endif
