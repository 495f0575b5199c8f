/* test_rng.c - tests random streams. The numbers must agree with published values, have the documented distributions,
 * and not depend on how a request is divided into calls. Moments of samples of SAMPLES numbers must be within five
 * standard errors of their expectations. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "unit/cmocka_all.h"

enum { SAMPLES = 40000 };

static const wl_stream stream = {
    .seed = 7, .purpose = WL_FOR_TASK, .index = 3, .task = 2, .step = 1};

/* Tests the generator philox4x64 with 10 rounds against the vectors 1 and 3 in the file kat_vectors of Random123. */
static void known_answers(void **state) {
  (void)state;
  uint64_t out[4];
  wl_rng_bits((wl_stream){0}, 0, 4, out);
  assert_true(out[0] == UINT64_C(0x16554d9eca36314c) && out[1] == UINT64_C(0xdb20fe9d672d0fdc));
  assert_true(out[2] == UINT64_C(0xd7e772cee186176b) && out[3] == UINT64_C(0x7e68b68aec7ba23b));

  const wl_stream digits_of_pi = {.seed = UINT64_C(0x452821e638d01377),
                                  .purpose = UINT32_C(0x34e90c6c),
                                  .space = UINT32_C(0xbe5466cf),
                                  .index = UINT64_C(0x082efa98ec4e6c89),
                                  .task = UINT64_C(0xa4093822299f31d0),
                                  .step = UINT64_C(0x13198a2e03707344)};
  wl_rng_bits(digits_of_pi, 4 * UINT64_C(0x243f6a8885a308d3), 4, out);
  assert_true(out[0] == UINT64_C(0xa528f45403e61d95) && out[1] == UINT64_C(0x38c72dbd566e9788));
  assert_true(out[2] == UINT64_C(0xa5a1610e72fd18b5) && out[3] == UINT64_C(0x57bd43b5e52b7fe6));
}

/* A random stream must return the same numbers in one call and in several calls of odd sizes. */
typedef void (*generator)(uint64_t first, int64_t n, wl_real *out);

static void uniform(uint64_t first, int64_t n, wl_real *out) {
  wl_rng_uniform(stream, first, n, -1.0, 2.0, out);
}
static void normal(uint64_t first, int64_t n, wl_real *out) {
  wl_rng_normal(stream, first, n, 0.5, out);
}
static void truncated(uint64_t first, int64_t n, wl_real *out) {
  wl_rng_truncated_normal(stream, first, n, 0.5, out);
}
static void indices(uint64_t first, int64_t n, wl_real *out) {
  int64_t values[1024];
  wl_rng_index(stream, first, n, 1000, values);
  for (int64_t i = 0; i < n; ++i) out[i] = (wl_real)values[i];
}

static void elements_do_not_depend_on_the_call(void **state) {
  (void)state;
  static const generator generators[] = {uniform, normal, truncated, indices};
  for (size_t g = 0; g < sizeof generators / sizeof *generators; ++g) {
    wl_real whole[1000], pieces[1000];
    generators[g](5, 1000, whole);
    for (int64_t at = 0, size = 1; at < 1000; at += size, size = size * 2 + 1) {
      if (size > 1000 - at) size = 1000 - at;
      generators[g](5 + (uint64_t)at, size, pieces + at);
    }
    assert_memory_equal(whole, pieces, sizeof whole);
    wl_real one;
    for (uint64_t e = 0; e < 1000; e += 37) {
      generators[g](5 + e, 1, &one);
      assert_memory_equal(&one, &whole[e], sizeof one);
    }
  }
}

static void every_part_of_the_key_counts(void **state) {
  (void)state;
  wl_stream streams[5 + WL_FOR_COUNT + 3];
  int count = 0;
  for (uint32_t p = 0; p < WL_FOR_COUNT; ++p) {
    streams[count] = stream;
    streams[count++].purpose = p;
  }
  for (uint32_t space = 1; space < 4; ++space) {
    streams[count] = stream;
    streams[count++].space = space;
  }
  for (int part = 0; part < 4; ++part) streams[count + part] = stream;
  streams[count++].seed++;
  streams[count++].index++;
  streams[count++].task++;
  streams[count++].step++;
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < i; ++j) {
      uint64_t a[2], b[2];
      wl_rng_bits(streams[i], 0, 2, a);
      wl_rng_bits(streams[j], 0, 2, b);
      assert_true(a[0] != b[0] && a[1] != b[1]);
    }
}

/* Returns the mean of x^power over a sample. */
static double moment(const wl_real *x, int power) {
  double sum = 0;
  for (int i = 0; i < SAMPLES; ++i) sum += pow((double)x[i], power);
  return sum / SAMPLES;
}

/* Asserts that `found` is within five standard errors of `expected`. `found` is a mean of SAMPLES terms with the
 * variance `variance`. */
static void assert_mean(double found, double expected, double variance) {
  const double tolerance = 5 * sqrt(variance / SAMPLES);
  if (!(fabs(found - expected) <= tolerance))
    fail_msg("mean %.6g, expected %.6g within %.2g", found, expected, tolerance);
}

static wl_real sample[SAMPLES];

static void normal_moments(void **state) {
  (void)state;
  wl_rng_normal(stream, 0, SAMPLES, 2.0, sample);
  assert_mean(moment(sample, 1), 0, 4);
  assert_mean(moment(sample, 2), 4, 32); /* if x has the standard deviation sd, the variance of x^2 is 2 sd^4 */
  assert_mean(moment(sample, 3), 0, 15 * 64);
  assert_mean(moment(sample, 4), 48, 96 * 256); /* the variance of x^4 is 96 sd^8, where sd is that of x */
  double products = 0;
  for (int i = 1; i < SAMPLES; ++i) products += (double)sample[i] * (double)sample[i - 1];
  assert_mean(products / SAMPLES, 0, 16);
}

static void truncated_normal_moments(void **state) {
  (void)state;
  wl_rng_truncated_normal(stream, 0, SAMPLES, 1.0, sample);
  for (int i = 0; i < SAMPLES; ++i) assert_true(fabs((double)sample[i]) <= 2.0);
  assert_mean(moment(sample, 1), 0, 0.7737);
  /* with pdf and cdf of the standard normal distribution, the expectation of x^2 is 1 - 2 a pdf(a) / (2 cdf(a) - 1)
   * for a = 2 */
  assert_mean(moment(sample, 2), 0.7737413, 0.8);
}

static void uniform_stays_in_its_interval(void **state) {
  (void)state;
  wl_rng_uniform(stream, 0, SAMPLES, 1.0, 3.0, sample);
  for (int i = 0; i < SAMPLES; ++i)
    assert_true((double)sample[i] >= 1.0 && (double)sample[i] < 3.0);
  assert_mean(moment(sample, 1), 2, 1.0 / 3);
  /* this interval is so narrow that rounding to wl_real could result in its upper end */
  const double narrow = 1.0 + 4.5e-7;
  wl_rng_uniform(stream, 0, SAMPLES, 1.0, narrow, sample);
  for (int i = 0; i < SAMPLES; ++i) assert_true((double)sample[i] < narrow);
  wl_rng_uniform(stream, 0, 1, 2.0, 2.0, sample);
  assert_true(sample[0] == 2);
}

static void indices_are_uniform(void **state) {
  (void)state;
  static int64_t values[SAMPLES];
  wl_rng_index(stream, 0, SAMPLES, 10, values);
  int counts[10] = {0};
  for (int i = 0; i < SAMPLES; ++i) {
    assert_in_range(values[i], 0, 9);
    counts[values[i]]++;
  }
  for (int k = 0; k < 10; ++k) assert_mean(counts[k] / (double)SAMPLES, 0.1, 0.09);
  /* for this bound, the generator must reject a quarter of its draws. If the generator rejected none, a result whose
   * remainder modulo 3 is 2 would have the probability 1/4 instead of 1/3 */
  wl_rng_index(stream, 0, SAMPLES, UINT64_C(3) << 61, values);
  int twos = 0;
  for (int i = 0; i < SAMPLES; ++i) twos += values[i] % 3 == 2;
  assert_mean(twos / (double)SAMPLES, 1.0 / 3, 2.0 / 9);
}

static void permutations_are_uniform(void **state) {
  (void)state;
  int64_t p[1000];
  char seen[1000] = {0};
  wl_rng_permutation(stream, 1000, p);
  for (int i = 0; i < 1000; ++i) {
    assert_in_range(p[i], 0, 999);
    assert_false(seen[p[i]]);
    seen[p[i]] = 1;
  }
  int counts[6] = {0};
  wl_stream s = stream;
  for (int i = 0; i < SAMPLES; ++i) {
    s.index = (uint64_t)i;
    wl_rng_permutation(s, 3, p);
    counts[2 * p[0] + (p[1] > p[2])]++;
  }
  for (int k = 0; k < 6; ++k) assert_mean(counts[k] / (double)SAMPLES, 1.0 / 6, 5.0 / 36);
  wl_rng_permutation(stream, 1, p);
  assert_int_equal(p[0], 0);
  wl_rng_permutation(stream, 0, p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_answers),
      cmocka_unit_test(elements_do_not_depend_on_the_call),
      cmocka_unit_test(every_part_of_the_key_counts),
      cmocka_unit_test(normal_moments),
      cmocka_unit_test(truncated_normal_moments),
      cmocka_unit_test(uniform_stays_in_its_interval),
      cmocka_unit_test(indices_are_uniform),
      cmocka_unit_test(permutations_are_uniform),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
