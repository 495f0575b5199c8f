/* kernels_gemm.c - computes small matrix products. The file is compiled once for each instruction
 * set.
 *
 *   spread   C (m,n) += A B:     c_i += a_ip * (row p of B) for all p and all rows c_i of C
 *   dots     C (m,n) += A B^T:   c_ij += (row i of A) . (row j of B^T)
 *
 * In `spread`, the lanes of a vector are columns of C, and the sums of a tile of C are in
 * registers. In `dots`, each lane sums a part of the terms, and the sums of the lanes are added at
 * the end.
 *
 * The array `at` contains the index at which each row of B, or of B^T in `dots`, starts. B may be a
 * dense matrix, or its rows may be overlapping windows of an image. The product with windows is a
 * convolution that does not copy each window (ops_conv.c). In `spread`, A may be transposed,
 * because element (i, p) of A has the index i * row + p * step.
 *
 * In `spread`, the terms of an element of C are added in the order of p, for every size of a tile.
 * In `dots`, the order of the additions is also fixed. The bits of an element of C therefore depend
 * only on the corresponding row of A and column of B. */
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

/* Computes a tile of C = A B with `rows` rows and `vectors` vectors of columns. Each element of C
 * is a sum of k terms. If `keep` is true, the product is added to C. The arguments `rows` and
 * `vectors` are compile-time constants. */
INLINE void spread_tile(int rows, int vectors, int64_t k, wl_strided a, const wl_real *b,
                        const int64_t *at, wl_real *c, int64_t ldc, bool keep) {
  vec sum[TALL][VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) sum[i][v] = keep ? load(c + i * ldc + v * LANES) : (vec){0};
  /* A tall tile uses two pointers into A. With one pointer, the addresses of all rows would need
   * too many registers. */
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

/* Computes all m rows of a panel, which consists of `vectors` vectors of columns. In a narrow
 * panel, a tile has more rows, so that the processor has enough independent multiply-adds. A tile
 * with this many rows and with two vectors of columns needs more than 16 registers, so the code
 * uses such a tile only if the processor has 32 vector registers. */
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

/* Computes the last n columns, where n is less than LANES. The columns of B are copied and padded
 * with zeros, and the columns of C are computed in a temporary array. */
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

/* Computes the product for sums with at most DEPTH terms. */
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

/* Computes the product for a dense matrix B, whose row p starts at the index p * ldb. */
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

/* The function halve adds lanes of a vector until four lanes remain. The function sum_lanes
 * returns, for each of four vectors, the sum of its lanes. */
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

/* Computes the inner products of `rows` rows of A with four rows of B^T. Full vectors of terms are
 * summed in lanes, and the remaining terms are added one by one. If there are fewer than four rows
 * of B^T, the function repeats the last row, but does not write the results of repeated rows. */
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

/* Computes A B^T with `spread` if the sums have few terms. The function copies each panel of B^T to
 * a transposed array. */
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

/* Computes A B^T. For sums with many terms, `dots` is faster than `nt_short`. If A has few rows,
 * `dots` is also faster, because the transposition of B^T then needs too much time. */
void WL_KERNEL(nt)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                   bool keep) {
  enum { BLOCK = 64, SOME_ROWS = 16 };
  if (n > 1 && m > 1 && (k < LANES || (k < SHORT && m >= SOME_ROWS))) {
    nt_short(m, n, k, a, b, c, keep);
    return;
  }
  /* one row of B^T does not fill a tile, so the code computes C^T = B A^T */
  if (n == 1 && m > 1) {
    WL_KERNEL(nt)(1, m, k, b, a, c, keep);
    return;
  }
  int64_t at[BLOCK];
  for (int64_t j = 0; j < BLOCK && j < n; ++j) at[j] = j * k;
  for (int64_t j = 0; j < n; j += BLOCK)
    WL_KERNEL(dots)(m, n - j < BLOCK ? n - j : BLOCK, k, a, k, b + j * k, at, c + j, n, keep);
}
