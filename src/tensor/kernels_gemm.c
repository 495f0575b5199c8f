/* kernels_gemm.c - computes small matrix products. This file is compiled for each instruction set.
 *
 *   spread   C (m,n) += A B, columns of C in SIMD lanes, a tile of C in registers:
 *              for p: for rows i of the tile: c_i += a_ip * (row p of B)
 *   dots     C (m,n) += A B^T, the common dimension in lanes, summed over the lanes at the end
 *
 * Row p of B (of B^T in `dots`) begins at b + at[p]. B may be a dense matrix, or overlapping windows of an image. With
 * windows, the product is a convolution that does not copy each window (ops_conv.c). Element (i, p) of A is at i * row
 * + p * step; A may therefore be transposed.
 *
 * In `spread`, an element of C is one chain of multiply-adds over p in every tile. In `dots`, an element is a sum of
 * lanes in a fixed order. The bits of an element therefore depend only on its row of A and its column of B. */
#include <string.h>

#include "tensor/kernels_impl.h"

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, TALL_VECTORS = 2 };
#elif defined(__AVX__)
enum { VECTOR_BYTES = 32, TALL_VECTORS = 1 };
#else
enum { VECTOR_BYTES = 4 * sizeof(wl_real), TALL_VECTORS = 1 };
#endif

enum {
  LANES = VECTOR_BYTES / sizeof(wl_real),
  ROWS = 4,
  TALL = 8,
  LOW_ROWS = 5,
  VECTORS = 3,
  DEPTH = 256,
  DOT_ROWS = 3,
  QUAD = 4,
  SHORT = 64
};

typedef wl_real vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(wl_real)), may_alias));
typedef wl_real quad
    __attribute__((vector_size(QUAD * sizeof(wl_real)), aligned(sizeof(wl_real)), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const wl_real *p) { return *(const vec *)p; }
INLINE void store(wl_real *p, vec v) { *(vec *)p = v; }

/* ---- spread ---- */

/* Computes C (rows, vectors LANES) = A B, or C += A B with `keep`, over `k` terms. The compiler inlines this function
 * with constant `rows` and `vectors`. */
INLINE void spread_tile(int rows, int vectors, int64_t k, wl_strided a, const wl_real *b,
                        const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  vec sum[TALL][VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) sum[i][v] = keep ? load(c + i * ldc + v * LANES) : (vec){0};
  /* A tall tile uses two pointers. The address of a row is a pointer, or a pointer plus the stride or three times the
   * stride. The two multiples of the stride are in registers. With one pointer, the processor would not have enough
   * registers. */
  const bool tall = rows > LOW_ROWS;
  const wl_real *low = a.data, *high = tall ? a.data + LOW_ROWS * a.row : low;
  for (int64_t p = 0; p < k; ++p) {
    const wl_real *const row = b + at[p];
    const int64_t on = tall ? 0 : p * a.step;
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const wl_real element = i < LOW_ROWS ? low[i * a.row + on] : high[(i - LOW_ROWS) * a.row];
#pragma GCC unroll 3
      for (int v = 0; v < vectors; ++v) sum[i][v] += element * load(row + v * LANES);
    }
    if (tall) {
      low += a.step;
      high += a.step;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) store(c + i * ldc + v * LANES, sum[i][v]);
}

/* Computes all m rows of a panel of `vectors` vectors. In a narrow panel, more rows are processed together, because the
 * processor needs enough independent multiply-adds. Two vectors of so many rows need more than 16 registers. */
INLINE void spread_panel(int vectors, int64_t m, int64_t k, wl_strided a, const wl_real *b,
                         const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  int64_t i = 0;
  for (; vectors <= TALL_VECTORS && i + TALL <= m; i += TALL, a.data += TALL * a.row)
    spread_tile(TALL, vectors, k, a, b, at, c + i * ldc, ldc, keep);
  for (; i + ROWS <= m; i += ROWS, a.data += ROWS * a.row)
    spread_tile(ROWS, vectors, k, a, b, at, c + i * ldc, ldc, keep);
  if (i + 2 <= m) {
    spread_tile(2, vectors, k, a, b, at, c + i * ldc, ldc, keep);
    a.data += 2 * a.row;
    i += 2;
  }
  if (i < m) spread_tile(1, vectors, k, a, b, at, c + i * ldc, ldc, keep);
}

/* Computes the last n < LANES columns. The columns of B are copied and padded with zeros. The columns of C use a
 * temporary tile. */
static void spread_rest(int64_t m, int64_t n, int64_t k, wl_strided a, const wl_real *b,
                        const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  enum { BAND = 64 };
  wl_real panel[DEPTH * LANES], out[BAND * LANES];
  int64_t place[DEPTH];
  for (int64_t p = 0; p < k; ++p) {
    place[p] = p * LANES;
    for (int64_t j = 0; j < LANES; ++j) panel[p * LANES + j] = j < n ? b[at[p] + j] : 0;
  }
  for (int64_t i = 0; i < m; i += BAND, a.data += BAND * a.row, c += BAND * ldc) {
    const int64_t rows = m - i < BAND ? m - i : BAND;
    for (int64_t r = 0; keep && r < rows; ++r)
      for (int64_t j = 0; j < LANES; ++j) out[r * LANES + j] = j < n ? c[r * ldc + j] : 0;
    spread_panel(1, rows, k, a, panel, place, out, LANES, keep);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < n; ++j) c[r * ldc + j] = out[r * LANES + j];
  }
}

/* Computes the product over at most DEPTH terms. */
static void spread_block(int64_t m, int64_t n, int64_t k, wl_strided a, const wl_real *b,
                         const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  int64_t j = 0;
  for (; j + 3 * LANES <= n; j += 3 * LANES) spread_panel(3, m, k, a, b + j, at, c + j, ldc, keep);
  if (j + 2 * LANES <= n) {
    spread_panel(2, m, k, a, b + j, at, c + j, ldc, keep);
    j += 2 * LANES;
  }
  if (j + LANES <= n) {
    spread_panel(1, m, k, a, b + j, at, c + j, ldc, keep);
    j += LANES;
  }
  if (j < n) spread_rest(m, n - j, k, a, b + j, at, c + j, ldc, keep);
}

void WL_KERNEL(spread)(int64_t m, int64_t n, int64_t k, wl_strided a, const wl_real *b,
                       const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  for (int64_t p = 0; p < k; p += DEPTH, a.data += DEPTH * a.step)
    spread_block(m, n, k - p < DEPTH ? k - p : DEPTH, a, b, at + p, c, ldc, keep || p > 0);
}

/* Multiplies by a dense B. Row p of B begins at p ldb. */
static void spread_dense(int64_t m, int64_t n, int64_t k, wl_strided a, const wl_real *b,
                         int64_t ldb, wl_real *c, int64_t ldc, bool keep) {
  int64_t at[DEPTH];
  for (int64_t p = 0; p < DEPTH && p < k; ++p) at[p] = p * ldb;
  for (int64_t p = 0; p < k; p += DEPTH, a.data += DEPTH * a.step)
    spread_block(m, n, k - p < DEPTH ? k - p : DEPTH, a, b + p * ldb, at, c, ldc, keep || p > 0);
}

void WL_KERNEL(nn)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                   bool keep) {
  spread_dense(m, n, k, (wl_strided){a, k, 1}, b, n, c, n, keep);
}

void WL_KERNEL(tn)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                   bool keep) {
  spread_dense(m, n, k, (wl_strided){a, 1, m}, b, n, c, n, keep);
}

/* ---- dots ---- */

/* halve adds the lanes of a vector until four lanes remain. sum_lanes returns the sums of the lanes of four vectors. */
INLINE quad halve(vec v) {
#if defined(__AVX512F__) && !defined(WL_DOUBLE)
  const quad low =
      __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 8, 9, 10, 11);
  const quad high =
      __builtin_shufflevector(v, v, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 12, 13, 14, 15);
  return low + high;
#elif (defined(__AVX512F__) && defined(WL_DOUBLE)) || (defined(__AVX__) && !defined(WL_DOUBLE))
  return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
  return v;
#endif
}

INLINE quad sum_lanes(const vec v[QUAD]) {
  const quad a = halve(v[0]), b = halve(v[1]), c = halve(v[2]), d = halve(v[3]);
  const quad ab =
      __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
  const quad cd =
      __builtin_shufflevector(c, d, 0, 1, 4, 5) + __builtin_shufflevector(c, d, 2, 3, 6, 7);
  return __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
}

/* Multiplies `rows` rows of A with four rows of B^T. Full vectors along k are summed in lanes, and the remaining
 * elements one by one. If there are fewer than four rows, the last row is repeated, and the results of repeated rows
 * are not written. */
INLINE void dot_tile(int rows, int64_t columns, int64_t k, const wl_real *a, int64_t lda,
                     const wl_real *b, const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  const wl_real *row[QUAD];
  for (int j = 0; j < QUAD; ++j) row[j] = b + at[j < columns ? j : columns - 1];
  vec sum[DOT_ROWS][QUAD] = {0};
  int64_t p = 0;
  for (; p + LANES <= k; p += LANES)
#pragma GCC unroll 4
    for (int j = 0; j < QUAD; ++j)
#pragma GCC unroll 3
      for (int i = 0; i < rows; ++i) sum[i][j] += load(a + i * lda + p) * load(row[j] + p);
#pragma GCC unroll 3
  for (int i = 0; i < rows; ++i) {
    quad total = sum_lanes(sum[i]);
    for (int64_t r = p; r < k; ++r)
      total += a[i * lda + r] * (quad){row[0][r], row[1][r], row[2][r], row[3][r]};
    for (int j = 0; j < columns && j < QUAD; ++j)
      c[i * ldc + j] = keep ? c[i * ldc + j] + total[j] : total[j];
  }
}

void WL_KERNEL(dots)(int64_t m, int64_t n, int64_t k, const wl_real *a, int64_t lda,
                     const wl_real *b, const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  for (int64_t j = 0; j < n; j += QUAD) {
    int64_t i = 0;
    for (; i + DOT_ROWS <= m; i += DOT_ROWS)
      dot_tile(DOT_ROWS, n - j, k, a + i * lda, lda, b, at + j, c + i * ldc + j, ldc, keep);
    for (; i < m; ++i)
      dot_tile(1, n - j, k, a + i * lda, lda, b, at + j, c + i * ldc + j, ldc, keep);
  }
}

/* Multiplies if there are few terms. Transposes B^T panel by panel and uses `spread`. */
static void nt_short(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                     wl_real *c, bool keep) {
  enum { PANEL = VECTORS * LANES };
  wl_real panel[SHORT * PANEL];
  for (int64_t j = 0; j < n; j += PANEL) {
    const int64_t columns = n - j < PANEL ? n - j : PANEL;
    for (int64_t q = 0; q < columns; ++q)
      for (int64_t p = 0; p < k; ++p) panel[p * PANEL + q] = b[(j + q) * k + p];
    spread_dense(m, columns, k, (wl_strided){a, k, 1}, panel, PANEL, c + j, n, keep);
  }
}

/* `dots` is faster for many terms, or if there are too few rows to justify the transposition of B^T. */
void WL_KERNEL(nt)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                   bool keep) {
  enum { BLOCK = 64, SOME_ROWS = 16 };
  if (n > 1 && m > 1 && (k < LANES || (k < SHORT && m >= SOME_ROWS))) {
    nt_short(m, n, k, a, b, c, keep);
    return;
  }
  if (n == 1 && m > 1) { /* C^T = B A^T has full tiles */
    WL_KERNEL(nt)(1, m, k, b, a, c, keep);
    return;
  }
  int64_t at[BLOCK];
  for (int64_t j = 0; j < BLOCK && j < n; ++j) at[j] = j * k;
  for (int64_t j = 0; j < n; j += BLOCK)
    WL_KERNEL(dots)(m, n - j < BLOCK ? n - j : BLOCK, k, a, k, b + j * k, at, c + j, n, keep);
}
