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
 * Each step first computes g~ from the gradient g: g~ = P g if a preconditioner P was learned, otherwise g~ = g. The
 * step then computes (u, s) = rule(g~, theta, s, t), as in training. The handle owns the rule state s (float32).
 *
 * Link with -lwarploom (pkg-config warploom, or find_package(warploom) in CMake). The program does not need MPI. No
 * function of this header is collective. A handle can have one run at a time, and only one thread may use the handle at
 * a time. A program that trains several models at once loads one handle for each model; any thread may load a handle.
 * wl_optimizer_load uses HDF5, and the program must not call HDF5 at the same time. A function that fails returns a
 * code other than WL_OK and stores a message; wl_last_error() returns this message. If a handle or array is NULL, a
 * function returns WL_ERR_USAGE. A function that does not return a status returns 0 or "" instead.
 *
 * Results do not depend on the caller's locale and floating-point state. The library rounds to nearest and treats
 * subnormal numbers as zero. Every function restores the caller's state before it returns. */
#ifndef WARPLOOM_OPTIMIZER_H
#define WARPLOOM_OPTIMIZER_H

#include <stdint.h>

#include "warploom/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wl_optimizer wl_optimizer;

/* Reads a trained optimizer. `path` is a file from `warploom export`, a checkpoint, or a run directory; for a run
 * directory, the newest valid checkpoint is read. The caller owns *optimizer. After a failure *optimizer is NULL.
 *
 *   WL_ERR_NO_INPUT   The file does not exist, or the data of a task is missing. This data is needed if a part of the
 *                     optimizer depends on the task's network.
 * WL_ERR_DATA The file is damaged, contains no trained optimizer, or was trained with warp layers. Warp layers are part
 * of the task's network, and a gradient is not enough to apply them. */
wl_status wl_optimizer_load(const char *path, wl_optimizer **optimizer);

/* Frees the handle and sets it to NULL; NULL is accepted. */
void wl_optimizer_destroy(wl_optimizer **optimizer);

/* Returns the number of parameters that the optimizer can train. 0 means any number, for example for an optimizer that
 * consists only of a coordinatewise rule. Any other value is the number of parameters of one network. The
 * preconditioner, the initial parameters or the scalars per tensor were learned for this network. theta must then have
 * the parameters in the order of the network's tensors. */
int64_t wl_optimizer_parameters(const wl_optimizer *optimizer);

/* wl_optimizer_rule returns the name of the update rule, for example "lstm". wl_optimizer_digest returns the digest of
 * the meta-state in the file (16 hex digits). Both strings are valid until the handle is destroyed. */
const char *wl_optimizer_rule(const wl_optimizer *optimizer);
const char *wl_optimizer_digest(const wl_optimizer *optimizer);
/* These functions return the number of meta-parameters, the number of meta-steps of the training, and the horizon. The
 * horizon is the number of inner steps of the longest training episode. */
int64_t wl_optimizer_meta_parameters(const wl_optimizer *optimizer);
int64_t wl_optimizer_meta_steps(const wl_optimizer *optimizer);
int64_t wl_optimizer_horizon(const wl_optimizer *optimizer);

/* Sets the number of threads for the runs that start after this call; the default is 1. The results have the same bits
 * for any number of threads. Returns WL_ERR_USAGE if `threads` is below 1 or above 4096. */
wl_status wl_optimizer_set_threads(wl_optimizer *optimizer, int threads);

/* Starts a run over n parameters at step 0 with a zero rule state. A previous run ends. Allocates all memory of the
 * run, for example 328 bytes per parameter for an LSTM of 2 x 20 units.
 *
 *   WL_ERR_USAGE   n < 1, n differs from a nonzero wl_optimizer_parameters(), or the rule needs the shapes of tensors.
 *   WL_ERR_OS      There is not enough memory.
 *
 * After an error the handle has no run. */
wl_status wl_optimizer_start(wl_optimizer *optimizer, int64_t n);

/* Shape of a tensor of the caller's parameters, in C order. */
typedef struct wl_tensor_shape {
  int ndim; /* 1 to 4 */
  int64_t shape[4];
} wl_tensor_shape;

/* Starts a run over the parameters of `count` tensors, which are stored one after the other. Rules that use the shapes
 * of tensors (muon, lbfgs, controller, mlp, small_fc, celo2) need this call. The shape of a dense layer's weight must
 * be (in, out), and the shape of a convolution's weight must be (out, in, rows, columns). `horizon` is the number of
 * steps of the run; schedules and some rules use this number. 0 means wl_optimizer_horizon(). Returns WL_ERR_USAGE if a
 * shape is invalid, or if the optimizer belongs to a network with other shapes. */
wl_status wl_optimizer_start_tensors(wl_optimizer *optimizer, int count,
                                     const wl_tensor_shape *tensors, int64_t horizon);

/* Sets the minibatch loss at the theta of the next step. The rule `controller` reads this loss; other rules ignore the
 * loss. The call is optional. Returns WL_ERR_USAGE if there is no run. */
wl_status wl_optimizer_set_loss(wl_optimizer *optimizer, double loss);

/* Copies the learned initial parameters into theta [n]. Tensors in the list `initialisation.fresh` of the configuration
 * were not learned; this call does not change them. Returns WL_ERR_USAGE if no initial parameters were learned, or if n
 * differs from wl_optimizer_parameters(). */
wl_status wl_optimizer_initial(const wl_optimizer *optimizer, int64_t n, float *theta);

/* Does one step: theta [n] <- theta + u. gradient [n] is the gradient of the loss at theta, in units of the loss
 * divided by units of theta. Both arrays are borrowed during the call. The arrays need no alignment and must not
 * overlap. The function allocates no memory.
 *
 *   WL_ERR_USAGE   There is no run, n differs from the run's n, an array is NULL, or the arrays overlap.
 * WL_ERR_DATA A gradient or the update is not finite. In both cases theta is unchanged. If a gradient is not finite,
 * the rule state is unchanged. If the update is not finite, the rule state is lost, and the run has ended. */
wl_status wl_optimizer_step(wl_optimizer *optimizer, int64_t n, const float *gradient,
                            float *theta);

/* The caller's arrays of one tensor, and the factors of the tensor's update. */
typedef struct wl_tensor_step {
  const float *gradient; /* [size] */
  float *theta;          /* [size] */
  int transposed; /* 1: both arrays store a matrix of shape (rows, columns) as (columns, rows); 0: they do not */
  float rate, weight_decay; /* 1 and 0: the update is as in training */
} wl_tensor_step;

/* Does one step over the tensors of wl_optimizer_start_tensors: theta <- theta + rate (u - weight_decay theta). Each
 * tensor has separate arrays. The requirements on arrays and the errors are the same as for wl_optimizer_step. Both
 * functions give the same bits if rate is 1 and weight_decay is 0. Also returns WL_ERR_USAGE if `count` is not the
 * run's number of tensors. */
wl_status wl_optimizer_step_tensors(wl_optimizer *optimizer, int count,
                                    const wl_tensor_step *tensors);

/* Returns 1 if the result depends on the shapes of tensors and on the order of their axes, otherwise 0. */
int wl_optimizer_sees_tensors(const wl_optimizer *optimizer);

/* A run can be saved and resumed. The results have the same bits as in an uninterrupted run. To save a run, store the
 * state and the number of completed steps, wl_optimizer_steps(). To resume the run, start a run over the same tensors
 * with the same horizon, and set the steps and the state. The state consists of the float numbers of the rule and the
 * preconditioner. wl_optimizer_state_size() returns how many numbers the state has, or 0 if there is no run. The
 * functions return WL_ERR_USAGE if there is no run, if `size` is not wl_optimizer_state_size(), or if `steps` is
 * negative. */
int64_t wl_optimizer_steps(const wl_optimizer *optimizer);
int64_t wl_optimizer_state_size(const wl_optimizer *optimizer);
wl_status wl_optimizer_get_state(const wl_optimizer *optimizer, int64_t size, float *state);
wl_status wl_optimizer_set_state(wl_optimizer *optimizer, int64_t size, const float *state,
                                 int64_t steps);

/* A named tensor of phi, in C order, for meta-parameters that another program computed. */
typedef struct wl_meta_parameters {
  const char *name; /* "layer1.weight" */
  int64_t size;
  const double *values; /* [size] */
} wl_meta_parameters;

/* Writes an optimizer file. The inputs are meta-parameters and a YAML configuration of the update rule, a task and an
 * episode. All functions and commands that read optimizer files accept the written file.
 *
 *   WL_ERR_CONFIG         The configuration has an error.
 *   WL_ERR_USAGE          A tensor is missing, unknown or of another size, a number is not finite, or the configuration
 *                         has parts other than an update rule.
 *   WL_ERR_CANNOT_CREATE  The file cannot be written. */
wl_status wl_optimizer_write(const char *path, const char *configuration, int count,
                             const wl_meta_parameters *given);

#ifdef __cplusplus
}
#endif
#endif
