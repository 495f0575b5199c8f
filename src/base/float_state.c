/* float_state.c - sets the control register of floating-point arithmetic: MXCSR on x86-64, FPCR on
 * aarch64. On other processors the functions of fenv.h are used, which cannot replace subnormal
 * numbers by zero. */
#include "base/float_state.h"

#ifdef WL_DOUBLE
enum { FLUSHES = 0 };
#else
enum { FLUSHES = 1 };
#endif

#if defined(__SSE__)
#include <xmmintrin.h>
/* CONTROL masks all exceptions and selects rounding to nearest. If FLUSHES is 1, CONTROL also sets
 * flush-to-zero (bit 15) and denormals-are-zero (bit 6). The low six bits of the register record
 * exceptions and do not affect the computation. */
enum { FLAGS = 0x3f, CONTROL = 0x1f80 | FLUSHES * 0x8040 };
static unsigned long read_control(void) { return _mm_getcsr(); }
static void write_control(unsigned long control) { _mm_setcsr((unsigned)control); }
#elif defined(__aarch64__)
/* CONTROL selects rounding to nearest without traps. Bit 24 (FZ) replaces subnormal operands and
 * results by zero. The upper half of the returned number is the register FPSR, which records
 * exceptions. */
static const unsigned long FLAGS = 0xffffffff00000000, CONTROL = (unsigned long)FLUSHES << 24;
static unsigned long read_control(void) {
  unsigned long control, flags;
  __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(flags));
  return flags << 32 | (control & 0xffffffff);
}
static void write_control(unsigned long control) {
  const unsigned long flags = control >> 32, low = control & 0xffffffff;
  __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(low), "r"(flags) : "memory");
}
#else
enum { FLAGS = 0, CONTROL = 0 };
static unsigned long read_control(void) { return (unsigned long)fegetround(); }
static void write_control(unsigned long control) { (void)control; }
#endif

static bool is_set(unsigned long control) {
  return (control & ~(unsigned long)FLAGS) == (unsigned long)CONTROL;
}

bool wl_float_state_is_set(void) { return is_set(read_control()); }

/* fegetenv also saves the control word of the x87 unit, because strtod uses the rounding mode of
 * that word. */
void wl_float_state_enter(wl_float_state *before) {
  before->control = read_control();
  before->changed = !is_set(before->control);
  if (!before->changed) return;
  fegetenv(&before->environment);
  fesetenv(FE_DFL_ENV);
  write_control(CONTROL);
}

void wl_float_state_leave(const wl_float_state *before) {
  if (before->changed) fesetenv(&before->environment);
  else write_control(before->control);
}
