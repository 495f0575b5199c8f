/* exact_sum.c - computes the sum of the vectors of all units. The bits of the sum do not depend on
 * the number of ranks or on the order of the units.
 *
 * Let N be the upper bound of the number of units. For each block, let M be the largest |x| over
 * all counted units of all ranks, and let e be the integer with 2^(e-1) <= M < 2^e. The quantum q,
 * the integer sum S and the result are then:
 *
 *   h = ceil(log2(N + 1)),   q = 2^(e - 62 + h)      |x| / q < 2^(62 - h)
 *   S = sum over units of rint(x / q)                |S| <= N 2^(62 - h) <= 2^62: no overflow
 *   sum = S q
 *
 * A maximum and an integer sum are exact, so M and S do not depend on the order of the units. The
 * rounding error of one unit's value is at most q/2 <= M 2^(h - 62). For N = 1000 units, the bound
 * on this rounding error is 2^-52 of the block's largest magnitude.
 *
 * The arrays are vectors [units][count], maxima [n_blocks + n_flags] and integers
 * [count + n_tallies + 1]. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "comm/comm.h"
#include "comm/comm_impl.h"

/* The data of one call of the exact sum. */
typedef struct summing {
  const wl_exact_sum *in;
  int headroom;      /* h, the number of bits reserved for the sum over the units */
  double *maxima;    /* [n_blocks] the largest magnitude M of each block */
  int64_t *integers; /* [count] the integer sums S, one for each element of the vectors */
} summing;

/* A power of two, stored as the product of two factors. A double cannot contain powers such as
 * 2^1135 and 2^-1135, but the product of two doubles can represent such powers. A multiplication by
 * the factors, one after the other, is exact if the result is a normal number. If the result is
 * subnormal, the second multiplication rounds. */
typedef struct two_factors {
  double first, second;
} two_factors;

static two_factors power_of_two(int exponent) {
  const int half = exponent / 2;
  return (two_factors){scalbn(1.0, half), scalbn(1.0, exponent - half)};
}

/* Returns the exponent of the quantum q of a block. `largest` is the block's largest magnitude,
 * which must be positive. */
static int quantum_exponent(double largest, int headroom) {
  int e = 0;
  frexp(largest, &e); /* the bound largest < 2^e is also correct for subnormal numbers */
  return e - 62 + headroom;
}

/* Returns ceil(log2(total + 1)), which is the number of bits that the number `total` needs. */
static int bits_of(int64_t total) {
  int bits = 0;
  while (total > 0) {
    total >>= 1;
    bits++;
  }
  return bits;
}

/* Returns the largest magnitude, or infinity if a value is infinite or NaN. The order of the values
 * does not change their maximum. The loop therefore computes several maxima at the same time, so
 * that the compiler can vectorise the loop. */
static double largest_magnitude(const double *x, int64_t count) {
  enum { LANES = 4 };
  double lane[LANES] = {0},
         /* zero: the sums of 0 * x over the values x; a sum is NaN if an x is not finite */
         zero[LANES] = {0};
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

/* Adds rint(x / q) to S for each value x in one block of one unit. */
static void add_rounded(const summing *s, int64_t unit, int64_t block) {
  const double *const x = s->in->vectors + unit * s->in->count;
  const two_factors inverse = power_of_two(-quantum_exponent(s->maxima[block], s->headroom));
  for (int64_t i = s->in->blocks[block]; i < s->in->blocks[block + 1]; i++) {
    const int64_t rounded = llrint(x[i] * inverse.first * inverse.second);
    /* The sum is unsigned, because a wrong `total` could cause an overflow, and an overflow of
     * signed integers is undefined behaviour. */
    s->integers[i] = (int64_t)((uint64_t)s->integers[i] + (uint64_t)rounded);
  }
}

static bool has_quantum(double largest) { return largest > 0.0 && largest <= DBL_MAX; }

/* Rounds the vectors of this rank's counted units, and adds the rounded vectors to S. Returns the
 * number of these units. */
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

/* Sets the communicator's scratch arrays to zero, and enlarges the arrays first if this call needs
 * more memory. All ranks pass the same sizes, so all ranks enlarge the arrays in the same call. The
 * ranks then check that the allocation succeeded on every rank. */
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
    return WL_FAIL(WL_ERR_SOFTWARE,
                   "the exact sum counted %lld units, but the caller announced at most %lld units",
                   (long long)in->n_counted, (long long)in->total);
  scale_back(&s);
  return WL_OK;
}

wl_status wl_comm_exact_sum(wl_comm *comm, wl_exact_sum *in) {
  WL_TRY(wl_comm_exact_sum_start(comm, in));
  return wl_comm_exact_sum_finish(comm, in);
}
