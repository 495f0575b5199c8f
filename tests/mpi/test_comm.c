/* test_comm.c - tests the functions of wl_comm on any number of ranks: agreement on an error, comparison of values,
 * broadcast, maximum, integer sums and messages. */
#include "mpi_test.h"

#include "base/clock.h"
#include "base/status.h"
#include "comm/comm_impl.h"

static void ranks_are_numbered(void **state) {
  wl_comm *comm = *state;
  int64_t sum = wl_comm_rank(comm);
  assert_int_equal(wl_comm_sum_int64(comm, &sum, 1), WL_OK);
  const int64_t n = wl_comm_size(comm);
  assert_int_equal(sum, n * (n - 1) / 2);
  assert_int_equal(wl_comm_node_size(comm), n); /* all ranks run on one machine */
  assert_true(strlen(wl_comm_library()) > 0);
  assert_true(wl_seconds() > 0.0);
}

static void agree_on_success(void **state) {
  assert_int_equal(wl_comm_agree(*state, WL_OK), WL_OK);
}

/* The ranks with a number of at least `first` fail, and each of these ranks has a separate message. The error code of
 * the rank `first` differs from the error codes of the ranks after it. */
static void agree_on_lowest(void **state) {
  wl_comm *comm = *state;
  const int rank = wl_comm_rank(comm), size = wl_comm_size(comm), first = size / 2;
  wl_status mine = WL_OK;
  if (rank >= first)
    mine =
        wl_status_fail(rank == first ? WL_ERR_DATA : WL_ERR_IO, "", 0, "file %d is damaged", rank);
  const wl_status agreed = wl_comm_agree(comm, mine);
  char expected[64];
  snprintf(expected, sizeof expected,
           size == 1 ? "file %d is damaged" : "rank %d: file %d is damaged", first, first);
  assert_int_equal(agreed, WL_ERR_DATA);
  assert_string_equal(wl_last_error(), expected);

  /* a second agreement on the same failure must not add the rank number to the message again */
  assert_int_equal(wl_comm_agree(comm, agreed), WL_ERR_DATA);
  assert_string_equal(wl_last_error(), expected);
}

/* An error is shared by all ranks only after the ranks have agreed on it. A later failure on a single rank must not
 * be reported as shared. */
static void agreed_failures_are_shared(void **state) {
  wl_comm *comm = *state;
  const wl_status mine = WL_FAIL(WL_ERR_IO, "of this rank");
  assert_false(wl_error_is_shared());
  assert_int_equal(wl_comm_agree(comm, mine), WL_ERR_IO);
  assert_true(wl_error_is_shared());
  WL_FAIL(WL_ERR_IO, "another");
  assert_false(wl_error_is_shared());
  assert_int_equal(wl_comm_agree(comm, WL_ERR_IO), WL_ERR_IO);
  assert_int_equal(wl_comm_agree(comm, WL_OK), WL_OK);
  assert_false(wl_error_is_shared());
}

/* The message of an internal error must end with its source line, even after an agreement. */
static void defect_keeps_its_place(void **state) {
  wl_comm *comm = *state;
  const wl_status mine =
      wl_comm_rank(comm) == 0 ? wl_status_fail(WL_ERR_SOFTWARE, "here.c", 7, "broken") : WL_OK;
  assert_int_equal(wl_comm_agree(comm, mine), WL_ERR_SOFTWARE);
  assert_string_equal(wl_last_error(),
                      wl_comm_size(comm) == 1 ? "broken (here.c:7)" : "rank 0: broken (here.c:7)");
}

static void same_or_protocol(void **state) {
  wl_comm *comm = *state;
  const int size = wl_comm_size(comm);
  assert_int_equal(wl_comm_same(comm, "configuration", 0xfedcba9876543210u), WL_OK);
  const wl_status status =
      wl_comm_same(comm, "configuration", wl_comm_rank(comm) == size - 1 ? 5 : 6);
  assert_int_equal(status, size == 1 ? WL_OK : WL_ERR_PROTOCOL);
  if (size > 1) assert_non_null(strstr(wl_last_error(), "configuration differs"));
}

static void broadcast_from_any(void **state) {
  wl_comm *comm = *state;
  for (int root = 0; root < wl_comm_size(comm); root++) {
    unsigned char data[1001];
    for (int i = 0; i < 1001; i++)
      data[i] = (unsigned char)(wl_comm_rank(comm) == root ? i * 7 + root : 0);
    assert_int_equal(wl_comm_bcast(comm, data, sizeof data, root), WL_OK);
    for (int i = 0; i < 1001; i++) assert_int_equal(data[i], (unsigned char)(i * 7 + root));
  }
  assert_int_equal(wl_comm_bcast(comm, NULL, 0, 0), WL_OK);
}

static void maximum(void **state) {
  wl_comm *comm = *state;
  const int rank = wl_comm_rank(comm), size = wl_comm_size(comm);
  double values[3] = {rank, -rank, rank == size / 2 ? 1e300 : -1e300};
  assert_int_equal(wl_comm_max(comm, values, 3), WL_OK);
  assert_true(values[0] == size - 1 && values[1] == 0.0 && values[2] == 1e300);
}

/* Returns the value at position i of the rank with the number `rank`. */
static int64_t element(int rank, int i) { return (int64_t)i * 1000003 - rank * 17; }

/* The ranks must be able to compute a sum while a nonblocking maximum is in progress. */
static void reductions_block_and_not(void **state) {
  wl_comm *comm = *state;
  int64_t now[100];
  double later[100];
  for (int i = 0; i < 100; i++) {
    now[i] = element(wl_comm_rank(comm), i);
    later[i] = (double)now[i];
  }
  assert_int_equal(wl_comm_max_start(comm, later, 100), WL_OK);
  assert_int_equal(wl_comm_sum_int64(comm, now, 100), WL_OK);
  assert_int_equal(wl_comm_wait(comm), WL_OK);
  for (int i = 0; i < 100; i++) {
    int64_t expected = 0;
    for (int r = 0; r < wl_comm_size(comm); r++) expected += element(r, i);
    assert_int_equal(now[i], expected);
    assert_true(later[i] == (double)element(0, i)); /* rank 0 has the largest value */
  }
}

/* Rank 0 receives messages from each other rank in turn. Two messages from one rank must arrive in the order in which
 * they were sent. */
static void send_and_receive(void **state) {
  wl_comm *comm = *state;
  enum { BYTES = 257 };
  unsigned char data[BYTES], more[3] = {1, 2, 3};
  memset(data, wl_comm_rank(comm), sizeof data);
  if (wl_comm_rank(comm) > 0) {
    assert_int_equal(wl_comm_send(comm, data, sizeof data, 0), WL_OK);
    assert_int_equal(wl_comm_send(comm, more, sizeof more, 0), WL_OK);
    return;
  }
  for (int from = 1; from < wl_comm_size(comm); from++) {
    memset(more, 0, sizeof more);
    assert_int_equal(wl_comm_receive(comm, data, sizeof data, from), WL_OK);
    assert_int_equal(wl_comm_receive(comm, more, sizeof more, from), WL_OK);
    for (int i = 0; i < BYTES; i++) assert_int_equal(data[i], from);
    assert_int_equal(more[2], 3);
  }
}

/* Receiving a message of the wrong length must result in an error. */
static void wrong_length_is_told(void **state) {
  wl_comm *comm = *state;
  char data[8] = {0};
  if (wl_comm_size(comm) < 2 || wl_comm_rank(comm) > 1) return;
  if (wl_comm_rank(comm) == 1) {
    assert_int_equal(wl_comm_send(comm, data, 5, 0), WL_OK);
    return;
  }
  assert_int_equal(wl_comm_receive(comm, data, 8, 1), WL_ERR_PROTOCOL);
}

/* Repeats some tests with messages that are split into parts of at most five elements. */
static void large_counts_are_split(void **state) {
  wl_comm *comm = *state;
  const size_t chunk = comm->chunk;
  comm->chunk = 5;
  broadcast_from_any(state);
  maximum(state);
  reductions_block_and_not(state);
  send_and_receive(state);
  comm->chunk = chunk;
}

static struct CMUnitTest tests[] = {
    cmocka_unit_test(ranks_are_numbered),       cmocka_unit_test(agree_on_success),
    cmocka_unit_test(agree_on_lowest),          cmocka_unit_test(agreed_failures_are_shared),
    cmocka_unit_test(defect_keeps_its_place),   cmocka_unit_test(same_or_protocol),
    cmocka_unit_test(broadcast_from_any),       cmocka_unit_test(maximum),
    cmocka_unit_test(reductions_block_and_not), cmocka_unit_test(send_and_receive),
    cmocka_unit_test(wrong_length_is_told),     cmocka_unit_test(large_counts_are_split)};

WL_MPI_TEST_MAIN(tests)
