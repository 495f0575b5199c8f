/* comm_impl.h - defines the communicator's structure, and declares functions that both comm.c and
 * exact_sum.c use. */
#ifndef WL_COMM_COMM_IMPL_H
#define WL_COMM_COMM_IMPL_H

#include <mpi.h>

#include "comm/comm.h"

/* Largest number of messages into which one nonblocking collective is split. A message contains at
 * most 2^30 elements. */
enum { WL_COMM_MESSAGES = 64 };

struct wl_comm {
  /* duplicate of MPI_COMM_WORLD; MPI calls with this communicator return an error instead of ending
   * the program */
  MPI_Comm world;
  int rank, size, node_rank, node_size;
  bool owns_mpi; /* true: wl_comm_start initialised MPI, and wl_comm_finish finalises MPI */
  size_t chunk;  /* largest number of elements in a message; tests set a small number */
  /* one request for each of the `pending` messages of the collective in progress */
  MPI_Request requests[WL_COMM_MESSAGES];
  size_t pending;
  /* [size - 1] requests of the alarm that this rank sends to the other ranks; NULL: this rank
   * sends no alarm */
  MPI_Request *alarms;
  /* scratch memory of the exact sum; a call that needs more memory enlarges the arrays */
  double *maxima; /* [maxima_room] the largest magnitude of each block, followed by the flags */
  /* [integers_room] the rounded sums, followed by the tallies and the number of counted units */
  int64_t *integers;
  size_t maxima_room, integers_room;
};

/* Starts the computation of wl_comm_max, and wl_comm_wait finishes the computation. The caller must
 * not access `values` between the two calls. Only one maximum can be in progress at a time. Between
 * the two calls, the ranks may call other collectives, in the same order on all ranks. */
wl_status wl_comm_max_start(wl_comm *comm, double *values, size_t count);
wl_status wl_comm_wait(wl_comm *comm);

#endif
