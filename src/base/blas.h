/* blas.h - the kernels that OpenBLAS chose for this processor. */
#ifndef WL_BASE_BLAS_H
#define WL_BASE_BLAS_H

#include <stdbool.h>

const char *wl_blas_kernels(void); /* "Haswell" */
/* Returns a core whose kernels use fused multiply-adds and run on every processor with AVX2; NULL if this processor
 * cannot run them. */
const char *wl_blas_better_kernels(void);
/* Whether the processor has AVX2 but OpenBLAS runs kernels without AVX2. An OpenBLAS that is older than the processor
 * does not recognise the processor and runs at a quarter of the speed or less. */
bool wl_blas_is_slow(void);

#endif
