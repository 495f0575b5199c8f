/* kernels_pick.c - the table of kernels for this processor; WARPLOOM_ISA=avx512|avx2|baseline
 * asks for a lesser one, as for the LSTM. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels.h"

extern const wl_kernel_table wl_kernels_baseline;

#ifdef __x86_64__
extern const wl_kernel_table wl_kernels_avx2, wl_kernels_avx512;

static bool has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#endif

static const wl_kernel_table *pick(void) {
#ifdef __x86_64__
  const char *const wanted = getenv("WARPLOOM_ISA");
  const bool baseline = wanted && strcmp(wanted, "baseline") == 0;
  const bool avx2 = baseline || (wanted && strcmp(wanted, "avx2") == 0);
  if (!avx2 && has_avx512()) return &wl_kernels_avx512;
  if (!baseline && has_avx2()) return &wl_kernels_avx2;
#endif
  return &wl_kernels_baseline;
}

const wl_kernel_table *wl_kernels(void) {
  static const wl_kernel_table *_Atomic chosen; /* every thread would choose alike */
  const wl_kernel_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (!table) {
    table = pick();
    atomic_store_explicit(&chosen, table, memory_order_relaxed);
  }
  return table;
}
