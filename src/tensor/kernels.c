/* kernels.c - computes exponentials and related functions for all elements of an array, and defines
 * the table of kernels. The file is compiled once for each instruction set.
 *
 * In float32, exp(x) - 1 = 2^n p + (2^n - 1) with n = round(x / ln 2), r = x - n ln 2 and p =
 * exp(r) - 1. The constant ln 2 is split into two parts (Cody and Waite), and |r| <= 0.347. The
 * Taylor polynomial of degree 7 computes p with a relative error of 2e-8. Both exp(x) and exp(x) -
 * 1 have the full precision of float32. The functions tanh, sigmoid and elu are computed from
 * exponentials:
 *   tanh x = u / (u + 2), u = exp(2x) - 1;   sigmoid x = 1 / (1 + exp(-x));   elu x = exp(x) - 1, x < 0.
 *
 * The loops have no branches, so the compiler can vectorise them. In float64, the code calls the
 * functions of libm. */
#include <math.h>
#include <string.h>

#include "tensor/kernels_impl.h"

#define TABLE WL_JOIN(wl_, kernels, WL_VARIANT)

#ifdef WL_DOUBLE

static inline double exp_of(double x) { return exp(x); }
static inline double expm1_of(double x) { return expm1(x); }
static inline double tanh_of(double x) { return tanh(x); }

#else

/* The parts of e^x - 1 = (scale p + (scale - 1/2)) 2. Here scale = 2^(n-1), because 2^n would not
 * be finite for n = 128. */
typedef struct exp_parts {
  float p, scale;
} exp_parts;

/* Computes p and scale for x. The argument must be NaN or in the range [-87, 88.8]. */
static inline exp_parts split_exp(float x) {
  const float round_magic =
      12582912.0f; /* 1.5 x 2^23; the low bits of the sum contain the rounded integer */
  const float shifted = x * 1.44269504f + round_magic;
  const float n = shifted - round_magic;
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float q = 1.98412698e-4f;
  q = q * r + 1.38888889e-3f;
  q = q * r + 8.33333333e-3f;
  q = q * r + 4.16666667e-2f;
  q = q * r + 1.66666667e-1f;
  q = q * r + 0.5f;
  uint32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 126u)
         /* the biased exponent of 2^(n-1); the shift removes the bits of the constant 1.5 x 2^23 */
         << 23;
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return (exp_parts){q * r * r + r, scale};
}

/* Limits x to the range [low, high]. If x is NaN, the result is NaN. */
static inline float clamp(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}

static inline float exp_of(float x) {
  const exp_parts e = split_exp(clamp(x, -87.0f, 88.8f));
  const float y = (e.p * e.scale + e.scale) * 2.0f;
  return x < -87.0f ? 0.0f : y;
}

static inline float expm1_of(float x) {
  const exp_parts e = split_exp(clamp(x, -87.0f, 88.8f));
  return (e.p * e.scale + (e.scale - 0.5f)) * 2.0f;
}

static inline float tanh_of(float x) {
  /* the function limits x to [-10, 10], because 1 - tanh 10 is only 4e-9 */
  const float u = expm1_of(2.0f * clamp(x, -10.0f, 10.0f));
  return u / (u + 2.0f);
}

#endif

static void map_exp(int64_t n, const wl_real *restrict x, wl_real *restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = exp_of(x[i]);
}

static void map_sigmoid(int64_t n, const wl_real *restrict x, wl_real *restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = 1 / (1 + exp_of(-x[i]));
}

static void map_tanh(int64_t n, const wl_real *restrict x, wl_real *restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = tanh_of(x[i]);
}

static void map_elu(int64_t n, const wl_real *restrict x, wl_real *restrict y) {
  for (int64_t i = 0; i < n; ++i) {
    const wl_real below = expm1_of(x[i] > 0 ? 0 : x[i]);
    y[i] = x[i] > 0 ? x[i] : below;
  }
}

extern const wl_kernel_table TABLE;
const wl_kernel_table TABLE = {.exp = map_exp,
                               .sigmoid = map_sigmoid,
                               .tanh = map_tanh,
                               .elu = map_elu,
                               .nn = WL_KERNEL(nn),
                               .nt = WL_KERNEL(nt),
                               .tn = WL_KERNEL(tn),
                               .spread = WL_KERNEL(spread),
                               .dots = WL_KERNEL(dots)};
