/* float_state.h - sets the rounding mode and the treatment of subnormal numbers in the threads that
 * compute. No other file sets this floating-point state.
 *
 * The state is rounding to nearest without traps. In float32 builds, subnormal operands and results
 * are also replaced by zero. Many processors compute with subnormal numbers in slow microcode.
 * Without the replacement, a training would become slower as its gradients and states become
 * smaller. Builds with float64 keep subnormal numbers (docs/reproducibility.md).
 *
 * A new thread inherits the state of the thread that creates it. The program sets the state first
 * in main, before any other thread exists. Warploom's C library cannot rely on inheritance, because
 * the threads of an OpenMP region may belong to the program that calls the library. The C library
 * therefore sets the state on entry and in each OpenMP region, and restores the previous state when
 * it returns. */
#ifndef WL_BASE_FLOAT_STATE_H
#define WL_BASE_FLOAT_STATE_H

#include <fenv.h>
#include <stdbool.h>

typedef struct wl_float_state {
  bool changed; /* true: `environment` holds the saved state */
  unsigned long control;
  fenv_t environment;
} wl_float_state;

/* Sets the state of the calling thread. *before receives the previous state and exception flags, which
 * wl_float_state_leave restores. */
void wl_float_state_enter(wl_float_state *before);
void wl_float_state_leave(const wl_float_state *before);
/* Returns true if the calling thread has the state that wl_float_state_enter sets. */
bool wl_float_state_is_set(void);

#endif
