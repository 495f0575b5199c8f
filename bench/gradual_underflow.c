/* gradual_underflow.c - does not change the system's floating-point state. bench_meta_step_gradual links this file
 * instead of src/base/float_state.c. meta_step.py --level uses it to measure the cost of subnormal numbers. */
#include "base/float_state.h"

void wl_float_state_enter(wl_float_state *before) { *before = (wl_float_state){0}; }
void wl_float_state_leave(const wl_float_state *before) { (void)before; }
bool wl_float_state_is_set(void) { return true; }
