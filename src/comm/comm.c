/* comm.c - starts and finishes MPI, distributes errors to all ranks, and calls the collective
 * functions of MPI. If a collective has more elements than MPI accepts in one call, the code splits
 * the collective into several calls.
 *
 * Every collective computes a maximum, an integer sum or a copy. Maxima, integer sums and copies
 * are exact. The results of collectives therefore do not depend on the number of ranks or on the
 * order in which MPI combines the values. */
#include "comm/comm.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cores.h"
#include "comm/comm_impl.h"

enum { CHUNK = 1 << 30, TAG = 1, ALARM_TAG = 2, MESSAGE_SIZE = 4096 };
_Static_assert(CHUNK < INT_MAX, "MPI element counts are int, so CHUNK must be below INT_MAX");

/* Returns WL_OK for MPI_SUCCESS. For any other code, sets an error with the MPI library's
 * message. */
static wl_status check_mpi(int code, const char *what) {
  if (code == MPI_SUCCESS) return WL_OK;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
    snprintf(text, sizeof text, "error %d", code);
  return WL_FAIL(WL_ERR_OS, "%s failed: %s; if another rank has ended, read that rank's messages",
                 what, text);
}

#define WL_TRY_MPI(call, what) WL_TRY(check_mpi((call), (what)))

/* ---- start and finish ---- */

static wl_status init_mpi(int *argc, char ***argv, bool *owns) {
  int running = 0, level = 0;
  WL_TRY_MPI(MPI_Initialized(&running), "MPI_Initialized");
  *owns = !running;
  if (running) WL_TRY_MPI(MPI_Query_thread(&level), "MPI_Query_thread");
  else WL_TRY_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &level), "MPI_Init_thread");
  if (level >= MPI_THREAD_FUNNELED) return WL_OK;
  WL_FAIL(WL_ERR_OS,
          "this MPI library does not support threads (MPI_THREAD_FUNNELED): use an MPI library that "
          "supports threads");
  wl_error_share(true); /* all ranks run the same library, so all ranks have this error */
  return WL_ERR_OS;
}

static wl_status count_node(wl_comm *comm) {
  MPI_Comm node = MPI_COMM_NULL;
  WL_TRY_MPI(MPI_Comm_split_type(comm->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
             "MPI_Comm_split_type");
  WL_TRY_MPI(MPI_Comm_size(node, &comm->node_size), "MPI_Comm_size");
  WL_TRY_MPI(MPI_Comm_rank(node, &comm->node_rank), "MPI_Comm_rank");
  WL_TRY_MPI(MPI_Comm_free(&node), "MPI_Comm_free");
  return WL_OK;
}

static wl_status build(wl_comm *comm) {
  comm->chunk = CHUNK;
  WL_TRY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm->world), "MPI_Comm_dup");
  WL_TRY_MPI(MPI_Comm_set_errhandler(comm->world, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  WL_TRY_MPI(MPI_Comm_rank(comm->world, &comm->rank), "MPI_Comm_rank");
  WL_TRY_MPI(MPI_Comm_size(comm->world, &comm->size), "MPI_Comm_size");
  return count_node(comm);
}

wl_status wl_comm_start(int *argc, char ***argv, wl_comm **out) {
  wl_comm *comm = NULL;
  *out = NULL;
  bool owns = false;
  WL_TRY(init_mpi(argc, argv, &owns));
  WL_TRY(WL_NEW(comm, 1));
  comm->owns_mpi = owns;
  comm->world = MPI_COMM_NULL;
  const wl_status status = build(comm);
  if (status != WL_OK) wl_free(comm);
  else *out = comm;
  return status;
}

void wl_comm_finish(wl_comm **comm) {
  wl_comm *const c = *comm;
  if (!c) return;
  if (c->world != MPI_COMM_NULL) MPI_Comm_free(&c->world);
  if (c->owns_mpi) MPI_Finalize();
  wl_free(c->alarms);
  wl_free(c->maxima);
  wl_free(c->integers);
  wl_free(c);
  *comm = NULL;
}

void wl_comm_abort(wl_comm *comm, int code) {
  int running = 0;
  MPI_Initialized(&running);
  if (running) MPI_Abort(comm ? comm->world : MPI_COMM_WORLD, code);
  _Exit(code); /* ends the process if MPI_Abort returns */
}

int wl_comm_rank(const wl_comm *comm) { return comm->rank; }
int wl_comm_size(const wl_comm *comm) { return comm->size; }
int wl_comm_node_size(const wl_comm *comm) { return comm->node_size; }

int wl_comm_cores(const wl_comm *comm) {
  const long share = sysconf(_SC_NPROCESSORS_ONLN) / comm->node_size, own = wl_cores_allowed();
  const long least = share < own ? share : own;
  /* at least one core, also if the node has more ranks than cores */
  const int cores = least > 1 ? (int)least : 1;
  if (wl_cores_wished() > 0) return wl_cores_wished() < cores ? wl_cores_wished() : cores;
  if (comm->node_size == 1 && !wl_cores_are_owned()) return wl_cores_idle();
  return cores;
}

/* Binds the threads, because a thread that is not bound sleeps between two parallel regions. The
 * system may wake such a thread on a core where another thread of the team already runs. The two
 * threads then share this core until the scheduler moves one of the two threads to another core. */
bool wl_comm_bind_threads(const wl_comm *comm, int threads) {
  const int allowed = wl_cores_allowed();
  const bool alone = comm->node_size == 1 || allowed < sysconf(_SC_NPROCESSORS_ONLN);
  if (threads < 2 || !wl_cores_are_owned()) return false;
  if (threads == allowed && alone) return wl_cores_bind(threads, 0);
  return threads * comm->node_size == allowed && wl_cores_bind(threads, comm->node_rank * threads);
}

const char *wl_comm_library(void) {
  static char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "unknown MPI library";
  text[strcspn(text, "\n")] = '\0';
  for (char *tab = text; (tab = strchr(tab, '\t'));) *tab = ' '; /* "MPICH Version:\t4.0.2" */
  return text;
}

/* ---- agreement ---- */

/* Returns true if the message begins with a rank, as in "rank 3: ...". An earlier call of
 * wl_comm_agree may have added the rank, and in this case wl_comm_agree adds no second rank. */
static bool names_a_rank(const char *message) {
  if (strncmp(message, "rank ", 5) != 0 || !isdigit((unsigned char)message[5])) return false;
  return message[5 + strspn(message + 5, "0123456789")] == ':';
}

static wl_status adopt_failure(wl_comm *comm, wl_status mine, int from) {
  if (comm->size == 1) { /* the only rank has already stored the error's message */
    wl_error_share(true);
    return mine;
  }
  struct {
    int32_t code;
    char message[MESSAGE_SIZE];
  } failure = {.code = mine};
  if (comm->rank == from) snprintf(failure.message, sizeof failure.message, "%s", wl_last_error());
  WL_TRY(wl_comm_bcast(comm, &failure, sizeof failure, from));
  char named[MESSAGE_SIZE + 32];
  if (names_a_rank(failure.message)) snprintf(named, sizeof named, "%s", failure.message);
  else snprintf(named, sizeof named, "rank %d: %s", from, failure.message);
  /* WL_FAIL appends a source line to the message for some codes, but not for WL_ERR_OS; the message
   * may already contain a source line */
  WL_FAIL(WL_ERR_OS, "%s", named);
  wl_error_share(true);
  return (wl_status)failure.code;
}

wl_status wl_comm_agree(wl_comm *comm, wl_status mine) {
  int lowest = mine == WL_OK ? comm->size : comm->rank;
  WL_TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &lowest, 1, MPI_INT, MPI_MIN, comm->world),
             "MPI_Allreduce");
  if (lowest < comm->size) return adopt_failure(comm, mine, lowest);
  wl_error_share(false);
  return WL_OK;
}

/* Sets an error. The message names the lowest rank whose value differs from the value of rank 0.
 * The message also states how many further ranks differ from rank 0. */
static wl_status fail_different(wl_comm *comm, const char *what, uint64_t value) {
  uint64_t first = value, other;
  WL_TRY(wl_comm_bcast(comm, &first, sizeof first, 0));
  int lowest = value == first ? comm->size : comm->rank, count = value != first;
  WL_TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &lowest, 1, MPI_INT, MPI_MIN, comm->world), "MPI_Allreduce");
  WL_TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &count, 1, MPI_INT, MPI_SUM, comm->world), "MPI_Allreduce");
  other = value;
  WL_TRY(wl_comm_bcast(comm, &other, sizeof other, lowest));
  char more[64] = "";
  if (count > 1) snprintf(more, sizeof more, ", and %d more ranks differ from rank 0", count - 1);
  return WL_FAIL(WL_ERR_PROTOCOL,
                 "%s differs between ranks (rank 0 has %016" PRIx64 ", rank %d has %016" PRIx64
                 "%s): start the same program with the same files on every node",
                 what, first, lowest, other, more);
}

wl_status wl_comm_same(wl_comm *comm, const char *what, uint64_t value) {
  /* after the reduction, bounds[0] is the largest value, and bounds[1] is the complement of the
   * smallest value */
  uint64_t bounds[2] = {value, ~value};
  WL_TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, bounds, 2, MPI_UINT64_T, MPI_MAX, comm->world),
             "MPI_Allreduce");
  if (bounds[0] == ~bounds[1]) return WL_OK;
  const wl_status status = fail_different(comm, what, value);
  wl_error_share(true);
  return status;
}

/* ---- collectives ---- */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

wl_status wl_comm_barrier(wl_comm *comm) {
  WL_TRY_MPI(MPI_Barrier(comm->world), "MPI_Barrier");
  return WL_OK;
}

wl_status wl_comm_bcast(wl_comm *comm, void *data, size_t bytes, int root) {
  char *at = data;
  for (size_t left = bytes; left > 0;) {
    const size_t part = least(left, comm->chunk);
    WL_TRY_MPI(MPI_Bcast(at, (int)part, MPI_BYTE, root, comm->world), "MPI_Bcast");
    at += part;
    left -= part;
  }
  return WL_OK;
}

/* Applies `operation` to `count` values of eight bytes over all ranks. The results overwrite the
 * values. */
static wl_status reduce_all(wl_comm *comm, void *values, size_t count, MPI_Datatype type,
                            MPI_Op operation) {
  for (size_t done = 0; done < count;) {
    const size_t part = least(count - done, comm->chunk);
    WL_TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, (char *)values + 8 * done, (int)part, type, operation,
                             comm->world),
               "MPI_Allreduce");
    done += part;
  }
  return WL_OK;
}

wl_status wl_comm_max(wl_comm *comm, double *values, size_t count) {
  return reduce_all(comm, values, count, MPI_DOUBLE, MPI_MAX);
}

wl_status wl_comm_sum_int64(wl_comm *comm, int64_t *values, size_t count) {
  return reduce_all(comm, values, count, MPI_INT64_T, MPI_SUM);
}

/* Starts several messages if one message cannot contain all values. */
wl_status wl_comm_max_start(wl_comm *comm, double *values, size_t count) {
  WL_CHECK(comm->pending == 0);
  WL_CHECK(count / comm->chunk < WL_COMM_MESSAGES);
  for (size_t done = 0; done < count;) {
    const size_t part = least(count - done, comm->chunk);
    WL_TRY_MPI(MPI_Iallreduce(MPI_IN_PLACE, values + done, (int)part, MPI_DOUBLE, MPI_MAX,
                              comm->world, &comm->requests[comm->pending]),
               "MPI_Iallreduce");
    comm->pending++;
    done += part;
  }
  return WL_OK;
}

wl_status wl_comm_wait(wl_comm *comm) {
  const size_t pending = comm->pending;
  comm->pending = 0;
  for (size_t i = 0; i < pending; i++)
    WL_TRY_MPI(MPI_Wait(&comm->requests[i], MPI_STATUS_IGNORE), "MPI_Wait");
  return WL_OK;
}

/* ---- messages between two ranks ---- */

wl_status wl_comm_send(wl_comm *comm, const void *data, size_t bytes, int to) {
  const char *at = data;
  for (size_t left = bytes; left > 0;) {
    const size_t part = least(left, comm->chunk);
    WL_TRY_MPI(MPI_Send(at, (int)part, MPI_BYTE, to, TAG, comm->world), "MPI_Send");
    at += part;
    left -= part;
  }
  return WL_OK;
}

/* Receives one of the parts into which a long message is split. The sender and the receiver compute
 * the length of the message separately. If the lengths differ, the function sets an error. */
static wl_status receive_part(wl_comm *comm, void *data, size_t bytes, int from) {
  MPI_Status got;
  int length = 0;
  WL_TRY_MPI(MPI_Recv(data, (int)bytes, MPI_BYTE, from, TAG, comm->world, &got), "MPI_Recv");
  WL_TRY_MPI(MPI_Get_count(&got, MPI_BYTE, &length), "MPI_Get_count");
  if ((size_t)length != bytes)
    return WL_FAIL(WL_ERR_PROTOCOL,
                   "rank %d sent %d bytes, but rank %d expected %zu bytes: start the same program "
                   "with the same files on every node",
                   from, length, comm->rank, bytes);
  return WL_OK;
}

wl_status wl_comm_receive(wl_comm *comm, void *data, size_t bytes, int from) {
  char *at = data;
  for (size_t left = bytes; left > 0;) {
    const size_t part = least(left, comm->chunk);
    WL_TRY(receive_part(comm, at, part, from));
    at += part;
    left -= part;
  }
  return WL_OK;
}

/* ---- alarms ---- */

wl_status wl_comm_alarm_raise(wl_comm *comm) {
  if (comm->size == 1) return WL_OK;
  WL_CHECK(!comm->alarms);
  WL_TRY(WL_NEW(comm->alarms, comm->size - 1));
  for (int to = 0, i = 0; to < comm->size; to++)
    if (to != comm->rank)
      WL_TRY_MPI(MPI_Isend(NULL, 0, MPI_BYTE, to, ALARM_TAG, comm->world, &comm->alarms[i++]),
                 "MPI_Isend");
  return WL_OK;
}

bool wl_comm_alarm_is_heard(wl_comm *comm) {
  int waiting = 0;
  if (comm->size == 1) return false;
  MPI_Iprobe(MPI_ANY_SOURCE, ALARM_TAG, comm->world, &waiting, MPI_STATUS_IGNORE);
  return waiting != 0;
}

wl_status wl_comm_alarm_settle(wl_comm *comm, int64_t count) {
  for (int64_t i = 0; comm->size > 1 && i < count; i++)
    WL_TRY_MPI(
        MPI_Recv(NULL, 0, MPI_BYTE, MPI_ANY_SOURCE, ALARM_TAG, comm->world, MPI_STATUS_IGNORE),
        "MPI_Recv");
  if (!comm->alarms) return WL_OK;
  WL_TRY_MPI(MPI_Waitall(comm->size - 1, comm->alarms, MPI_STATUSES_IGNORE), "MPI_Waitall");
  wl_free(comm->alarms);
  comm->alarms = NULL;
  return WL_OK;
}
