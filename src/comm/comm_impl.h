/* comm_impl.h - the communicator's members, and functions that both comm.c and exact_sum.c use. */
#ifndef WL_COMM_COMM_IMPL_H
#define WL_COMM_COMM_IMPL_H

#include <mpi.h>

#include "comm/comm.h"

/* Largest number of messages of one nonblocking collective: 64 of 2^30 elements. */
enum { WL_COMM_MESSAGES = 64 };

struct wl_comm {
  MPI_Comm world; /* duplicate of MPI_COMM_WORLD that returns errors */
  int rank, size, node_rank, node_size;
  bool owns_mpi; /* this communicator initialised MPI and finalises it */
  size_t chunk;  /* largest number of elements of a message; tests set a small number */
  /* collective in progress: one request for each message */
  MPI_Request requests[WL_COMM_MESSAGES];
  size_t pending;
  MPI_Request *alarms; /* [size - 1] requests of the alarms being sent; NULL: no alarm is being sent */
  /* scratch of the exact sum, enlarged when a call needs more */
  double *maxima;    /* [maxima_room] largest magnitude of each block, then flags */
  int64_t *integers; /* [integers_room] rounded sums, tallies, number of counted units */
  size_t maxima_room, integers_room;
};

/* Starts the computation of wl_comm_max; wl_comm_wait finishes it. `values` must not be accessed between the two calls.
 * Only one maximum can be in progress at a time. Other collectives may run in the meantime, in the same order on every
 * rank. */
wl_status wl_comm_max_start(wl_comm *comm, double *values, size_t count);
wl_status wl_comm_wait(wl_comm *comm);

#endif
