/* isa.c - finds which instruction sets the processor supports, and reads the environment variable
 * WARPLOOM_ISA. */
#include "base/isa.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static const char *const names[WL_ISA_COUNT] = {"baseline", "avx2", "avx512"};

const char *wl_isa_name(wl_isa isa) { return names[isa]; }

/* Tests whether the processor has the instructions of x86-64-v4 and x86-64-v3 that the kernels use.
 * The compiler's builtin also tests whether the operating system saves the registers (XCR0). */
wl_isa wl_isa_widest(void) {
#ifdef __x86_64__
  __builtin_cpu_init();
  const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                   __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return WL_ISA_AVX512;
  if (avx2) return WL_ISA_AVX2;
#endif
  return WL_ISA_BASELINE;
}

static void warn_once(const char *wanted, wl_isa taken) {
  static atomic_flag warned = ATOMIC_FLAG_INIT;
  if (atomic_flag_test_and_set(&warned)) return;
  wl_log_warning(
      "WARPLOOM_ISA=%s is not supported on this machine: %s is used. WARPLOOM_ISA can be avx512, "
      "avx2 or baseline if the processor and the operating system support the instruction set",
      wanted, names[taken]);
}

wl_isa wl_isa_choose(void) {
  const char *const wanted = getenv("WARPLOOM_ISA");
  const wl_isa best = wl_isa_widest();
  if (!wanted || !*wanted) return best;
  for (int i = 0; i <= (int)best; i++)
    if (strcmp(wanted, names[i]) == 0) return (wl_isa)i;
  warn_once(wanted, best);
  return best;
}
