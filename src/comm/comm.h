/* comm.h - declares the functions that exchange data between ranks. In the library, only the files
 * in src/comm call MPI. The communicator is a duplicate of MPI_COMM_WORLD. If the program runs
 * without mpirun, the communicator has one rank.
 *
 * "Collective" means that all ranks must call the function. All ranks must call the collective
 * functions in the same order. If MPI reports an error, the function that called MPI returns
 * WL_ERR_OS. A message with more elements than an int can count is split into several messages. */
#ifndef WL_COMM_COMM_H
#define WL_COMM_COMM_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_comm wl_comm;

/* The function wl_comm_start calls MPI_Init_thread with MPI_THREAD_FUNNELED, and wl_comm_finish
 * calls MPI_Finalize. Both functions are collective. If wl_comm_start fails on one rank, the other
 * ranks wait for that rank. The failing rank does not finalise MPI. If the other ranks do not have
 * the error (wl_error_share), main must call wl_comm_abort to end these ranks. */
wl_status wl_comm_start(int *argc, char ***argv, wl_comm **out);
void wl_comm_finish(wl_comm **comm);
/* Ends all ranks immediately with exit code `code`. The function does not return. `comm` may be
 * NULL. Not collective. Only the function main() calls wl_comm_abort. */
void wl_comm_abort(wl_comm *comm, int code) __attribute__((noreturn));
int wl_comm_rank(const wl_comm *comm);
int wl_comm_size(const wl_comm *comm);
/* Returns the number of ranks on this node. */
int wl_comm_node_size(const wl_comm *comm);
/* Returns the default number of threads of a rank. The default is the number of cores of the node
 * divided by the number of ranks on the node. The default number of threads is at least 1. The
 * default does not exceed OMP_NUM_THREADS or the number of cores to which this rank is bound. If
 * other programs may use the node and the node has a single rank, the default is the number of idle
 * cores. */
int wl_comm_cores(const wl_comm *comm);
/* Binds each of the `threads` threads of the caller's OpenMP team to a separate core. Returns true
 * if the threads were bound. The function binds no threads if other programs may use the cores
 * (wl_cores_are_owned), or if the threads use only some of the job's cores on the node. Threads
 * that are not bound can move to idle cores. A bound thread would have to share its core with
 * another program although a different core is idle. If the user has set the binding with an
 * environment variable, for example OMP_PROC_BIND, the function does nothing. Not collective. */
bool wl_comm_bind_threads(const wl_comm *comm, int threads);
/* returns the name and version of the MPI library, for example "Open MPI v4.1.4" */
const char *wl_comm_library(void);

/* Combines the statuses of all ranks. If no rank failed, the function returns WL_OK on all ranks.
 * If ranks failed, every rank returns the code and stores the message of the failing rank with the
 * lowest number. If there are several ranks, the message begins with the rank, as in "rank 3: ...".
 * The error that wl_last_error() returns is marked as shared, which means that every rank has this
 * error. Call this function before any collective that a failed rank would skip. Collective. */
wl_status wl_comm_agree(wl_comm *comm, wl_status mine);
/* Returns WL_ERR_PROTOCOL if the argument `value` is not the same on all ranks. The message begins
 * with `what`, the name of the value. Collective. */
wl_status wl_comm_same(wl_comm *comm, const char *what, uint64_t value);
wl_status wl_comm_barrier(wl_comm *comm);
wl_status wl_comm_bcast(wl_comm *comm, void *data, size_t bytes, int root); /* collective */

/* The function wl_comm_max replaces each value by its maximum over the ranks. The function
 * wl_comm_sum_int64 replaces each value by its sum over the ranks. The results are exact and do not
 * depend on the order of the ranks. Collective. */
wl_status wl_comm_max(wl_comm *comm, double *values, size_t count);
wl_status wl_comm_sum_int64(wl_comm *comm, int64_t *values, size_t count);

/* These functions send data from one rank to another rank. The receiving rank must call
 * wl_comm_receive with the length that the sending rank passes to wl_comm_send. Rank 0 uses these
 * functions to gather recorded windows, replay points and the states of units. The messages of a
 * sender arrive in the order in which they were sent. */
wl_status wl_comm_send(wl_comm *comm, const void *data, size_t bytes, int to);
wl_status wl_comm_receive(wl_comm *comm, void *data, size_t bytes, int from);

/* Sends an alarm, which is an empty message, to every other rank. The other ranks check for alarms
 * between two collectives, without waiting. Each rank may raise at most one alarm between two calls
 * of wl_comm_alarm_settle. Not collective. Only the main thread may call this function. */
wl_status wl_comm_alarm_raise(wl_comm *comm);
/* Returns true if an alarm of another rank has arrived. The caller must still call
 * wl_comm_alarm_settle, which receives the alarm. */
bool wl_comm_alarm_is_heard(wl_comm *comm);
/* Receives `count` alarms that other ranks have raised. If this rank has raised an alarm, the
 * function also waits until that alarm has been sent. */
wl_status wl_comm_alarm_settle(wl_comm *comm, int64_t count);

/* Arguments and results of an exact sum. Each unit has one vector of doubles. The exact sum is the
 * sum of the vectors of all units of all ranks (docs/mathematics.md, section 10). The vectors of an
 * exact sum consist of blocks. All ranks compute the same quantum for a block from the largest
 * magnitude in the block. Each value is rounded once to an integer multiple of this quantum, and
 * the integers are summed. The result is therefore bitwise equal for any number of ranks and any
 * order of units. If a counted unit has a non-finite value in a block, all values of this block are
 * NaN in `sum`; other blocks are not affected. If a sum exceeds the largest double, the result is
 * infinite. */
typedef struct wl_exact_sum {
  const double *vectors; /* [units][count] the vectors of this rank's units */
  int64_t units;         /* number of units of this rank; may be 0 */
  /* [units] false: the unit's run is not finite, so the sum does not read the unit's vector */
  const bool *counted;
  int64_t count;
  /* [n_blocks + 1] the first index of each block, in ascending order, and then `count` */
  const int64_t *blocks;
  int64_t n_blocks;
  int64_t total; /* an upper bound of the number of counted units of all ranks */
  double *flags; /* [n_flags] in: finite numbers; out: the maximum of each number over the ranks */
  int n_flags;
  int64_t *tallies; /* [n_tallies] in: integers; out: the sum of each integer over the ranks */
  int n_tallies;
  double *sum;       /* [count] out: the sum, which is equal on all ranks */
  int64_t n_counted; /* out: the number of counted units of all ranks */
} wl_exact_sum;

/* computes the exact sum; collective */
wl_status wl_comm_exact_sum(wl_comm *comm, wl_exact_sum *sum);
/* These functions compute the exact sum in two parts. A rank can do other work between the two
 * calls, but must not change the data of `sum`. Both calls are collective. The function
 * wl_comm_exact_sum_start sends this rank's largest magnitudes and normally returns without waiting
 * for other ranks. If the function allocates memory, the function waits until all ranks have
 * checked that every allocation succeeded. The first call allocates memory. A later call allocates
 * memory only if its arrays are longer than those of every earlier call. */
wl_status wl_comm_exact_sum_start(wl_comm *comm, wl_exact_sum *sum);
wl_status wl_comm_exact_sum_finish(wl_comm *comm, wl_exact_sum *sum);

#endif
