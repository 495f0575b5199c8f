/* kernels_pick.c - selects the table of kernels for the instruction set of this processor. */
#include <stdatomic.h>

#include "base/isa.h"
#include "tensor/kernels.h"

extern const wl_kernel_table wl_kernels_baseline;
#ifdef __x86_64__
extern const wl_kernel_table wl_kernels_avx2, wl_kernels_avx512;
#endif

static const wl_kernel_table *pick(void) {
#ifdef __x86_64__
  static const wl_kernel_table *const tables[WL_ISA_COUNT] = {&wl_kernels_baseline,
                                                              &wl_kernels_avx2, &wl_kernels_avx512};
  return tables[wl_isa_choose()];
#else
  return &wl_kernels_baseline;
#endif
}

const wl_kernel_table *wl_kernels(void) {
  /* the threads may store the address in any order, because every thread chooses the same table */
  static const wl_kernel_table *_Atomic chosen;
  const wl_kernel_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (!table) {
    table = pick();
    atomic_store_explicit(&chosen, table, memory_order_relaxed);
  }
  return table;
}
