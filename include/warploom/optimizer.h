/* optimizer.h - use a trained optimizer from a C program.
 *
 *   wl_optimizer *opt = NULL;
 *   if (wl_optimizer_load("optimizer.h5", &opt) != WL_OK) puts(wl_last_error());
 *   wl_optimizer_start(opt, n);
 *   for (int t = 0; t < steps; t++) {
 *     my_gradient(theta, gradient);                       gradient, theta: float [n]
 *     wl_optimizer_step(opt, n, gradient, theta);         theta <- theta + u_t
 *   }
 *   wl_optimizer_destroy(&opt);
 *
 * Each step computes g~ = P g if a preconditioner was learned, then (u, s) = rule(g~, theta, s, t), as in training. The
 * handle keeps the rule's state s in float32.
 *
 * Link with -lwarploom (pkg-config warploom, or find_package(warploom) in CMake). Neither MPI nor
 * its headers are needed. No function here is collective. A handle serves one thread and one run at
 * a time; a program that trains several models at once loads one handle for each, from any thread. Loading uses HDF5:
 * the program must not call HDF5 at the same time. Functions that fail return a code other than WL_OK and leave a
 * message in wl_last_error(). A NULL handle or array is WL_ERR_USAGE, or 0 or "" from functions that return no status.
 *
 * The locale and the floating-point state of the caller do not change a result: inside the library subnormal numbers
 * count as zero and rounding is to nearest. Every function restores the caller's state before it returns. */
#ifndef WARPLOOM_OPTIMIZER_H
#define WARPLOOM_OPTIMIZER_H

#include <stdint.h>

#include "warploom/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wl_optimizer wl_optimizer;

/* Reads a trained optimizer: a file that `warploom export` wrote, a checkpoint, or a run directory
 * (its newest valid checkpoint). The caller owns *optimizer; it is NULL after a failure.
 * WL_ERR_NO_INPUT   no such file; or the optimizer belongs to the network of a task whose data are
 *                   not on this machine
 * WL_ERR_DATA       damaged, not a trained optimizer, or trained with warp layers, which are part of
 *                   the task's network and cannot act on a gradient alone */
wl_status wl_optimizer_load(const char *path, wl_optimizer **optimizer);

/* Frees the handle and sets it to NULL; NULL is accepted. */
void wl_optimizer_destroy(wl_optimizer **optimizer);

/* Number of parameters that the optimizer can train. 0: any number (a coordinatewise rule alone). Otherwise the number
 * of parameters of the network that its preconditioner, learned initial parameters or scalars per tensor were trained
 * for, flat in the order of the network's tensors. */
int64_t wl_optimizer_parameters(const wl_optimizer *optimizer);

/* Name of the update rule ("lstm") and digest of the meta-state it was written with (16 hex digits).
 * Valid until the handle is destroyed. */
const char *wl_optimizer_rule(const wl_optimizer *optimizer);
const char *wl_optimizer_digest(const wl_optimizer *optimizer);
/* Number of meta-parameters, number of meta-steps that trained them, and inner steps of the longest training episode.
 * Runs longer than this horizon were not seen in training. */
int64_t wl_optimizer_meta_parameters(const wl_optimizer *optimizer);
int64_t wl_optimizer_meta_steps(const wl_optimizer *optimizer);
int64_t wl_optimizer_horizon(const wl_optimizer *optimizer);

/* Threads of the steps that follow the next start; 1 unless set. The results are the same bits for
 * any number. WL_ERR_USAGE below 1 or above 4096. */
wl_status wl_optimizer_set_threads(wl_optimizer *optimizer, int threads);

/* Begins a run over n parameters at step 0 with a zero state, in place of any run before. Allocates
 * all that the run needs: for an LSTM of 2 x 20 units 328 bytes for each parameter.
 * WL_ERR_USAGE when n < 1 or not wl_optimizer_parameters(), or the rule sees tensors; WL_ERR_OS without
 * memory; the handle then has no run. */
wl_status wl_optimizer_start(wl_optimizer *optimizer, int64_t n);

/* Shape of a tensor of the caller's parameters, in C order. */
typedef struct wl_tensor_shape {
  int ndim; /* 1 to 4 */
  int64_t shape[4];
} wl_tensor_shape;

/* The same for n parameters that are `count` tensors, one after the other: what a rule that sees tensors needs (muon,
 * controller, mlp, small_fc, celo2). Weights of dense layers are (in, out), of convolutions (out, in, rows, columns), as
 * in the trained networks. `horizon`: steps that the run will take, for schedules and rules that look ahead; 0: those of
 * wl_optimizer_horizon(). WL_ERR_USAGE as for wl_optimizer_start, and for an impossible shape. */
wl_status wl_optimizer_start_tensors(wl_optimizer *optimizer, int count,
                                     const wl_tensor_shape *tensors, int64_t horizon);

/* The minibatch loss at the theta of the next step, for rules that follow it (controller); other rules ignore it; the
 * call is optional.
 * WL_ERR_USAGE without a run. */
wl_status wl_optimizer_set_loss(wl_optimizer *optimizer, double loss);

/* Copies the learned initial parameters into theta [n]; tensors that the configuration names in `initialisation.fresh`
 * were not learned and are left unchanged. WL_ERR_USAGE when none were learned, or n is not wl_optimizer_parameters(). */
wl_status wl_optimizer_initial(const wl_optimizer *optimizer, int64_t n, float *theta);

/* One step: theta [n] <- theta + u, from gradient [n], the gradient of the loss at theta in the
 * units of the loss by those of theta. Both are borrowed for the call, need no alignment, and must
 * not overlap. Allocates nothing.
 * WL_ERR_USAGE   no run was started, or not with this n; an array is NULL; the arrays overlap
 * WL_ERR_DATA    a gradient is not finite: theta and the state are as before; or the update is not
 *                finite: theta is as before, the state is lost, and the run has ended */
wl_status wl_optimizer_step(wl_optimizer *optimizer, int64_t n, const float *gradient,
                            float *theta);

#ifdef __cplusplus
}
#endif
#endif
