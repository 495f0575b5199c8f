/* blas.h - the kernels that OpenBLAS chose for this processor. */
#ifndef WL_BASE_BLAS_H
#define WL_BASE_BLAS_H

#include <stdbool.h>

const char *wl_blas_kernels(void); /* "Haswell" */
/* Returns the name of an OpenBLAS core with kernels that use fused multiply-adds and run on every processor with AVX2.
 * Returns NULL if this processor cannot run these kernels. */
const char *wl_blas_better_kernels(void);
/* Returns true if the processor has AVX2 but OpenBLAS uses kernels without AVX2. An OpenBLAS that is older than the
 * processor may not recognise the processor. The speed is then at most a quarter of the normal speed. */
bool wl_blas_is_slow(void);

#endif
