/* rng.c - computes random numbers with the counter-based generator Philox4x64-10 of the library
 * Random123.
 *
 * - Block b of a stream is Philox(counter (b, step, task, index), key (seed, purpose | space << 32)).
 * - The bits of element e are word e mod 4 of block e / 4.
 *
 * The generator is described in Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
 *
 * Truncated normals and bounded integers may need several attempts. Attempt a for element e uses
 * the bits of element e + a 2^56. The number of attempts for one element therefore does not change
 * other elements. The index of an element is below 2^56, and the number of attempts is below
 * 2^7. */
#include "base/rng.h"

#include <Random123/philox.h>
#include <math.h>

enum { WORDS = 4, CHUNK = 256, ATTEMPT_SHIFT = 56, ATTEMPTS = 64 };

__extension__ typedef unsigned __int128 uint128;

static philox4x64_ctr_t stream_block(const wl_stream *s, uint64_t block) {
  const philox4x64_ctr_t counter = {{block, s->step, s->task, s->index}};
  const philox4x64_key_t key = {{s->seed, (uint64_t)s->purpose | (uint64_t)s->space << 32}};
  return philox4x64_R(10, counter, key);
}

void wl_rng_bits(wl_stream s, uint64_t first, int64_t n, uint64_t *out) {
  int64_t i = 0;
  while (i < n) {
    const uint64_t element = first + (uint64_t)i;
    const philox4x64_ctr_t words = stream_block(&s, element / WORDS);
    for (uint64_t w = element % WORDS; w < WORDS && i < n; ++w) out[i++] = words.v[w];
  }
}

/* Returns the 64 random bits of one element for one attempt. */
static uint64_t element_bits(const wl_stream *s, uint64_t element, uint64_t attempt) {
  const uint64_t shifted = element + (attempt << ATTEMPT_SHIFT);
  return stream_block(s, shifted / WORDS).v[shifted % WORDS];
}

/* Converts the upper 53 bits to a multiple of 2^-53 in [0, 1). */
static double unit_double(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

/* Returns x. If rounding made x equal to hi, returns the largest number below hi, because [lo, hi)
 * does not contain hi. */
static double below(double x, double lo, double hi) {
  return x < hi || !(lo < hi) ? x : nextafter(hi, lo);
}

void wl_rng_uniform_double(wl_stream s, uint64_t first, int64_t n, double lo, double hi,
                           double *out) {
  uint64_t bits[CHUNK];
  for (int64_t at = 0; at < n; at += CHUNK) {
    const int64_t count = n - at < CHUNK ? n - at : CHUNK;
    wl_rng_bits(s, first + (uint64_t)at, count, bits);
    for (int64_t i = 0; i < count; ++i)
      out[at + i] = below(lo + (hi - lo) * unit_double(bits[i]), lo, hi);
  }
}

/* Rounds x to working precision. If the result is not below hi, returns the largest number below hi. */
static wl_real round_below(double x, double lo, double hi) {
  const wl_real rounded = (wl_real)x;
  if ((double)rounded < hi || !(lo < hi)) return rounded;
#ifdef WL_DOUBLE
  return nextafter(hi, lo);
#else
  return nextafterf((float)hi, (float)lo);
#endif
}

void wl_rng_uniform(wl_stream s, uint64_t first, int64_t n, double lo, double hi, wl_real *out) {
  double x[CHUNK];
  for (int64_t at = 0; at < n; at += CHUNK) {
    const int64_t count = n - at < CHUNK ? n - at : CHUNK;
    wl_rng_uniform_double(s, first + (uint64_t)at, count, lo, hi, x);
    for (int64_t i = 0; i < count; ++i) out[at + i] = round_below(x[i], lo, hi);
  }
}

/* Computes two standard normal numbers by the method of Box and Muller, for elements 2j and 2j+1 of
 * a stream. The numbers are r cos a and r sin a, where r = sqrt(-2 log u). The first word
 * determines u in (0, 1], and the second word determines the angle a. */
static void normal_pair(const uint64_t words[2], double pair[2]) {
  const double u = ((double)(words[0] >> 11) + 1.0) * 0x1p-53;
  const double angle = 0x1.921fb54442d18p+2 * unit_double(words[1]); /* 2 pi */
  const double radius = sqrt(-2.0 * log(u));
  pair[0] = radius * cos(angle);
  pair[1] = radius * sin(angle);
}

/* Returns the standard normal number of one element for one attempt. */
static double normal_element(const wl_stream *s, uint64_t element, uint64_t attempt) {
  const uint64_t even = element & ~UINT64_C(1);
  const uint64_t words[2] = {element_bits(s, even, attempt), element_bits(s, even + 1, attempt)};
  double pair[2];
  normal_pair(words, pair);
  return pair[element & 1];
}

/* Computes the standard normal numbers of `count` elements. `count` is at most CHUNK. */
static void normal_chunk(const wl_stream *s, uint64_t first, int64_t count, double *out) {
  uint64_t bits[CHUNK + 2];
  const uint64_t even = first & ~UINT64_C(1);
  const int64_t skip = (int64_t)(first - even);
  const int64_t words = (skip + count + 1) / 2 * 2;
  wl_rng_bits(*s, even, words, bits);
  for (int64_t w = 0; w < words; w += 2) {
    double pair[2];
    normal_pair(bits + w, pair);
    for (int64_t k = 0; k < 2; ++k) {
      const int64_t i = w + k - skip;
      if (i >= 0 && i < count) out[i] = pair[k];
    }
  }
}

void wl_rng_normal(wl_stream s, uint64_t first, int64_t n, double sd, wl_real *out) {
  double x[CHUNK];
  for (int64_t at = 0; at < n; at += CHUNK) {
    const int64_t count = n - at < CHUNK ? n - at : CHUNK;
    normal_chunk(&s, first + (uint64_t)at, count, x);
    for (int64_t i = 0; i < count; ++i) out[at + i] = (wl_real)(sd * x[i]);
  }
}

void wl_rng_truncated_normal(wl_stream s, uint64_t first, int64_t n, double sd, wl_real *out) {
  double x[CHUNK];
  for (int64_t at = 0; at < n; at += CHUNK) {
    const int64_t count = n - at < CHUNK ? n - at : CHUNK;
    normal_chunk(&s, first + (uint64_t)at, count, x);
    for (int64_t i = 0; i < count; ++i) {
      /* On average, one number in 22 is drawn again. The probability that all 64 attempts fail is
       * 1e-86. */
      for (uint64_t attempt = 1; fabs(x[i]) > 2.0 && attempt < ATTEMPTS; ++attempt)
        x[i] = normal_element(&s, first + (uint64_t)(at + i), attempt);
      out[at + i] = (wl_real)(sd * x[i]);
    }
  }
}

/* Returns a uniformly distributed integer below `bound`, without bias. Each attempt uses 64 random
 * bits. The method is described in Lemire 2019, "Fast random integer generation in an interval". */
static uint64_t bounded(const wl_stream *s, uint64_t element, uint64_t bits, uint64_t bound) {
  const uint64_t threshold = -bound % bound; /* 2^64 mod bound */
  uint128 product = (uint128)bits * bound;
  for (uint64_t attempt = 1; (uint64_t)product < threshold && attempt < ATTEMPTS; ++attempt)
    product = (uint128)element_bits(s, element, attempt) * bound;
  return (uint64_t)(product >> 64);
}

void wl_rng_index(wl_stream s, uint64_t first, int64_t n, uint64_t bound, int64_t *out) {
  uint64_t bits[CHUNK];
  for (int64_t at = 0; at < n; at += CHUNK) {
    const int64_t count = n - at < CHUNK ? n - at : CHUNK;
    const uint64_t element = first + (uint64_t)at;
    wl_rng_bits(s, element, count, bits);
    for (int64_t i = 0; i < count; ++i)
      out[at + i] = bound > 0 ? (int64_t)bounded(&s, element + (uint64_t)i, bits[i], bound) : 0;
  }
}

void wl_rng_permutation(wl_stream s, int64_t n, int64_t *out) {
  uint64_t bits[CHUNK];
  for (int64_t i = 0; i < n; ++i) {
    if (i % CHUNK == 0) wl_rng_bits(s, (uint64_t)i, n - i < CHUNK ? n - i : CHUNK, bits);
    /* inside-out shuffle: i is stored at a random index j <= i, and the number at index j moves to
     * index i */
    const uint64_t j = bounded(&s, (uint64_t)i, bits[i % CHUNK], (uint64_t)i + 1);
    if (j < (uint64_t)i) out[i] = out[j];
    out[j] = i;
  }
}
