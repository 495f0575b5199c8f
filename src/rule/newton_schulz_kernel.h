/* newton_schulz_kernel.h - declares the kernel that computes the orthogonal factor of a small
 * matrix (newton_schulz.h). The kernel is compiled for each instruction set. */
#ifndef WL_RULE_NEWTON_SCHULZ_KERNEL_H
#define WL_RULE_NEWTON_SCHULZ_KERNEL_H

#include "base/real.h"

/* The kernel accepts a matrix if the smaller of the two dimensions is at most
 * WL_NEWTON_SCHULZ_SMALL. */
enum { WL_NEWTON_SCHULZ_SMALL = 64 };

typedef struct wl_newton_schulz_kernel {
  /* Replaces x [rows][columns] by its orthogonal factor. Returns the sum of the squares of the
   * factor's elements. If the squares of x are too large or too small for wl_real, the function
   * returns -1 and does not change x. */
  double (*factor)(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch);
} wl_newton_schulz_kernel;

/* Returns the number of wl_real elements in the kernel's scratch memory. */
int64_t wl_newton_schulz_kernel_scratch(int64_t rows, int64_t columns);
/* Returns the kernel for the instruction set of this processor. */
const wl_newton_schulz_kernel *wl_newton_schulz_kernel_select(void);

#endif
