/* gradual_underflow.c - leaves the floating-point state as the system has it: bench_meta_step_gradual links this
 * instead of src/base/float_state.c, so that meta_step.py --level can show what subnormal numbers cost. */
#include "base/float_state.h"

void wl_float_state_enter(wl_float_state *before) { *before = (wl_float_state){0}; }
void wl_float_state_leave(const wl_float_state *before) { (void)before; }
bool wl_float_state_is_set(void) { return true; }
