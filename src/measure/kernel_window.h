/* kernel_window.h - declares functions that compute one window of an LSTM with two layers of 20
 * units. The forward and the backward pass are separate functions, so that each pass can be
 * timed. */
#ifndef WL_MEASURE_KERNEL_WINDOW_H
#define WL_MEASURE_KERNEL_WINDOW_H

#include "rule/rule.h"

enum { WL_WINDOW_STEPS = WL_CHUNK_STEPS };

/* The arrays of one window. The arrays have the same layout as in src/unroll. */
typedef struct wl_kernel_window {
  wl_rule *rule;
  wl_rule_ws *ws;
  int64_t coordinates, blocks, lanes;
  wl_layout layout; /* layout of theta: one vector of `coordinates` numbers, without tensors */
  wl_real *phi, *g; /* phi: [parameters] meta-parameters; g: [steps][lanes] gradients */
  wl_real *start;   /* [lanes][state] rule state before the window, which is zero */
  wl_real *state;   /* [lanes][state] rule state after the last computed step */
  /* lam: [lanes] adjoint of theta; mu: [lanes][state] adjoint of the rule state */
  wl_real *lam, *mu;
  wl_real *u; /* [lanes] update of the last computed step */
  /* [steps][blocks] activations of the LSTM; NULL: the activations exceed `most_kept` bytes */
  wl_real *activations;
  double *phi_grad; /* [parameters] meta-gradient, summed over all backward passes */
} wl_kernel_window;

typedef struct wl_kernel_setting {
  int64_t coordinates;
  int threads;
  const char *preprocessing;
  int64_t most_kept; /* largest size of the stored activations, in bytes */
} wl_kernel_setting;

wl_status wl_kernel_window_create(const wl_kernel_setting *setting, wl_kernel_window *out);
void wl_kernel_window_destroy(wl_kernel_window *window);
/* Sets the rule state and the adjoint `mu` to zero, and copies the gradients of the first step to
 * the adjoint `lam`. */
void wl_kernel_window_reset(wl_kernel_window *window);
/* Computes all steps of the first `blocks` blocks of coordinates. If `keep` is true, the function
 * also stores the activations. */
void wl_kernel_window_forward(wl_kernel_window *window, int64_t blocks, bool keep);
/* Computes the backward pass over all steps, in chunks of `steps` steps. If `kept` is true, the
 * function uses the stored activations. */
void wl_kernel_window_backward(wl_kernel_window *window, int64_t steps, bool kept);
/* Resets the window, and computes one forward pass and one backward pass. Returns the wall time of
 * the two passes in seconds. */
double wl_kernel_window_seconds(wl_kernel_window *window, bool keep);

#endif
