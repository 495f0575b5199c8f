/* kernels.h - declares the functions that are compiled for each instruction set. Only files in
 * src/tensor include this header.
 *
 * The files kernels.c and kernels_gemm.c are compiled to one table of functions for each
 * instruction set. At run time, wl_kernels chooses a table. The results depend on the instruction
 * set, but not on the addresses of arrays or on the number of threads. */
#ifndef WL_TENSOR_KERNELS_H
#define WL_TENSOR_KERNELS_H

#include <stdbool.h>

#include "base/real.h"

typedef void (*wl_map_kernel)(int64_t n, const wl_real *x, wl_real *y);
/* Computes a product C (m,n) of two matrices, which may be transposed. If `keep` is true, the
 * product is added to C. All matrices are dense row-major arrays. */
typedef void (*wl_gemm_kernel)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b,
                               wl_real *c, bool keep);

/* A matrix whose element (i, p) is data[i * row + p * step]. */
typedef struct wl_strided {
  const wl_real *data;
  int64_t row, step;
} wl_strided;

/* A spread kernel computes C (m,n) = A B for a matrix B whose row p starts at the address b +
 * at[p]. A dots kernel computes C (m,n) = A B for a matrix B whose column j starts at the address b
 * + at[j]. If `keep` is true, the product is added to C. The rows of C are ldc elements apart. */
typedef void (*wl_spread_kernel)(int64_t m, int64_t n, int64_t k, wl_strided a, const wl_real *b,
                                 const int64_t *at, wl_real *c, int64_t ldc,
                                 bool keep); /* row p of B has n elements */
typedef void (*wl_dots_kernel)(int64_t m, int64_t n, int64_t k, const wl_real *a, int64_t lda,
                               const wl_real *b, const int64_t *at, wl_real *c, int64_t ldc,
                               bool keep); /* column j of B has k elements */

typedef struct wl_kernel_table {
  wl_map_kernel exp, sigmoid, tanh, elu;
  wl_gemm_kernel nn; /* A (m,k), B (k,n) */
  wl_gemm_kernel nt; /* A (m,k), B (n,k) */
  wl_gemm_kernel tn; /* A (k,m), B (k,n) */
  wl_spread_kernel spread;
  wl_dots_kernel dots;
} wl_kernel_table;

/* Returns the table of functions for the instruction set of this processor. */
const wl_kernel_table *wl_kernels(void);

#endif
