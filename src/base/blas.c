/* blas.c - asks OpenBLAS for the name of the processor core for which it chose its kernels. The
 * core determines the instruction set of the BLAS kernels. */
#include "base/blas.h"

#include <cblas.h>
#include <strings.h>

#include "base/isa.h"

const char *wl_blas_kernels(void) { return openblas_get_corename(); }

const char *wl_blas_better_kernels(void) {
  return wl_isa_widest() >= WL_ISA_AVX2 ? "Haswell" : NULL;
}

bool wl_blas_is_slow(void) {
  /* OpenBLAS uses no AVX2 in its kernels for these x86-64 cores. Any other core is assumed to be
   * newer and to have kernels with AVX2. */
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
