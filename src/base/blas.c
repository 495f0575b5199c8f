/* blas.c - reads the name of the processor type whose kernels OpenBLAS uses, such as Haswell. The processor type
 * determines the instruction set of these kernels. */
#include "base/blas.h"

#include <cblas.h>
#include <strings.h>

#include "base/isa.h"

const char *wl_blas_kernels(void) { return openblas_get_corename(); }

const char *wl_blas_better_kernels(void) {
  return wl_isa_widest() >= WL_ISA_AVX2 ? "Haswell" : NULL;
}

bool wl_blas_is_slow(void) {
  /* The OpenBLAS kernels for these x86-64 processors use no AVX2. Any other processor is assumed to
   * be newer and to have kernels with AVX2. */
  static const char *const old[] = {"Unknown",   "Generic",    "Katmai",     "Coppermine", "Northwood",
                                    "Prescott",  "Banias",     "Atom",       "Core2",      "Penryn",
                                    "Dunnington", "Nehalem",   "Sandybridge", "Athlon",    "Opteron",
                                    "Opteron_SSE3", "Barcelona", "Nano",     "Bobcat",     "Bulldozer",
                                    "Piledriver", "Steamroller"};
  if (!wl_blas_better_kernels()) return false;
  for (size_t i = 0; i < sizeof old / sizeof *old; i++)
    if (strcasecmp(wl_blas_kernels(), old[i]) == 0) return true;
  return false;
}
