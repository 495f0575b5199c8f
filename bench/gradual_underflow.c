/* gradual_underflow.c - replaces src/base/float_state.c in bench_meta_step_gradual, so that this program computes
 * with subnormal numbers. The script meta_step.py runs this program with --level, to measure how much time subnormal
 * numbers cost. */
#include "base/float_state.h"

void wl_float_state_enter(wl_float_state *before) { *before = (wl_float_state){0}; }
void wl_float_state_leave(const wl_float_state *before) { (void)before; }
bool wl_float_state_is_set(void) { return true; }
