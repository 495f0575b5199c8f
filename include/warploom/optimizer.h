/* optimizer.h - declares the functions with which a C program uses a trained optimizer.
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
 * Each step first applies the learned preconditioner, if there is one, to the gradient. The update
 * rule then computes the update from the preconditioned gradient, the parameters and the rule
 * state, as in training. The handle owns the rule state, which consists of float32 numbers.
 *
 * Link with -lwarploom (pkg-config warploom, or find_package(warploom) in CMake). The program does
 * not need MPI. No function of this header is collective. A handle can have one run at a time, and
 * only one thread may use the handle at a time. A program that trains several models at once loads
 * one handle for each model. Any thread may load a handle. The function wl_optimizer_load calls
 * HDF5. No other thread may call HDF5 during this call. A function that fails returns a code other
 * than WL_OK and stores a message; wl_last_error() returns this message. If a handle or array is
 * NULL, a function returns WL_ERR_USAGE. If a handle is NULL, functions that return no status
 * return 0 or an empty string.
 *
 * Results do not depend on the caller's locale, rounding mode or treatment of subnormal numbers.
 * The library rounds to nearest and treats subnormal numbers as zero. Before a function returns, it
 * restores the caller's settings. */
#ifndef WARPLOOM_OPTIMIZER_H
#define WARPLOOM_OPTIMIZER_H

#include <stdint.h>

#include "warploom/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wl_optimizer wl_optimizer;

/* Reads a trained optimizer. `path` names a file that `warploom export` wrote, a checkpoint, or a
 * run directory. In a run directory, the function reads the newest valid checkpoint. The caller
 * owns *optimizer. After a failure *optimizer is NULL.
 *
 *   WL_ERR_NO_INPUT   The file does not exist, or the data set of a task is missing.
 *   WL_ERR_DATA       The file is damaged, or it contains no optimizer that the library can apply.
 *
 * The function needs the data set of a task if a part of the optimizer depends on the task's
 * network. The library cannot apply an optimizer that was trained with warp layers, because warp
 * layers are part of the task's network. */
wl_status wl_optimizer_load(const char *path, wl_optimizer **optimizer);

/* Frees *optimizer and sets it to NULL; *optimizer may be NULL. */
void wl_optimizer_destroy(wl_optimizer **optimizer);

/* Returns the number of parameters that the optimizer can train. The value 0 means that the
 * optimizer can train any number of parameters. For example, the value is 0 if the optimizer
 * consists only of a coordinatewise rule. Any other value is the number of parameters of the
 * network for which the optimizer was trained. If the optimizer was trained for one network, theta
 * must contain this network's tensors in the network's order. */
int64_t wl_optimizer_parameters(const wl_optimizer *optimizer);

/* The function wl_optimizer_rule returns the name of the update rule, for example "lstm". The
 * function wl_optimizer_digest returns the digest of the meta-state in the file, as 16 hexadecimal
 * digits. The returned strings are valid until the handle is destroyed. */
const char *wl_optimizer_rule(const wl_optimizer *optimizer);
const char *wl_optimizer_digest(const wl_optimizer *optimizer);
/* These functions return the number of meta-parameters, the number of meta-steps in the training,
 * and the horizon. The horizon is the number of inner steps of the longest training episode. */
int64_t wl_optimizer_meta_parameters(const wl_optimizer *optimizer);
int64_t wl_optimizer_meta_steps(const wl_optimizer *optimizer);
int64_t wl_optimizer_horizon(const wl_optimizer *optimizer);

/* Sets the number of threads for the runs that start after this call; the default is 1. The number
 * of threads does not change any bit of the results. Returns WL_ERR_USAGE if `threads` is below 1
 * or above 4096. */
wl_status wl_optimizer_set_threads(wl_optimizer *optimizer, int threads);

/* Starts a run over n parameters at step 0 with a zero rule state. If the handle already has a run,
 * that run ends. The horizon of the run is wl_optimizer_horizon(). If the rule has a schedule, give
 * the number of steps of the whole run to wl_optimizer_start_tensors instead. Allocates all memory
 * of the run, for example 328 bytes per parameter for an LSTM with two layers of 20 units.
 *
 *   WL_ERR_USAGE   n is below 1, or wl_optimizer_parameters() is not 0 and differs from n.
 *   WL_ERR_USAGE   The rule needs the shapes of the tensors (wl_optimizer_start_tensors).
 *   WL_ERR_OS      There is not enough memory.
 *
 * After an error the handle has no run. */
wl_status wl_optimizer_start(wl_optimizer *optimizer, int64_t n);

/* Shape of one tensor of the caller's parameters. The tensor is stored in C order. */
typedef struct wl_tensor_shape {
  int ndim; /* 1 to 4 */
  int64_t shape[4];
} wl_tensor_shape;

/* Starts a run over the parameters of `count` tensors. Rules that use the shapes of tensors (muon,
 * lbfgs, controller, mlp, small_fc, celo2) require this call instead of wl_optimizer_start. For
 * wl_optimizer_step, theta and the gradient contain the tensors one after the other. The shape of a
 * dense layer's weight must be (in, out), and the shape of a convolution's weight must be (out, in,
 * rows, columns). `horizon` is the planned number of steps of the whole run; schedules and some rules
 * use this number. After this number of steps, the updates of the rule `controller` are zero. The
 * updates of a rule with a linear or cosine schedule are then zero, too, unless the key
 * `rule.final_fraction` is positive. If `horizon` is 0, the rule `controller` uses a schedule for an
 * unknown number of steps, and other rules use wl_optimizer_horizon().
 * Returns WL_ERR_USAGE if a shape is invalid, or if the optimizer belongs to a network with other
 * shapes. */
wl_status wl_optimizer_start_tensors(wl_optimizer *optimizer, int count,
                                     const wl_tensor_shape *tensors, int64_t horizon);

/* Sets the minibatch loss at the theta of the next step. The rule `controller` reads this loss;
 * other rules ignore the loss. The call is optional. Returns WL_ERR_USAGE if there is no run. */
wl_status wl_optimizer_set_loss(wl_optimizer *optimizer, double loss);

/* Copies the learned initial parameters into theta [n]. The initial parameters of tensors in the
 * list `initialisation.fresh` of the configuration were not learned. The function does not change
 * the values of tensors in this list. Returns WL_ERR_USAGE if no initial parameters were learned,
 * or if n differs from wl_optimizer_parameters(). */
wl_status wl_optimizer_initial(const wl_optimizer *optimizer, int64_t n, float *theta);

/* Does one step: theta [n] <- theta + u. The array `gradient` [n] contains the gradient of the loss
 * at theta. After the function has returned, the library does not access `gradient` or `theta`. The
 * arrays need no alignment and must not overlap. The function allocates no memory.
 *
 *   WL_ERR_USAGE   There is no run, or n differs from the run's n.
 *   WL_ERR_USAGE   An array is NULL, or the arrays overlap.
 *   WL_ERR_DATA    An element of the gradient or of the update is not finite.
 *
 * After an error of wl_optimizer_step, theta is unchanged. If the gradient is not finite, the rule
 * state is also unchanged. If the update is not finite, the rule state is lost, and the run has
 * ended. */
wl_status wl_optimizer_step(wl_optimizer *optimizer, int64_t n, const float *gradient,
                            float *theta);

/* The caller's arrays for one tensor, and two factors that scale the tensor's update and its weight
 * decay. */
typedef struct wl_tensor_step {
  const float *gradient; /* [size] */
  float *theta;          /* [size] */
  /* 1: `gradient` and `theta` store the transpose of the matrix; 0: they store the matrix itself */
  int transposed;
  /* if `rate` is 1 and `weight_decay` is 0, the step changes theta as in training */
  float rate, weight_decay;
} wl_tensor_step;

/* Does one step over the tensors of wl_optimizer_start_tensors: theta <- theta + rate (u -
 * weight_decay theta). The caller passes separate arrays for each tensor. The requirements on
 * arrays and the errors are the same as for wl_optimizer_step. If `rate` is 1 and `weight_decay` is
 * 0, the function computes the same bits as wl_optimizer_step. If `count` differs from the run's
 * number of tensors, the function returns WL_ERR_USAGE. */
wl_status wl_optimizer_step_tensors(wl_optimizer *optimizer, int count,
                                    const wl_tensor_step *tensors);

/* Returns 1 if the optimizer's updates depend on the shapes of tensors and on the order of their
 * axes. Otherwise, returns 0. */
int wl_optimizer_sees_tensors(const wl_optimizer *optimizer);

/* With these functions a program can save a run and resume it later. A resumed run computes the
 * same bits as an uninterrupted run. To save a run, store the result of wl_optimizer_get_state()
 * and the number of completed steps, wl_optimizer_steps(). To resume the run, start a run over the
 * same tensors with the same horizon. Then pass the stored state and the stored number of steps to
 * wl_optimizer_set_state(). The state consists of the float numbers of the rule and the
 * preconditioner. The function wl_optimizer_state_size() returns how many numbers the state has, or
 * 0 if there is no run. The functions that get or set the state return WL_ERR_USAGE if there is no
 * run, or if `size` is not wl_optimizer_state_size(). The function wl_optimizer_set_state() also
 * returns WL_ERR_USAGE if `steps` is negative. */
int64_t wl_optimizer_steps(const wl_optimizer *optimizer);
int64_t wl_optimizer_state_size(const wl_optimizer *optimizer);
wl_status wl_optimizer_get_state(const wl_optimizer *optimizer, int64_t size, float *state);
wl_status wl_optimizer_set_state(wl_optimizer *optimizer, int64_t size, const float *state,
                                 int64_t steps);

/* A tensor of meta-parameters that another program computed. The values of the tensor are in C
 * order. */
typedef struct wl_meta_parameters {
  const char *name; /* "layer1.weight" */
  int64_t size;
  const double *values; /* [size] */
} wl_meta_parameters;

/* Writes an optimizer file from meta-parameters and from a string that contains a YAML
 * configuration. The configuration must have the sections `rule`, `task` and `episode`. All
 * functions and commands that read optimizer files accept the written file.
 *
 *   WL_ERR_CONFIG         The configuration has an error.
 *   WL_ERR_USAGE          A tensor is missing, is unknown or has the wrong size for the rule.
 *   WL_ERR_USAGE          A meta-parameter is not finite.
 *   WL_ERR_USAGE          The configuration has a preconditioner, an initialisation or warp layers.
 *   WL_ERR_CANNOT_CREATE  The optimizer file cannot be written. */
wl_status wl_optimizer_write(const char *path, const char *configuration, int count,
                             const wl_meta_parameters *given);

#ifdef __cplusplus
}
#endif
#endif
