/* kernel_window.h - runs the passes of a window of the LSTM of 2 x 20 units separately, for timing. */
#ifndef WL_MEASURE_KERNEL_WINDOW_H
#define WL_MEASURE_KERNEL_WINDOW_H

#include "rule/rule.h"

enum { WL_WINDOW_STEPS = WL_CHUNK_STEPS };

/* The arrays of a window, in the layout of src/unroll. */
typedef struct wl_kernel_window {
  wl_rule *rule;
  wl_rule_ws *ws;
  int64_t coordinates, blocks, lanes;
  wl_layout layout;     /* the coordinates as one vector, without tensors */
  wl_real *phi, *g;     /* [parameters] meta-parameters; [steps][lanes] gradients */
  wl_real *start;       /* [lanes][state] zeros: state before the window */
  wl_real *state;       /* [lanes][state] state after the computed steps */
  wl_real *lam, *mu;    /* adjoints of theta and state */
  wl_real *u;           /* [lanes] update */
  wl_real *activations; /* [steps][blocks]; NULL: the activations are too large to store */
  double *phi_grad;     /* [parameters] sum over all backward passes */
} wl_kernel_window;

typedef struct wl_kernel_setting {
  int64_t coordinates;
  int threads;
  const char *preprocessing;
  int64_t most_kept; /* largest number of bytes of activations that the window may store */
} wl_kernel_setting;

wl_status wl_kernel_window_create(const wl_kernel_setting *setting, wl_kernel_window *out);
void wl_kernel_window_destroy(wl_kernel_window *window);
/* Sets state and adjoints to their values at the start of a window. */
void wl_kernel_window_reset(wl_kernel_window *window);
/* Runs all steps of the first `blocks` blocks. With `keep`, also stores the activations. */
void wl_kernel_window_forward(wl_kernel_window *window, int64_t blocks, bool keep);
/* Runs the adjoint of all steps, in chunks of `steps` steps. With `kept`, uses the stored activations. */
void wl_kernel_window_backward(wl_kernel_window *window, int64_t steps, bool kept);
/* Returns the wall seconds of a window: a reset and both passes. */
double wl_kernel_window_seconds(wl_kernel_window *window, bool keep);

#endif
