/* lstm_isa.c - which compilation of lstm_kernel.c runs on this processor. */
#include <stdlib.h>
#include <string.h>

#include "rule/lstm_net.h"

#if defined(__x86_64__)
extern const wl_lstm_kernel wl_lstm_kernel_avx512, wl_lstm_kernel_avx2;

static int has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

static int has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#endif
extern const wl_lstm_kernel wl_lstm_kernel_baseline;

const wl_lstm_kernel *wl_lstm_kernel_select(void) {
  const char *wanted = getenv("WARPLOOM_ISA");
#if defined(__x86_64__)
  const int no_avx512 = wanted && (strcmp(wanted, "avx2") == 0 || strcmp(wanted, "baseline") == 0);
  const int no_avx2 = wanted && strcmp(wanted, "baseline") == 0;
  if (!no_avx512 && has_avx512()) return &wl_lstm_kernel_avx512;
  if (!no_avx2 && has_avx2()) return &wl_lstm_kernel_avx2;
#else
  (void)wanted;
#endif
  return &wl_lstm_kernel_baseline;
}
