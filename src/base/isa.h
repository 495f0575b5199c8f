/* isa.h - the instruction set that kernels run with, one decision for all of them.
 *
 * Kernels are compiled for each set; which compilation runs is decided when the program runs.
 * Results of different sets differ in the last bits. */
#ifndef WL_BASE_ISA_H
#define WL_BASE_ISA_H

typedef enum wl_isa {
  WL_ISA_BASELINE, /* what every processor of the architecture has */
  WL_ISA_AVX2,     /* x86-64-v3 */
  WL_ISA_AVX512,   /* x86-64-v4 */
  WL_ISA_COUNT
} wl_isa;

/* The widest that this processor has. */
wl_isa wl_isa_widest(void);
/* That, or the lesser one that WARPLOOM_ISA=avx512|avx2|baseline asks
 * for. The first time that it asks for what is not there, a warning says so. */
wl_isa wl_isa_choose(void);
/* "baseline", "avx2", "avx512" */
const char *wl_isa_name(wl_isa isa);

#endif
