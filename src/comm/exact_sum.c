/* exact_sum.c - the sum of real vectors over units, the same bits for any ranks and any order.
 *
 * For each block, with M the largest |x| over all counted units of all ranks, N the upper bound of
 * units and 2^(e-1) <= M < 2^e:
 *
 *   h = ceil(log2(N + 1)),   q = 2^(e - 62 + h)      quantum: |x| / q < 2^(62 - h)
 *   S = sum over units of rint(x / q)                |S| <= N 2^(62 - h) <= 2^62: no overflow
 *   sum = S q
 *
 * M is a maximum and S an integer sum: both are exact, so that order cannot matter. The error of
 * one unit is at most q/2 <= M 2^(h - 62): for N = 1000 units 2^-52 of the largest magnitude.
 *
 *   vectors [units][count],   maxima [n_blocks + n_flags],   integers [count + 1] */
#include <float.h>
#include <math.h>
#include <string.h>

#include "comm/comm.h"
#include "comm/comm_impl.h"

/* One call: its arguments and what is derived from them. */
typedef struct exact_sum {
  const double *vectors;
  const bool *counted;
  const int64_t *blocks;
  int64_t units, count, n_blocks;
  int headroom;     /* h */
  double *maxima;   /* [n_blocks] M */
  int64_t *integers;/* [count] S */
} exact_sum;

/* A power of two as two factors, so that 2^1135 and 2^-1135 can be applied: exactly, except
 * where the product is below the smallest normal number and is rounded in the second step. */
typedef struct two_factors { double first, second; } two_factors;

static two_factors power_of_two(int exponent) {
  const int half = exponent / 2;
  return (two_factors){scalbn(1.0, half), scalbn(1.0, exponent - half)};
}

/* Exponent of q for a block whose largest magnitude is `largest` > 0. */
static int quantum_exponent(double largest, int headroom) {
  int e = 0;
  frexp(largest, &e); /* largest < 2^e, subnormals too */
  return e - 62 + headroom;
}

/* ceil(log2(total + 1)): bits that hold any number up to `total`. */
static int bits_of(int64_t total) {
  int bits = 0;
  while (total > 0) {
    total >>= 1;
    bits++;
  }
  return bits;
}

/* The largest magnitude; infinite when a value is not finite, NaN included. */
static double largest_magnitude(const double *x, int64_t count) {
  double largest = 0.0;
  for (int64_t i = 0; i < count; i++) {
    const double magnitude = fabs(x[i]) <= DBL_MAX ? fabs(x[i]) : INFINITY;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

static void find_maxima(const exact_sum *s) {
  for (int64_t u = 0; u < s->units; u++) {
    if (!s->counted[u]) continue;
    for (int64_t b = 0; b < s->n_blocks; b++) {
      const double largest = largest_magnitude(s->vectors + u * s->count + s->blocks[b], s->blocks[b + 1] - s->blocks[b]);
      if (largest > s->maxima[b]) s->maxima[b] = largest;
    }
  }
}

/* S += rint(x / q) over one block of one unit. */
static void add_rounded(const exact_sum *s, int64_t unit, int64_t block) {
  const double *const x = s->vectors + unit * s->count;
  const two_factors inverse = power_of_two(-quantum_exponent(s->maxima[block], s->headroom));
  for (int64_t i = s->blocks[block]; i < s->blocks[block + 1]; i++) {
    const int64_t rounded = (int64_t)rint(x[i] * inverse.first * inverse.second);
    /* unsigned, so that a caller's wrong `total` wraps and is reported, not undefined */
    s->integers[i] = (int64_t)((uint64_t)s->integers[i] + (uint64_t)rounded);
  }
}

static bool has_quantum(double largest) { return largest > 0.0 && largest <= DBL_MAX; }

static int64_t round_units(const exact_sum *s) {
  int64_t n = 0;
  for (int64_t u = 0; u < s->units; u++) {
    if (!s->counted[u]) continue;
    n++;
    for (int64_t b = 0; b < s->n_blocks; b++)
      if (has_quantum(s->maxima[b])) add_rounded(s, u, b);
  }
  return n;
}

static void scale_back(const exact_sum *s, double *sum) {
  for (int64_t b = 0; b < s->n_blocks; b++) {
    const double largest = s->maxima[b];
    const two_factors q = power_of_two(has_quantum(largest) ? quantum_exponent(largest, s->headroom) : 0);
    for (int64_t i = s->blocks[b]; i < s->blocks[b + 1]; i++)
      sum[i] = largest <= DBL_MAX ? (double)s->integers[i] * q.first * q.second : NAN;
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

/* Room for this call in the communicator's scratch, set to zero. All ranks pass the same sizes,
 * so all grow in the same call and agree there on whether memory sufficed. */
static wl_status reserve(wl_comm *comm, size_t maxima, size_t integers) {
  if (maxima > comm->maxima_room || integers > comm->integers_room) {
    comm->maxima_room = 0;
    comm->integers_room = 0;
    WL_TRY(wl_comm_agree(comm, grow(comm, maxima, integers)));
    comm->maxima_room = maxima;
    comm->integers_room = integers;
  }
  memset(comm->maxima, 0, maxima * sizeof *comm->maxima);
  memset(comm->integers, 0, integers * sizeof *comm->integers);
  return WL_OK;
}

wl_status wl_comm_exact_sum(wl_comm *comm, const double *vectors, int64_t units, const bool *counted,
                            int64_t count, const int64_t *blocks, int64_t n_blocks, int64_t total,
                            double *sum, int64_t *n_counted, double *flags, int n_flags) {
  const size_t n_maxima = (size_t)n_blocks + (size_t)n_flags, n_integers = (size_t)count + 1;
  WL_CHECK(blocks[0] == 0 && blocks[n_blocks] == count);
  WL_TRY(reserve(comm, n_maxima, n_integers));
  const exact_sum s = {vectors, counted, blocks, units, count, n_blocks, bits_of(total), comm->maxima, comm->integers};

  find_maxima(&s);
  if (n_flags > 0) memcpy(s.maxima + n_blocks, flags, (size_t)n_flags * sizeof *flags);
  WL_TRY(wl_comm_max(comm, s.maxima, n_maxima));
  if (n_flags > 0) memcpy(flags, s.maxima + n_blocks, (size_t)n_flags * sizeof *flags);

  s.integers[count] = round_units(&s);
  WL_TRY(wl_comm_sum_int64_start(comm, s.integers, n_integers));
  WL_TRY(wl_comm_sum_int64_wait(comm));
  *n_counted = s.integers[count];
  if (*n_counted > total)
    return WL_FAIL(WL_ERR_SOFTWARE, "exact sum over %lld units where at most %lld were announced", (long long)*n_counted,
                   (long long)total);
  scale_back(&s, sum);
  return WL_OK;
}
