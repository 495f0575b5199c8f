/* newton_schulz_kernel.h - computes the orthogonal factor of a small matrix (newton_schulz.h), compiled for each
 * instruction set. */
#ifndef WL_RULE_NEWTON_SCHULZ_KERNEL_H
#define WL_RULE_NEWTON_SCHULZ_KERNEL_H

#include "base/real.h"

/* Largest value of a matrix's smaller dimension that the kernel accepts. */
enum { WL_NEWTON_SCHULZ_SMALL = 64 };

typedef struct wl_newton_schulz_kernel {
  /* Replaces x [rows][columns] by its orthogonal factor and returns the sum of the factor's squares. If the squares of
   * x are too large or too small for the working precision, returns -1 and does not change x. */
  double (*factor)(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch);
} wl_newton_schulz_kernel;

/* Returns the number of reals of scratch. */
int64_t wl_newton_schulz_kernel_scratch(int64_t rows, int64_t columns);
/* Returns the table for this processor. */
const wl_newton_schulz_kernel *wl_newton_schulz_kernel_select(void);

#endif
