/* newton_schulz_kernel.c - computes the Newton-Schulz steps of a small matrix x with its Gram
 * matrix G. The file is compiled once for each instruction set.
 *
 *   Y = x / |x|,   G = Y^T Y,   Q = I
 *   five times:   P = a I + b G + c G G,   Q <- Q P,   G <- G P P
 *   result:   Y Q
 *
 * If x has more columns than rows, Y is x^T / |x|. The rows of Y are padded with zeros to `ld`
 * elements, a whole number of vectors, so that Y has the shape [long side][ld].
 *
 * All square matrices are symmetric, have the shape [side][ld] and fit in the L1 cache. */
#include "rule/newton_schulz_kernel.h"

#include <string.h>

#include "rule/vector.h"

enum { STEPS = 5, TALL = 8, BROAD = VECTOR_BYTES == 64 ? 8 : 4 };
static const double A = 3.4445, B = -4.7750, C = 2.0315, EPSILON = 1e-8;
/* smallest and largest sum of squares that the kernel accepts */
static const double LEAST = 1e-30, MOST = 1e30;

INLINE vec get(const wl_real *p) { return *(const vec_anywhere *)p; }
INLINE void put(wl_real *p, vec v) { *(vec_anywhere *)p = v; }

/* A matrix whose element (i, p) is at data[i * row + p * step]. */
typedef struct strided {
  const wl_real *data;
  int64_t row, step;
} strided;

/* Computes a part of C = A B with `rows` rows and `vectors` vectors of columns. The arguments
 * `rows` and `vectors` are compile-time constants. */
INLINE void tile(const int rows, const int vectors, int64_t terms, strided a, const wl_real *b,
                 wl_real *c, int64_t ld) {
  vec sum[TALL][2] = {{{0}}};
  for (int64_t p = 0; p < terms; p++) UNROLL for (int i = 0; i < rows; i++) {
      const wl_real element = a.data[i * a.row + p * a.step];
      UNROLL for (int v = 0; v < vectors; v++) sum[i][v] +=
          element * get(b + p * ld + v * VECTOR_LANES);
    }
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++)
      put(c + i * ld + v * VECTOR_LANES, sum[i][v]);
}

INLINE void panel(const int most, const int vectors, int64_t rows, int64_t terms, strided a,
                  const wl_real *b, wl_real *c, int64_t ld) {
  int64_t i = 0;
  for (; i + most <= rows; i += most, a.data += most * a.row)
    tile(most, vectors, terms, a, b, c + i * ld, ld);
  if (most > 4 && i + 4 <= rows) {
    tile(4, vectors, terms, a, b, c + i * ld, ld);
    a.data += 4 * a.row;
    i += 4;
  }
  if (i + 2 <= rows) {
    tile(2, vectors, terms, a, b, c + i * ld, ld);
    a.data += 2 * a.row;
    i += 2;
  }
  if (i < rows) tile(1, vectors, terms, a, b, c + i * ld, ld);
}

/* Computes C = A B, where A has the shape [rows][terms], B has the shape [terms][ld], and C has the
 * shape [rows][ld]. */
NOINLINE void product(int64_t rows, int64_t terms, strided a, const wl_real *b, wl_real *c,
                      int64_t ld) {
  int64_t j = 0;
  for (; j + 2 * VECTOR_LANES <= ld; j += 2 * VECTOR_LANES)
    panel(BROAD, 2, rows, terms, a, b + j, c + j, ld);
  if (j < ld) panel(TALL, 1, rows, terms, a, b + j, c + j, ld);
}

/* Computes C = A B for square matrices. */
static void square(int64_t side, int64_t ld, const wl_real *a, const wl_real *b, wl_real *c) {
  product(side, side, (strided){a, ld, 1}, b, c, ld);
}

static int64_t leading(int64_t side) {
  return (side + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES;
}

static double sum_of_squares(int64_t n, const wl_real *x) {
  vec sum = {0};
  for (int64_t i = 0; i < n; i += VECTOR_LANES) {
    const vec v = load_some(x + i, n - i);
    sum += v * v;
  }
  double total = 0;
  for (int l = 0; l < VECTOR_LANES; l++) total += (double)sum[l];
  return total;
}

/* Copies x, multiplied by `factor`, to Y. If x has more columns than rows, the function transposes
 * x. */
static void copy_in(int64_t rows, int64_t columns, double factor, const wl_real *x, wl_real *y,
                    int64_t ld) {
  if (rows < columns) {
    memset(y, 0, (size_t)(columns * ld) * sizeof *y);
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++) y[j * ld + i] = (wl_real)factor * x[i * columns + j];
    return;
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < ld; j += VECTOR_LANES)
      put(y + i * ld + j, (wl_real)factor * load_some(x + i * columns + j, columns - j));
}

/* Copies the result to x. If x has more columns than rows, the function transposes the result. */
static void copy_out(int64_t rows, int64_t columns, const wl_real *y, wl_real *x, int64_t ld) {
  if (rows < columns) {
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++) x[i * columns + j] = y[j * ld + i];
    return;
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < ld; j += VECTOR_LANES)
      store_some(x + i * columns + j, get(y + i * ld + j), columns - j);
}

/* Computes p = a I + b g + c g g. */
static void polynomial(int64_t side, int64_t ld, const wl_real *g, wl_real *work, wl_real *p) {
  square(side, ld, g, g, work);
  for (int64_t i = 0; i < side * ld; i += VECTOR_LANES)
    put(p + i, (wl_real)B * get(g + i) + (wl_real)C * get(work + i));
  for (int64_t i = 0; i < side; i++) p[i * ld + i] += (wl_real)A;
}

/* Computes the product of the polynomials P of the five steps. Returns the address of the product,
 * which is `q` or `next`. The function overwrites g. */
static wl_real *iterate(int64_t side, int64_t ld, wl_real *g, wl_real *q, wl_real *next) {
  wl_real *const p = next + side * ld, *const work = p + side * ld;
  polynomial(side, ld, g, work, q);
  memcpy(p, q, (size_t)(side * ld) * sizeof *p);
  for (int step = 1; step < STEPS; step++) {
    square(side, ld, g, p, work);
    square(side, ld, work, p, g);
    polynomial(side, ld, g, work, p);
    square(side, ld, p, q, next);
    wl_real *const old = q;
    q = next;
    next = old;
  }
  return q;
}

static double factor(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch) {
  const int64_t side = rows < columns ? rows : columns, length = rows + columns - side,
                ld = leading(side);
  wl_real *const y = scratch, *const out = y + length * ld, *const g = out + length * ld,
                 *const q = g + side * ld;
  const double squares = sum_of_squares(rows * columns, x);
  if (!(squares > LEAST && squares < MOST)) return -1;
  copy_in(rows, columns, 1 / (sqrt(squares) + EPSILON), x, y, ld);
  product(side, length, (strided){y, 1, ld}, y, g, ld);
  const wl_real *const all = iterate(side, ld, g, q, q + side * ld);
  product(length, side, (strided){y, ld, 1}, all, out, ld);
  copy_out(rows, columns, out, x, ld);
  return sum_of_squares(length * ld, out);
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
extern const wl_newton_schulz_kernel JOIN(wl_newton_schulz_kernel_, WL_VARIANT);
const wl_newton_schulz_kernel JOIN(wl_newton_schulz_kernel_, WL_VARIANT) = {factor};
