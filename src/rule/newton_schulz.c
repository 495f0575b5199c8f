/* newton_schulz.c - computes five Newton-Schulz steps, directly or with the Gram matrix
 * (newton_schulz.h). A separate kernel computes the steps of small matrices. */
#include "rule/newton_schulz.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "rule/newton_schulz_kernel.h"
#include "tensor/gemm.h"

enum { STEPS = 5 };
static const double A = 3.4445, B = -4.7750, C = 2.0315, EPSILON = 1e-8;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static bool is_small(int64_t rows, int64_t columns) {
  return least(rows, columns) <= WL_NEWTON_SCHULZ_SMALL;
}

/* Returns true if the steps need fewer multiply-adds with the Gram matrix than without the Gram
 * matrix. If the steps use the Gram matrix, the steps need 2 s^2 l + 17 s^3 multiply-adds
 * (newton_schulz.h defines s and l). If the steps do not use the Gram matrix, the steps need 10 s^2
 * l + 5 s^3 multiply-adds. */
static bool through_gram(int64_t rows, int64_t columns) {
  const int64_t s = least(rows, columns), l = rows + columns - s;
  return is_small(rows, columns) || 12 * s < 8 * l;
}

double wl_newton_schulz_products(int64_t rows, int64_t columns) {
  const double s = (double)least(rows, columns), l = (double)(rows + columns) - s;
  return through_gram(rows, columns) ? s * s * (2 * l + 17 * s) : STEPS * s * s * (2 * l + s);
}

int64_t wl_newton_schulz_scratch(int64_t rows, int64_t columns) {
  const int64_t s = least(rows, columns), plain = 5 * wl_pad(s * s) + wl_pad(rows * columns);
  const int64_t small =
      is_small(rows, columns) ? wl_newton_schulz_kernel_scratch(rows, columns) : 0;
  return small > plain ? small : plain;
}

/* The scratch memory contains two matrices with the size of x and five matrices with the size of
 * the Gram matrix. The rows of these matrices are padded to a multiple of the length of the longest
 * vector of any instruction set. */
int64_t wl_newton_schulz_kernel_scratch(int64_t rows, int64_t columns) {
  enum { WIDEST = 64 / sizeof(wl_real) };
  const int64_t s = least(rows, columns), ld = (s + WIDEST - 1) / WIDEST * WIDEST;
  return wl_pad(ld * (2 * (rows + columns - s) + 5 * s));
}

static void scale(int64_t n, double factor, wl_real *x) {
  for (int64_t i = 0; i < n; i++) x[i] = (wl_real)factor * x[i];
}

static double sum_of_squares(int64_t n, const wl_real *x) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
  return sum;
}

/* Computes out = a I + b gram + c gram^2. The array `square` is scratch memory. */
static void polynomial(int64_t s, double a, const wl_real *gram, wl_real *square, wl_real *out) {
  wl_gemm_wide_nn((wl_mnk){s, s, s}, gram, gram, square);
  for (int64_t i = 0; i < s * s; i++) out[i] = (wl_real)B * gram[i] + (wl_real)C * square[i];
  for (int64_t i = 0; i < s; i++) out[i * s + i] += (wl_real)a;
}

/* Computes the Gram matrix X X^T. If X has more rows than columns, the function computes X^T X
 * instead. */
static void gram_of(int64_t rows, int64_t columns, const wl_real *x, wl_real *gram) {
  if (rows <= columns) wl_gemm_wide_nt((wl_mnk){rows, rows, columns}, x, x, gram);
  else wl_gemm_wide_tn((wl_mnk){columns, columns, rows}, x, x, gram);
}

/* Computes y = P X for a square matrix P. If X has more rows than columns, the function computes y
 * = X P instead. */
static void apply(int64_t rows, int64_t columns, const wl_real *p, const wl_real *x, wl_real *y) {
  if (rows <= columns) wl_gemm_wide_nn((wl_mnk){rows, columns, rows}, p, x, y);
  else wl_gemm_wide_nn((wl_mnk){rows, columns, columns}, x, p, y);
}

static void iterate(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch) {
  const int64_t s = least(rows, columns), square = wl_pad(s * s), n = rows * columns;
  wl_real *const gram = scratch, *const work = gram + square, *const p = work + square,
                 *const y = scratch + 5 * square;
  for (int step = 0; step < STEPS; step++) {
    gram_of(rows, columns, x, gram);
    polynomial(s, 0, gram, work, p);
    apply(rows, columns, p, x, y);
    for (int64_t i = 0; i < n; i++) x[i] = (wl_real)A * x[i] + y[i];
  }
}

static void iterate_gram(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch) {
  const int64_t s = least(rows, columns), square = wl_pad(s * s);
  wl_real *gram = scratch, *work = gram + square, *p = work + square, *q = p + square,
          *next = q + square, *const y = next + square;
  gram_of(rows, columns, x, gram);
  for (int step = 0; step < STEPS; step++) {
    polynomial(s, A, gram, work, p);
    if (step == 0) memcpy(q, p, (size_t)(s * s) * sizeof *q);
    else {
      wl_gemm_wide_nn((wl_mnk){s, s, s}, p, q, next);
      wl_real *const old = q;
      q = next;
      next = old;
    }
    if (step + 1 == STEPS) break;
    wl_gemm_wide_nn((wl_mnk){s, s, s}, gram, p, work);
    wl_gemm_wide_nn((wl_mnk){s, s, s}, work, p, gram);
  }
  apply(rows, columns, q, x, y);
  memcpy(x, y, (size_t)(rows * columns) * sizeof *x);
}

/* Returns the kernel for small matrices. The function chooses the kernel only once, because the
 * choice reads environment variables. Reading these variables needs more time than the steps of a
 * small matrix. */
static const wl_newton_schulz_kernel *small_kernel(void) {
  /* the threads may store the address in any order, because every thread chooses the same kernel */
  static const wl_newton_schulz_kernel *_Atomic chosen;
  const wl_newton_schulz_kernel *kernel = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (!kernel) {
    kernel = wl_newton_schulz_kernel_select();
    atomic_store_explicit(&chosen, kernel, memory_order_relaxed);
  }
  return kernel;
}

double wl_newton_schulz(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch) {
  const int64_t n = rows * columns;
  if (is_small(rows, columns)) {
    const double sum = small_kernel()->factor(rows, columns, x, scratch);
    if (sum >= 0) return sum;
  }
  scale(n, 1 / (sqrt(sum_of_squares(n, x)) + EPSILON), x);
  if (through_gram(rows, columns)) iterate_gram(rows, columns, x, scratch);
  else iterate(rows, columns, x, scratch);
  return sum_of_squares(n, x);
}

int64_t wl_orthogonal_scratch(const wl_tensor *t, bool flat) {
  if (flat || t->taps == 1) return wl_newton_schulz_scratch(t->height, t->size / t->height);
  return wl_newton_schulz_scratch(t->height, t->width) + wl_pad(t->height * t->width);
}

double wl_orthogonal(const wl_tensor *t, bool flat, wl_real *z, wl_real *scratch) {
  if (flat || t->taps == 1) return wl_newton_schulz(t->height, t->size / t->height, z, scratch);
  const int64_t n = t->height * t->width;
  wl_real *const x = scratch + wl_newton_schulz_scratch(t->height, t->width);
  double sum = 0;
  for (int64_t tap = 0; tap < t->taps; tap++) {
    for (int64_t i = 0; i < n; i++) x[i] = z[i * t->taps + tap];
    sum += wl_newton_schulz(t->height, t->width, x, scratch);
    for (int64_t i = 0; i < n; i++) z[i * t->taps + tap] = x[i];
  }
  return sum;
}
