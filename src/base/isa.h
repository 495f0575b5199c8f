/* isa.h - chooses the instruction set that all kernels use.
 *
 * Kernels are compiled for each instruction set, and the program chooses one of them at run time. Results of different
 * instruction sets differ in the last bits. */
#ifndef WL_BASE_ISA_H
#define WL_BASE_ISA_H

typedef enum wl_isa {
  WL_ISA_BASELINE, /* the instructions that every processor of the architecture has */
  WL_ISA_AVX2,     /* x86-64-v3 */
  WL_ISA_AVX512,   /* x86-64-v4 */
  WL_ISA_COUNT
} wl_isa;

/* Returns the widest instruction set of this processor. */
wl_isa wl_isa_widest(void);
/* Returns the instruction set that the kernels must use: the widest one of this processor, or a
 * narrower one that the environment variable WARPLOOM_ISA=avx512|avx2|baseline selects. The first
 * call warns if the selected instruction set is not supported. */
wl_isa wl_isa_choose(void);
/* Returns "baseline", "avx2" or "avx512". */
const char *wl_isa_name(wl_isa isa);

#endif
