/* kernels_pick.c - the table of kernels for this processor. */
#include "tensor/kernels.h"

extern const wl_kernel_table wl_kernels_base;
#ifdef __x86_64__
extern const wl_kernel_table wl_kernels_avx2, wl_kernels_avx512;
#endif

const wl_kernel_table *wl_kernels(void) {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw"))
    return &wl_kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &wl_kernels_avx2;
#endif
  return &wl_kernels_base;
}
