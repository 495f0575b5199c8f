/* float_state.h - sets the floating-point state of computing threads. No other file sets this state.
 *
 * The state is rounding to nearest without traps. In float32 builds, subnormal numbers are also read and written as
 * zero, because many processors handle subnormal numbers in slow microcode: a training would slow down as its
 * gradients and states shrink. float64 builds use gradual underflow (docs/reproducibility.md).
 *
 * A new thread inherits the state of the thread that creates it. The program sets the state first in main, before any
 * other thread exists. The C library cannot rely on that order, because the threads of an OpenMP region may be threads
 * of its caller. The C library sets the state on entry and in each OpenMP region, and restores the previous state when
 * it returns. */
#ifndef WL_BASE_FLOAT_STATE_H
#define WL_BASE_FLOAT_STATE_H

#include <fenv.h>
#include <stdbool.h>

typedef struct wl_float_state {
  bool changed; /* whether `environment` was saved */
  unsigned long control;
  fenv_t environment;
} wl_float_state;

/* Sets the state of the calling thread. *before receives the previous state with its exception flags, for
 * wl_float_state_leave. */
void wl_float_state_enter(wl_float_state *before);
void wl_float_state_leave(const wl_float_state *before);
/* Whether the calling thread is in the state that wl_float_state_enter sets. */
bool wl_float_state_is_set(void);

#endif
