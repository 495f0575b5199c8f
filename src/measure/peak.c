/* peak.c - measures the rate of multiply-adds whose operands are all in registers.
 *
 *   a_i <- a_i m + p,   i = 1 .. chains
 *
 * Each a_i is a chain of multiply-adds, and the chains do not depend on one another. The number of
 * chains is large enough to keep every arithmetic unit busy, and small enough that all a_i fit into
 * registers. */
#include "measure/peak.h"

#include <stdint.h>

#include "base/clock.h"
#include "base/isa.h"
#include "base/real.h"

enum { ROUNDS = 1000000 };

#define UNROLL(chains, body) _Pragma("GCC unroll 32") for (int i = 0; i < (chains); i++) body

#define PEAK_LOOP(name, bytes, chains, attributes)                                  \
  attributes static double name(void) {                                             \
    typedef wl_real vector __attribute__((vector_size(bytes)));                     \
    vector a[chains], sum = {0};                                                    \
    UNROLL(chains, a[i] = (vector){0} + (wl_real)(i + 2));                          \
    const vector m = (vector){0} + (wl_real)0.999, p = (vector){0} + (wl_real)1e-3; \
    const double start = wl_thread_seconds();                                       \
    for (int64_t k = 0; k < ROUNDS; k++) UNROLL(chains, a[i] = a[i] * m + p);       \
    const double time = wl_thread_seconds() - start;                                \
    UNROLL(chains, sum += a[i]);                                                    \
    volatile wl_real sink = sum[0];                                                 \
    (void)sink;                                                                     \
    return 2.0 * (chains)*ROUNDS * (bytes) / sizeof(wl_real) / time;                \
  }

#if defined(__x86_64__)
PEAK_LOOP(peak_avx512, 64, 24, __attribute__((target("avx512f"), noinline)))
PEAK_LOOP(peak_avx2, 32, 12, __attribute__((target("avx2,fma"), noinline)))
PEAK_LOOP(peak_baseline, 16, 12, )

double wl_measure_peak(void) {
  static double (*const peaks[WL_ISA_COUNT])(void) = {peak_baseline, peak_avx2, peak_avx512};
  return peaks[wl_isa_choose()]();
}
#else
PEAK_LOOP(peak_baseline, 16, 24, )

double wl_measure_peak(void) { return peak_baseline(); }
#endif

double wl_measure_peaks(int threads) {
  double sum = 0.0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : sum) if (threads > 1)
  for (int i = 0; i < threads; i++) sum += wl_measure_peak();
  return sum;
}
