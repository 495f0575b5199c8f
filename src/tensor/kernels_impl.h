/* kernels_impl.h - defines the names of the functions that are compiled for each instruction set.
 * Only the kernels include this header. */
#ifndef WL_TENSOR_KERNELS_IMPL_H
#define WL_TENSOR_KERNELS_IMPL_H

#include "tensor/kernels.h"

#ifndef WL_VARIANT
#define WL_VARIANT baseline
#endif
#define WL_JOIN_(a, b, c) a##b##_##c
#define WL_JOIN(a, b, c) WL_JOIN_(a, b, c)
/* the name is wl_kernel_<name>_<instruction set> */
#define WL_KERNEL(name) WL_JOIN(wl_kernel_, name, WL_VARIANT)

void WL_KERNEL(nn)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                   bool keep);
void WL_KERNEL(nt)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                   bool keep);
void WL_KERNEL(tn)(int64_t m, int64_t n, int64_t k, const wl_real *a, const wl_real *b, wl_real *c,
                   bool keep);
void WL_KERNEL(spread)(int64_t m, int64_t n, int64_t k, wl_strided a, const wl_real *b,
                       const int64_t *at, wl_real *c, int64_t ldc, bool keep);
void WL_KERNEL(dots)(int64_t m, int64_t n, int64_t k, const wl_real *a, int64_t lda,
                     const wl_real *b, const int64_t *at, wl_real *c, int64_t ldc, bool keep);

#endif
