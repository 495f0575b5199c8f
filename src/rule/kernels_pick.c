/* kernels_pick.c - selects for each kernel the functions that are compiled for the instruction set
 * of this processor. */
#include "base/isa.h"
#include "rule/controller_kernel.h"
#include "rule/feature_kernel.h"
#include "rule/lstm_net.h"
#include "rule/newton_schulz_kernel.h"
#include "rule/rnnprop_kernel.h"

#ifdef __x86_64__
#define PICK(type, kernel)                                                              \
  extern const type kernel##_baseline, kernel##_avx2, kernel##_avx512;                  \
  const type *kernel##_select(void) {                                                   \
    static const type *const table[WL_ISA_COUNT] = {&kernel##_baseline, &kernel##_avx2, \
                                                    &kernel##_avx512};                  \
    return table[wl_isa_choose()];                                                      \
  }
#else
#define PICK(type, kernel)             \
  extern const type kernel##_baseline; \
  const type *kernel##_select(void) { return &kernel##_baseline; }
#endif

PICK(wl_lstm_kernel, wl_lstm_kernel)
PICK(wl_controller_kernel, wl_controller_kernel)
PICK(wl_feature_kernel, wl_feature_kernel)
PICK(wl_newton_schulz_kernel, wl_newton_schulz_kernel)
PICK(wl_rnnprop_kernel, wl_rnnprop_kernel)
