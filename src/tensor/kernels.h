/* kernels.h - the loops that are compiled for each instruction set. Private to src/tensor.
 *
 * kernels.c and kernels_gemm.c are compiled into one table for each instruction set. wl_kernels chooses a table at run
 * time. Results depend on the instruction set, but not on addresses or the number of threads. */
#ifndef WL_TENSOR_KERNELS_H
#define WL_TENSOR_KERNELS_H

#include <stdbool.h>

#include "base/real.h"

typedef void (*wl_map_kernel)(int64_t n, const wl_real *x, wl_real *y);
/* Computes C (m,n) = op(A) op(B), or C += op(A) op(B) with `keep`. op is the identity or the transpose. All matrices
 * are row-major and dense. */
typedef void (*wl_gemm_kernel)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                               wl_real *c, bool keep);

/* A matrix with element (i, p) at data[i row + p step]. */
typedef struct wl_strided {
  const wl_real *data;
  int64_t row, step;
} wl_strided;

/* Computes C (m,n) = A B, or C += A B with `keep`. The rows of B (or of B^T) begin at the addresses b + at[.]. Rows of
 * C are ldc elements apart. */
typedef void (*wl_spread_kernel)(int64_t m, int64_t n, int64_t k, wl_strided a, const wl_real *b,
                                 const int64_t *at, wl_real *c, int64_t ldc,
                                 bool keep); /* row p of B has n elements and begins at b + at[p] */
typedef void (*wl_dots_kernel)(int64_t m, int64_t n, int64_t k, const wl_real *a, int64_t lda,
                               const wl_real *b, const int64_t *at, wl_real *c, int64_t ldc,
                               bool keep); /* row j of B^T has k elements and begins at b + at[j] */

typedef struct wl_kernel_table {
  wl_map_kernel exp, sigmoid, tanh, elu;
  wl_gemm_kernel nn; /* A (m,k), B (k,n) */
  wl_gemm_kernel nt; /* A (m,k), B (n,k) */
  wl_gemm_kernel tn; /* A (k,m), B (k,n) */
  wl_spread_kernel spread;
  wl_dots_kernel dots;
} wl_kernel_table;

/* Returns the table for this processor. */
const wl_kernel_table *wl_kernels(void);

#endif
