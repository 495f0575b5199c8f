/* blas.h - the kernels that OpenBLAS chose for this processor. */
#ifndef WL_BASE_BLAS_H
#define WL_BASE_BLAS_H

#include <stdbool.h>

const char *wl_blas_kernels(void); /* "Haswell" */
/* Kernels with fused multiply-adds, which every processor with AVX2 can run; NULL where this processor cannot. */
const char *wl_blas_better_kernels(void);
/* Whether the processor has AVX2 but OpenBLAS runs kernels without it. An OpenBLAS older than the processor does not
 * recognise it and runs at a quarter of the speed or less. */
bool wl_blas_is_slow(void);

#endif
