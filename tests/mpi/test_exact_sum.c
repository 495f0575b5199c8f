/* test_exact_sum.c - compares the exact sum over units with its definition, which the test computes directly in
 * extended precision. The test assigns units to ranks in different ways. For every assignment and on every number of
 * ranks, the sum must have the same bits. */
#include "mpi_test.h"

#include "comm/comm_impl.h"

#include <float.h>
#include <math.h>

enum { UNITS = 23, COUNT = 37, BLOCKS = 5, LEFT_OUT = 4 };

/* The blocks have very different magnitudes: some numbers are subnormal, and some have a sum that exceeds the largest
 * double. */
static const int64_t bounds[BLOCKS + 1] = {0, 8, 9, 20, 29, 37};
static const double scale[BLOCKS] = {1.0, 1e-300, 1e300, 4e-323, 0.0};

/* Returns a pseudo-random integer that depends only on x (splitmix64). */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static int block_of(int64_t i) {
  int b = 0;
  while (bounds[b + 1] <= i) b++;
  return b;
}

/* Returns element i of unit u: a number in [-1, 1), multiplied by a random power of two and by the scale of its
 * block. */
static double value(int64_t u, int64_t i) {
  const uint64_t bits = mix((uint64_t)(u * 1000 + i));
  const double x = (double)(int64_t)bits / 9223372036854775808.0;
  return scale[block_of(i)] * ldexp(x, -(int)(bits % 40));
}

static bool is_counted(int64_t u) { return u != LEFT_OUT; }

/* Computes element i of the exact sum from the definition of the sum, with the 64-bit mantissa of long double. */
static double expected(int64_t i) {
  const int b = block_of(i);
  long double largest = 0;
  for (int64_t u = 0; u < UNITS; u++)
    for (int64_t k = bounds[b]; is_counted(u) && k < bounds[b + 1]; k++)
      if (fabsl(value(u, k)) > largest) largest = fabsl(value(u, k));
  if (largest == 0) return 0.0;
  int e;
  frexpl(largest, &e);
  const int exponent = e - 62 + 5; /* 2^5 is larger than 23, the number of units */
  int64_t sum = 0;
  for (int64_t u = 0; u < UNITS; u++)
    if (is_counted(u)) sum += llrintl(ldexpl(value(u, i), -exponent));
  return (double)ldexpl(sum, exponent);
}

typedef struct dealt {
  double vectors[UNITS][COUNT];
  bool counted[UNITS];
  int64_t units;
} dealt;

/* For the assignment with the number `way`, unit_at returns the unit at `position`, and owner_of returns the rank to
 * which this unit is assigned. */
static int64_t unit_at(int position, int way) {
  return (position * (int64_t)(2 * way + 1) + way) % UNITS;
}
static int owner_of(int position, int way, int size) {
  return way == 3 ? size - 1 : (int)(mix((uint64_t)(position + 100 * way)) % (uint64_t)size);
}

static void deal(const wl_comm *comm, int way, dealt *d) {
  d->units = 0;
  for (int p = 0; p < UNITS; p++) {
    if (owner_of(p, way, wl_comm_size(comm)) != wl_comm_rank(comm)) continue;
    const int64_t u = unit_at(p, way);
    for (int64_t i = 0; i < COUNT; i++) d->vectors[d->units][i] = is_counted(u) ? value(u, i) : NAN;
    d->counted[d->units++] = is_counted(u);
  }
}

static wl_status sum_dealt(wl_comm *comm, const dealt *d, int64_t total, double *sum, int64_t *n,
                           double *flags) {
  int64_t tallies[2] = {1, wl_comm_rank(comm)};
  const int64_t size = wl_comm_size(comm);
  wl_exact_sum s = {.vectors = &d->vectors[0][0],
                    .units = d->units,
                    .counted = d->counted,
                    .count = COUNT,
                    .blocks = bounds,
                    .n_blocks = BLOCKS,
                    .total = total,
                    .flags = flags,
                    .n_flags = 2,
                    .tallies = tallies,
                    .n_tallies = 2,
                    .sum = sum};
  const wl_status status = wl_comm_exact_sum(comm, &s);
  *n = s.n_counted;
  assert_true(tallies[0] == size && tallies[1] == size * (size - 1) / 2);
  return status;
}

static void any_deal_gives_the_same_bits(void **state) {
  wl_comm *comm = *state;
  dealt d;
  for (int way = 0; way < 4; way++) {
    deal(comm, way, &d);
    double sum[COUNT], flags[2] = {wl_comm_rank(comm), -wl_comm_rank(comm)};
    int64_t n = 0;
    const wl_status status = sum_dealt(comm, &d, UNITS, sum, &n, flags);
    assert_int_equal(status, WL_OK);
    assert_int_equal(n, UNITS - 1);
    assert_true(flags[0] == wl_comm_size(comm) - 1 && flags[1] == 0.0);
    for (int64_t i = 0; i < COUNT; i++) {
      const double want = expected(i);
      if (memcmp(&sum[i], &want, sizeof want) != 0)
        fail_msg("deal %d, element %d: %a instead of %a", way, (int)i, sum[i], want);
    }
  }
}

/* Compares the exact sum with a simple sum in extended precision. The difference must be at most the error from
 * rounding the summands to integers and the result to double. */
static void sum_is_accurate(void **state) {
  dealt d;
  deal(*state, 0, &d);
  double sum[COUNT], flags[2] = {0, 0};
  int64_t n = 0;
  assert_int_equal(sum_dealt(*state, &d, UNITS, sum, &n, flags), WL_OK);
  for (int64_t i = bounds[0]; i < bounds[1]; i++) {
    long double plain = 0;
    for (int64_t u = 0; u < UNITS; u++)
      if (is_counted(u)) plain += value(u, i);
    assert_true(fabsl(plain - sum[i]) <= UNITS * 0x1p-57L + DBL_EPSILON * fabsl(plain));
  }
}

static void nobody_counted_is_zero(void **state) {
  dealt d;
  deal(*state, 1, &d);
  memset(d.counted, 0, sizeof d.counted);
  double sum[COUNT], flags[2] = {0, 0};
  int64_t n = -1;
  assert_int_equal(sum_dealt(*state, &d, UNITS, sum, &n, flags), WL_OK);
  assert_int_equal(n, 0);
  for (int i = 0; i < COUNT; i++) assert_true(sum[i] == 0.0);
}

/* If a block of a counted unit contains a NaN or an infinity, the same block of the sum must be NaN on every rank. The
 * other blocks must remain unchanged. */
static void non_finite_spoils_its_block(void **state) {
  wl_comm *comm = *state;
  static const double bad[] = {NAN, INFINITY, -INFINITY};
  for (int k = 0; k < 3; k++) {
    dealt d;
    deal(comm, 3, &d); /* in this assignment, the last rank has all units */
    if (d.units > 0) d.vectors[0][10] = bad[k];
    if (d.units > 0) d.counted[0] = true;
    double sum[COUNT], flags[2] = {0, 0};
    int64_t n = 0;
    assert_int_equal(sum_dealt(comm, &d, UNITS, sum, &n, flags), WL_OK);
    for (int64_t i = 0; i < COUNT; i++) assert_int_equal(isnan(sum[i]) != 0, block_of(i) == 2);
  }
}

/* Sums numbers that have equal signs and absolute values near the largest double. The integer sums of such numbers use
 * all spare bits of the integers in the exact sum. */
static void edge_of_the_range(void **state) {
  wl_comm *comm = *state;
  const int size = wl_comm_size(comm);
  static const int64_t one_block[2] = {0, 2};
  const double vector[2] = {DBL_MAX, -4.9406564584124654e-324};
  const bool counted[1] = {true};
  double sum[2];
  wl_exact_sum s = {.vectors = vector,
                    .units = 1,
                    .counted = counted,
                    .count = 2,
                    .blocks = one_block,
                    .n_blocks = 1,
                    .total = size,
                    .sum = sum};
  assert_int_equal(wl_comm_exact_sum(comm, &s), WL_OK);
  assert_int_equal(s.n_counted, size);
  assert_true(size == 1 ? sum[0] == DBL_MAX : isinf(sum[0]) && sum[0] > 0);
  assert_true(sum[1] == 0.0);

  const double tiny[2] = {4.9406564584124654e-324, -2.2250738585072014e-308};
  static const int64_t two_blocks[3] = {0, 1, 2};
  s.vectors = tiny;
  s.blocks = two_blocks;
  s.n_blocks = 2;
  assert_int_equal(wl_comm_exact_sum(comm, &s), WL_OK);
  assert_true(sum[0] == size * 4.9406564584124654e-324);
  assert_true(sum[1] == size * -2.2250738585072014e-308);
}

/* Between the start and the end of a sum, other messages and collectives must be possible. */
static void other_calls_between_start_and_finish(void **state) {
  wl_comm *comm = *state;
  const int size = wl_comm_size(comm), rank = wl_comm_rank(comm);
  dealt d;
  deal(comm, 2, &d);
  double sum[COUNT], largest = rank;
  int64_t one = 1, token = -1;
  wl_exact_sum s = {.vectors = &d.vectors[0][0],
                    .units = d.units,
                    .counted = d.counted,
                    .count = COUNT,
                    .blocks = bounds,
                    .n_blocks = BLOCKS,
                    .total = UNITS,
                    .sum = sum};
  assert_int_equal(wl_comm_exact_sum_start(comm, &s), WL_OK);
  if (rank > 0) assert_int_equal(wl_comm_send(comm, &(int64_t){rank}, sizeof token, 0), WL_OK);
  for (int r = 1; rank == 0 && r < size; r++) {
    assert_int_equal(wl_comm_receive(comm, &token, sizeof token, r), WL_OK);
    assert_int_equal(token, r);
  }
  assert_int_equal(wl_comm_sum_int64(comm, &one, 1), WL_OK);
  assert_int_equal(wl_comm_max(comm, &largest, 1), WL_OK);
  assert_int_equal(wl_comm_exact_sum_finish(comm, &s), WL_OK);
  assert_true(one == size && largest == size - 1);
  for (int64_t i = 0; i < COUNT; i++) {
    const double want = expected(i);
    assert_memory_equal(&sum[i], &want, sizeof want);
  }
}

/* The scratch memory has two purposes. If a call requires more memory for one purpose, the memory for the other
 * purpose must not become smaller. */
static void scratch_never_shrinks(void **state) {
  wl_comm *comm = *state;
  static const int64_t one[2] = {0, 40}, many[31] = {0};
  const bool counted[1] = {true};
  double values[40] = {0}, sum[40];
  wl_exact_sum wide = {.vectors = values,
                       .units = 1,
                       .counted = counted,
                       .count = 40,
                       .blocks = one,
                       .n_blocks = 1,
                       .total = wl_comm_size(comm),
                       .sum = sum};
  wl_exact_sum cut = wide;
  cut.count = 0;
  cut.blocks = many;
  cut.n_blocks = 30;
  assert_int_equal(wl_comm_exact_sum(comm, &wide), WL_OK);
  const size_t integers = comm->integers_room;
  assert_true(integers >= 41);
  assert_int_equal(wl_comm_exact_sum(comm, &cut), WL_OK);
  assert_true(comm->maxima_room >= 30 && comm->integers_room == integers);
}

static void more_units_than_announced(void **state) {
  dealt d;
  deal(*state, 0, &d);
  double sum[COUNT], flags[2] = {0, 0};
  int64_t n = 0;
  assert_int_equal(sum_dealt(*state, &d, 5, sum, &n, flags), WL_ERR_SOFTWARE);
}

static struct CMUnitTest tests[] = {cmocka_unit_test(any_deal_gives_the_same_bits),
                                    cmocka_unit_test(sum_is_accurate),
                                    cmocka_unit_test(nobody_counted_is_zero),
                                    cmocka_unit_test(non_finite_spoils_its_block),
                                    cmocka_unit_test(edge_of_the_range),
                                    cmocka_unit_test(scratch_never_shrinks),
                                    cmocka_unit_test(more_units_than_announced),
                                    cmocka_unit_test(other_calls_between_start_and_finish)};

WL_MPI_TEST_MAIN(tests)
