/* lstm_isa.c - which compilation of lstm_kernel.c runs on this processor. */
#include "base/isa.h"
#include "rule/lstm_net.h"

extern const wl_lstm_kernel wl_lstm_kernel_baseline;
#ifdef __x86_64__
extern const wl_lstm_kernel wl_lstm_kernel_avx512, wl_lstm_kernel_avx2;
#endif

const wl_lstm_kernel *wl_lstm_kernel_select(void) {
#ifdef __x86_64__
  static const wl_lstm_kernel *const kernels[WL_ISA_COUNT] = {
      &wl_lstm_kernel_baseline, &wl_lstm_kernel_avx2, &wl_lstm_kernel_avx512};
  return kernels[wl_isa_choose()];
#else
  return &wl_lstm_kernel_baseline;
#endif
}
