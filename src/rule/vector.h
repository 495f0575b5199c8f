/* vector.h - defines vectors of coordinates for the kernels of this folder. A vector has the length
 * of the instruction set's registers.
 *
 * The code uses GNU vector types, so that the same lines compile for registers of 64, 32 and 16
 * bytes, in float and in double. A row consists of the WL_LANES coordinates of a block, in WL_LANES
 * / VECTOR_LANES vectors. A kernel is compiled once for each instruction set, and each compilation
 * needs separate copies of these functions. Therefore, all functions are static.
 *
 * If the second argument of minimum or maximum is NaN, the result is NaN. */
#ifndef WL_RULE_VECTOR_H
#define WL_RULE_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "base/real.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#ifdef WL_DOUBLE
typedef int64_t wl_bits;
#else
typedef int32_t wl_bits;
#endif
typedef wl_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef wl_bits mask __attribute__((vector_size(VECTOR_BYTES)));
typedef wl_real vec_memory __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef wl_real vec_anywhere
    __attribute__((vector_size(VECTOR_BYTES), may_alias, aligned(sizeof(wl_real))));

enum { VECTOR_LANES = VECTOR_BYTES / (int)sizeof(wl_real) };

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define UNROLL _Pragma("GCC unroll 64")

INLINE vec load(const wl_real *p) { return *(const vec_memory *)p; }
INLINE void store(wl_real *p, vec v) { *(vec_memory *)p = v; }
/* The functions load_part and store_part load and store the first `left` lanes, where `left` is
 * less than VECTOR_LANES. The other lanes of a loaded vector are zero. The functions load_some and
 * store_some do the same for any `left`. If `left` is at least VECTOR_LANES, load_some and
 * store_some process all lanes. The addresses need no alignment. */
#if VECTOR_BYTES == 64 && !defined(WL_DOUBLE)
INLINE vec load_part(const wl_real *p, int64_t left) {
  return (vec)_mm512_maskz_loadu_ps((__mmask16)((1U << left) - 1), p);
}
INLINE void store_part(wl_real *p, vec v, int64_t left) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1U << left) - 1), (__m512)v);
}
#else
INLINE vec load_part(const wl_real *p, int64_t left) {
  vec v = {0};
  __builtin_memcpy(&v, p, (size_t)left * sizeof *p);
  return v;
}
INLINE void store_part(wl_real *p, vec v, int64_t left) {
  __builtin_memcpy(p, &v, (size_t)left * sizeof *p);
}
#endif
INLINE vec load_some(const wl_real *p, int64_t left) {
  if (__builtin_expect(left >= VECTOR_LANES, 1)) return *(const vec_anywhere *)p;
  return load_part(p, left);
}
INLINE void store_some(wl_real *p, vec v, int64_t left) {
  if (__builtin_expect(left >= VECTOR_LANES, 1)) *(vec_anywhere *)p = v;
  else store_part(p, v, left);
}
/* Stores a vector with a store that bypasses the caches, if the processor supports such stores. As
 * a result, data that is not read again soon does not replace other data in the caches. Call
 * finish_stores_past() before another thread reads the data. */
#if !defined(__SSE2__)
INLINE void store_past(wl_real *p, vec v) { store(p, v); }
INLINE void finish_stores_past(void) {}
#else
#if VECTOR_BYTES == 64 && defined(WL_DOUBLE)
INLINE void store_past(wl_real *p, vec v) { _mm512_stream_pd(p, (__m512d)v); }
#elif VECTOR_BYTES == 64
INLINE void store_past(wl_real *p, vec v) { _mm512_stream_ps(p, (__m512)v); }
#elif VECTOR_BYTES == 32 && defined(WL_DOUBLE)
INLINE void store_past(wl_real *p, vec v) { _mm256_stream_pd(p, (__m256d)v); }
#elif VECTOR_BYTES == 32
INLINE void store_past(wl_real *p, vec v) { _mm256_stream_ps(p, (__m256)v); }
#elif defined(WL_DOUBLE)
INLINE void store_past(wl_real *p, vec v) { _mm_stream_pd(p, (__m128d)v); }
#else
INLINE void store_past(wl_real *p, vec v) { _mm_stream_ps(p, (__m128)v); }
#endif
INLINE void finish_stores_past(void) { _mm_sfence(); }
#endif
INLINE vec splat(wl_real x) { return x - (vec){0}; }
/* Returns the elements of a in lanes where all bits of m are 1, and the elements of b in lanes
 * where all bits are 0. */
INLINE vec choose(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

/* Each intrinsic for a minimum or a maximum compiles to one instruction. A comparison and a
 * selection would need three instructions. */
#if VECTOR_BYTES == 64 && !defined(WL_DOUBLE)
INLINE vec minimum(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vec maximum(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
#elif VECTOR_BYTES == 32 && !defined(WL_DOUBLE)
INLINE vec minimum(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vec maximum(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
#elif defined(__SSE2__) && VECTOR_BYTES == 16 && !defined(WL_DOUBLE)
INLINE vec minimum(vec a, vec b) { return (vec)_mm_min_ps((__m128)a, (__m128)b); }
INLINE vec maximum(vec a, vec b) { return (vec)_mm_max_ps((__m128)a, (__m128)b); }
#else
INLINE vec minimum(vec a, vec b) { return choose(a < b, a, b); }
INLINE vec maximum(vec a, vec b) { return choose(a > b, a, b); }
#endif

/* Returns sum + a a. If the processor has a multiply-add instruction, the result is rounded only
 * once. In a plain expression, the compiler could round the product separately. */
#if VECTOR_BYTES == 64 && defined(WL_DOUBLE)
INLINE vec add_square(vec sum, vec a) {
  return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)a, (__m512d)sum);
}
#elif VECTOR_BYTES == 64
INLINE vec add_square(vec sum, vec a) {
  return (vec)_mm512_fmadd_ps((__m512)a, (__m512)a, (__m512)sum);
}
#elif defined(__FMA__) && defined(WL_DOUBLE)
INLINE vec add_square(vec sum, vec a) {
  return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)a, (__m256d)sum);
}
#elif defined(__FMA__)
INLINE vec add_square(vec sum, vec a) {
  return (vec)_mm256_fmadd_ps((__m256)a, (__m256)a, (__m256)sum);
}
#else
INLINE vec add_square(vec sum, vec a) { return sum + a * a; }
#endif

/* Returns the square root of each element. */
#if VECTOR_BYTES == 64 && !defined(WL_DOUBLE)
INLINE vec root(vec a) { return (vec)_mm512_sqrt_ps((__m512)a); }
#elif VECTOR_BYTES == 32 && !defined(WL_DOUBLE)
INLINE vec root(vec a) { return (vec)_mm256_sqrt_ps((__m256)a); }
#elif defined(__SSE2__) && VECTOR_BYTES == 16 && !defined(WL_DOUBLE)
INLINE vec root(vec a) { return (vec)_mm_sqrt_ps((__m128)a); }
#else
INLINE vec root(vec a) {
  for (int l = 0; l < VECTOR_LANES; l++) a[l] = (wl_real)sqrt((double)a[l]);
  return a;
}
#endif

/* Limits the exponent x of 2^x. Because of the upper bound, the product of four factors 1 + 2^x is
 * finite. Because of the lower bound, 2^x is a normal number. The AVX-512 version of exp2_all does
 * not need the lower bound. */
#ifdef WL_DOUBLE
INLINE vec clip_exponent(vec x) { return maximum(splat(-1000), minimum(splat(255), x)); }
#else
INLINE vec clip_exponent(vec x) { return maximum(splat(-125), minimum(splat(30), x)); }
#endif

/* Replaces each element x of n vectors by 2^x. If x exceeds an upper bound (clip_exponent), the
 * function uses the bound instead of x. In float, the result is 2^m times a minimax polynomial of
 * degree 5 in x - m, where m is an integer near x. The relative error is at most 2e-7, including
 * rounding. The loops alternate between the vectors, because the processor overlaps operations only
 * if they are at most about 64 operations apart. */
#if defined(WL_DOUBLE)
INLINE void exp2_all(vec *x, const int n) {
  UNROLL for (int i = 0; i < n; i++) {
    vec power = clip_exponent(x[i]);
    for (int l = 0; l < VECTOR_LANES; l++) power[l] = exp2(power[l]);
    x[i] = power;
  }
}
#elif VECTOR_BYTES == 64
/* Here m = floor x. The instruction reduce computes x - m, and the instruction scalef computes m
 * from x and multiplies by 2^m. If x is very small, the result is subnormal or zero, so no lower
 * bound is needed. */
enum { EXP2_MOST = 8, BELOW = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };
INLINE void exp2_all(vec *x, const int n) {
  vec f[EXP2_MOST], p[EXP2_MOST];
  UNROLL for (int i = 0; i < n; i++) x[i] = minimum(splat(30), x[i]);
  UNROLL for (int i = 0; i < n; i++) f[i] = (vec)_mm512_reduce_ps((__m512)x[i], BELOW);
  UNROLL for (int i = 0; i < n; i++) p[i] = f[i] * 1.86713007e-3f + 9.01703032e-3f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * f[i] + 5.57999131e-2f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * f[i] + 2.40164450e-1f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * f[i] + 6.93151312e-1f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * f[i] + 1.0f;
  UNROLL for (int i = 0; i < n; i++) x[i] = (vec)_mm512_scalef_ps((__m512)p[i], (__m512)x[i]);
}
#else
/* Here m is the integer nearest to x, so |x - m| <= 1/2. To multiply by 2^m, the code adds m to the
 * exponent bits. */
enum { EXP2_MOST = 8 };
INLINE void exp2_all(vec *x, const int n) {
  /* 1.5 x 2^23; the low bits of x + magic contain the rounded integer */
  const wl_real magic = 12582912;
  vec shifted[EXP2_MOST], p[EXP2_MOST];
  UNROLL for (int i = 0; i < n; i++) x[i] = clip_exponent(x[i]);
  UNROLL for (int i = 0; i < n; i++) shifted[i] = x[i] + magic;
  UNROLL for (int i = 0; i < n; i++) x[i] -= shifted[i] - magic;
  UNROLL for (int i = 0; i < n; i++) p[i] = x[i] * 1.32764720e-3f + 9.67554121e-3f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * x[i] + 5.55071327e-2f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * x[i] + 2.40221197e-1f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * x[i] + 6.93146967e-1f;
  UNROLL for (int i = 0; i < n; i++) p[i] = p[i] * x[i] + 1.0f;
  UNROLL for (int i = 0; i < n; i++) x[i] = (vec)((mask)p[i] + ((mask)shifted[i] << 23));
}
#endif

/* Returns 2^x for each element x of one vector, with the same upper bound as exp2_all. */
INLINE vec exp2_clipped(vec x) {
  exp2_all(&x, 1);
  return x;
}

/* Returns log x for positive normal numbers x. In float, x is written as m 2^e with m in [sqrt 1/2,
 * sqrt 2). The code computes log m = 2 s (1 + s^2/3 + s^4/5 + ...) with s = (m - 1)/(m + 1). */
#ifdef WL_DOUBLE
INLINE vec logarithm(vec x) {
  for (int l = 0; l < VECTOR_LANES; l++) x[l] = log(x[l]);
  return x;
}
#else
INLINE vec logarithm(vec x) {
  const mask bits = (mask)x;
  const vec m1 = (vec)((bits & 0x7fffff) | 0x3f800000);
  const mask high = (mask)(m1 > splat(1.41421356f));
  const vec m = choose(high, m1 * 0.5f, m1);
  const vec e = __builtin_convertvector(((bits >> 23) & 0xff) - 127 - high, vec);
  const vec s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
  const vec series =
      1.0f + s2 * (0.333333333f + s2 * (0.2f + s2 * (0.142857143f + s2 * 0.111111111f)));
  return e * 0.693147181f + 2.0f * s * series;
}
#endif

/* The functions add_sums add the elements of a vector: the sums of a, b, c and d are added to p[0]
 * to p[3]. The order of the additions is fixed. */
#if VECTOR_BYTES == 64 && !defined(WL_DOUBLE)
/* Returns a vector whose quarters contain the sums of a, b, c and d over the lanes of each quarter.
 * The function needs 6 shuffle instructions. */
INLINE __m512 quarter_sums(vec a, vec b, vec c, vec d) {
  const __m512 ab =
      _mm512_unpacklo_ps((__m512)a, (__m512)b) + _mm512_unpackhi_ps((__m512)a, (__m512)b);
  const __m512 cd =
      _mm512_unpacklo_ps((__m512)c, (__m512)d) + _mm512_unpackhi_ps((__m512)c, (__m512)d);
  return (__m512)(_mm512_unpacklo_pd((__m512d)ab, (__m512d)cd)) +
         (__m512)(_mm512_unpackhi_pd((__m512d)ab, (__m512d)cd));
}
/* Adds neighbouring quarters of a and of b. The lower half of the result contains the sums of a,
 * and the upper half contains the sums of b. */
INLINE __m512 join_quarters(__m512 a, __m512 b) {
  return _mm512_shuffle_f32x4(a, b, 0x88) + _mm512_shuffle_f32x4(a, b, 0xdd);
}
INLINE void add_sums(wl_real *p, vec a, vec b, vec c, vec d) {
  const __m512 quarters = quarter_sums(a, b, c, d);
  const __m512 all = join_quarters(quarters, quarters);
  const __m128 sums =
      _mm512_castps512_ps128(all) + _mm512_castps512_ps128(_mm512_shuffle_f32x4(all, all, 1));
  _mm_storeu_ps(p, _mm_loadu_ps(p) + sums);
}
/* Adds the sums of the four vectors in each of four rows to p[0] to p[15]. */
INLINE void add_sums_of_four(wl_real *p, vec (*v)[4]) {
  __m512 quarters[4];
  UNROLL for (int r = 0; r < 4; r++) quarters[r] = quarter_sums(v[r][0], v[r][1], v[r][2], v[r][3]);
  const __m512 sums = join_quarters(join_quarters(quarters[0], quarters[1]),
                                    join_quarters(quarters[2], quarters[3]));
  _mm512_storeu_ps(p, _mm512_loadu_ps(p) + sums);
}
#elif VECTOR_BYTES == 32 && !defined(WL_DOUBLE)
INLINE __m128 fold(vec a) {
  return _mm_add_ps(_mm256_castps256_ps128((__m256)a), _mm256_extractf128_ps((__m256)a, 1));
}
INLINE void add_sums(wl_real *p, vec a, vec b, vec c, vec d) {
  const __m128 ab = _mm_hadd_ps(fold(a), fold(b)), cd = _mm_hadd_ps(fold(c), fold(d));
  _mm_storeu_ps(p, _mm_add_ps(_mm_loadu_ps(p), _mm_hadd_ps(ab, cd)));
}
#else
INLINE wl_real sum_lanes(vec a) {
  for (int half = VECTOR_LANES / 2; half > 0; half /= 2)
    for (int l = 0; l < half; l++) a[l] += a[l + half];
  return a[0];
}
INLINE void add_sums(wl_real *p, vec a, vec b, vec c, vec d) {
  p[0] += sum_lanes(a);
  p[1] += sum_lanes(b);
  p[2] += sum_lanes(c);
  p[3] += sum_lanes(d);
}
#endif
#if VECTOR_BYTES != 64 || defined(WL_DOUBLE)
INLINE void add_sums_of_four(wl_real *p, vec (*v)[4]) {
  UNROLL for (int r = 0; r < 4; r++) add_sums(p + 4 * r, v[r][0], v[r][1], v[r][2], v[r][3]);
}
#endif

#endif
