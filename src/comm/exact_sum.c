/* exact_sum.c - computes the sum of real vectors over units. The sum is bitwise equal for any number of ranks and any
 * order.
 *
 * Let M be the largest |x| of a block over all counted units of all ranks, N the upper bound of the number of units,
 * and e the integer with 2^(e-1) <= M < 2^e. For each block:
 *
 *   h = ceil(log2(N + 1)),   q = 2^(e - 62 + h)      quantum: |x| / q < 2^(62 - h)
 *   S = sum over units of rint(x / q)                |S| <= N 2^(62 - h) <= 2^62: no overflow
 *   sum = S q
 *
 * M is a maximum and S is an integer sum. Both are exact, and so the order does not matter. The error of one unit is at
 * most q/2 <= M 2^(h - 62). For N = 1000 units, this is 2^-52 of the largest magnitude.
 *
 *   vectors [units][count],   maxima [n_blocks + n_flags],   integers [count + n_tallies + 1] */
#include <float.h>
#include <math.h>
#include <string.h>

#include "comm/comm.h"
#include "comm/comm_impl.h"

/* The arguments of one call, and the values derived from them. */
typedef struct summing {
  const wl_exact_sum *in;
  int headroom;      /* h */
  double *maxima;    /* [n_blocks] M */
  int64_t *integers; /* [count] S */
} summing;

/* A power of two as a product of two factors. Powers such as 2^1135 and 2^-1135 can be applied in this form. A
 * multiplication by both factors is exact, unless the result is below the smallest normal number; the second
 * multiplication then rounds. */
typedef struct two_factors {
  double first, second;
} two_factors;

static two_factors power_of_two(int exponent) {
  const int half = exponent / 2;
  return (two_factors){scalbn(1.0, half), scalbn(1.0, exponent - half)};
}

/* Returns the exponent of q for a block. `largest` > 0 is the block's largest magnitude. */
static int quantum_exponent(double largest, int headroom) {
  int e = 0;
  frexp(largest, &e); /* largest < 2^e, also for subnormal numbers */
  return e - 62 + headroom;
}

/* Returns ceil(log2(total + 1)), the number of bits of a number up to `total`. */
static int bits_of(int64_t total) {
  int bits = 0;
  while (total > 0) {
    total >>= 1;
    bits++;
  }
  return bits;
}

/* Returns the largest magnitude, or infinity if a value is infinite or NaN. A maximum is the same in any order. The
 * loop can therefore use several lanes, and the compiler can vectorise the loop. */
static double largest_magnitude(const double *x, int64_t count) {
  enum { LANES = 4 };
  double lane[LANES] = {0},
         zero[LANES] = {0}; /* zero: sums of 0 x, which are NaN if an x is not finite */
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int l = 0; l < LANES; l++) {
      lane[l] = fabs(x[i + l]) > lane[l] ? fabs(x[i + l]) : lane[l];
      zero[l] += 0.0 * x[i + l];
    }
  for (; i < count; i++) {
    lane[0] = fabs(x[i]) > lane[0] ? fabs(x[i]) : lane[0];
    zero[0] += 0.0 * x[i];
  }
  const double low = lane[0] > lane[1] ? lane[0] : lane[1],
               high = lane[2] > lane[3] ? lane[2] : lane[3];
  if (!(zero[0] + zero[1] + zero[2] + zero[3] == 0.0)) return INFINITY;
  return low > high ? low : high;
}

static void find_maxima(const summing *s) {
  const wl_exact_sum *in = s->in;
  for (int64_t u = 0; u < in->units; u++) {
    if (!in->counted[u]) continue;
    for (int64_t b = 0; b < in->n_blocks; b++) {
      const double largest = largest_magnitude(in->vectors + u * in->count + in->blocks[b],
                                               in->blocks[b + 1] - in->blocks[b]);
      if (largest > s->maxima[b]) s->maxima[b] = largest;
    }
  }
}

/* Computes S += rint(x / q) over one block of one unit. */
static void add_rounded(const summing *s, int64_t unit, int64_t block) {
  const double *const x = s->in->vectors + unit * s->in->count;
  const two_factors inverse = power_of_two(-quantum_exponent(s->maxima[block], s->headroom));
  for (int64_t i = s->in->blocks[block]; i < s->in->blocks[block + 1]; i++) {
    const int64_t rounded = llrint(x[i] * inverse.first * inverse.second);
    /* unsigned arithmetic: an overflow, which a wrong `total` causes, is defined and is reported */
    s->integers[i] = (int64_t)((uint64_t)s->integers[i] + (uint64_t)rounded);
  }
}

static bool has_quantum(double largest) { return largest > 0.0 && largest <= DBL_MAX; }

/* Rounds and adds the vectors of all counted units. Returns the number of these units. */
static int64_t round_units(const summing *s) {
  int64_t n = 0;
  for (int64_t u = 0; u < s->in->units; u++) {
    if (!s->in->counted[u]) continue;
    n++;
    for (int64_t b = 0; b < s->in->n_blocks; b++)
      if (has_quantum(s->maxima[b])) add_rounded(s, u, b);
  }
  return n;
}

static void scale_back(const summing *s) {
  for (int64_t b = 0; b < s->in->n_blocks; b++) {
    const double largest = s->maxima[b];
    const two_factors q =
        power_of_two(has_quantum(largest) ? quantum_exponent(largest, s->headroom) : 0);
    for (int64_t i = s->in->blocks[b]; i < s->in->blocks[b + 1]; i++)
      s->in->sum[i] = largest <= DBL_MAX ? (double)s->integers[i] * q.first * q.second : NAN;
  }
}

static wl_status grow(wl_comm *comm, size_t maxima, size_t integers) {
  wl_free(comm->maxima);
  wl_free(comm->integers);
  comm->maxima = NULL;
  comm->integers = NULL;
  WL_TRY(WL_NEW(comm->maxima, maxima));
  WL_TRY(WL_NEW(comm->integers, integers));
  return WL_OK;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Enlarges the communicator's scratch arrays for this call if necessary, and sets the arrays to zero. All ranks pass
 * the same sizes. Therefore all ranks enlarge the arrays in the same call, and check together that the allocation
 * succeeded. */
static wl_status reserve(wl_comm *comm, size_t maxima, size_t integers) {
  if (maxima > comm->maxima_room || integers > comm->integers_room) {
    const size_t m = larger(maxima, comm->maxima_room), n = larger(integers, comm->integers_room);
    comm->maxima_room = 0;
    comm->integers_room = 0;
    WL_TRY(wl_comm_agree(comm, grow(comm, m, n)));
    comm->maxima_room = m;
    comm->integers_room = n;
  }
  memset(comm->maxima, 0, maxima * sizeof *comm->maxima);
  memset(comm->integers, 0, integers * sizeof *comm->integers);
  return WL_OK;
}

static size_t n_maxima(const wl_exact_sum *in) {
  return (size_t)in->n_blocks + (size_t)in->n_flags;
}
static size_t n_integers(const wl_exact_sum *in) {
  return (size_t)in->count + (size_t)in->n_tallies + 1;
}

static summing on(const wl_comm *comm, const wl_exact_sum *in) {
  return (summing){in, bits_of(in->total), comm->maxima, comm->integers};
}

wl_status wl_comm_exact_sum_start(wl_comm *comm, wl_exact_sum *in) {
  WL_CHECK(in->blocks[0] == 0 && in->blocks[in->n_blocks] == in->count);
  WL_TRY(reserve(comm, n_maxima(in), n_integers(in)));
  const summing s = on(comm, in);
  find_maxima(&s);
  if (in->n_flags > 0)
    memcpy(s.maxima + in->n_blocks, in->flags, (size_t)in->n_flags * sizeof *in->flags);
  return wl_comm_max_start(comm, s.maxima, n_maxima(in));
}

wl_status wl_comm_exact_sum_finish(wl_comm *comm, wl_exact_sum *in) {
  const summing s = on(comm, in);
  int64_t *const tallies = s.integers + in->count, *const counted = tallies + in->n_tallies;
  const size_t tally_bytes = (size_t)in->n_tallies * sizeof *tallies;
  WL_TRY(wl_comm_wait(comm));
  if (in->n_flags > 0)
    memcpy(in->flags, s.maxima + in->n_blocks, (size_t)in->n_flags * sizeof *in->flags);

  *counted = round_units(&s);
  if (tally_bytes > 0) memcpy(tallies, in->tallies, tally_bytes);
  WL_TRY(wl_comm_sum_int64(comm, s.integers, n_integers(in)));
  if (tally_bytes > 0) memcpy(in->tallies, tallies, tally_bytes);
  in->n_counted = *counted;
  if (in->n_counted > in->total)
    return WL_FAIL(WL_ERR_SOFTWARE, "exact sum over %lld units, but at most %lld were expected",
                   (long long)in->n_counted, (long long)in->total);
  scale_back(&s);
  return WL_OK;
}

wl_status wl_comm_exact_sum(wl_comm *comm, wl_exact_sum *in) {
  WL_TRY(wl_comm_exact_sum_start(comm, in));
  return wl_comm_exact_sum_finish(comm, in);
}
