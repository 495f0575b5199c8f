/* blas.h - finds which kernels OpenBLAS chose for this processor. */
#ifndef WL_BASE_BLAS_H
#define WL_BASE_BLAS_H

#include <stdbool.h>

const char *wl_blas_kernels(void); /* "Haswell" */
/* Returns "Haswell", the name of the OpenBLAS core whose kernels use fused multiply-adds and need
 * only AVX2. Returns NULL if this processor does not have AVX2. */
const char *wl_blas_better_kernels(void);
/* Returns true if the processor has AVX2 but OpenBLAS uses kernels without AVX2. The usual cause is
 * an OpenBLAS that is older than the processor and does not recognise the processor. With kernels
 * without AVX2, matrix products have at most a quarter of the normal speed. */
bool wl_blas_is_slow(void);

#endif
