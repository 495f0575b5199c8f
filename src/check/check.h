/* check.h - `warploom check`: compares every block of the meta-gradient with central differences. A block is one tensor
 * of phi.
 *
 *   D(h) = (F(phi + h v) - F(phi - h v)) / 2h   against   a = <dF/dphi, v>,   v ~ N(0,1) on one block
 *   error(h) = |D(h) - a| / max(|a|, 0.1 ||block of dF/dphi||)
 *
 * The check uses several directions v and a geometric sequence of values of h, called the ladder. D and a are compared
 * with their signs. A separate rollout (check_rollout.c) computes F, not the window engine. In second order, F is the
 * exact meta-loss. In first order, F is the meta-loss with inner gradients frozen at the base point, because the
 * first-order meta-gradient is the derivative of this function.
 *
 * A block passes if it meets two conditions:
 *   - The error at the best h is within the tolerance. The error is measured for D(h) and for the extrapolation of
 *     D(h), which cancels its terms up to h^10. The check ignores an h if rounding of F alone causes an error above
 *     ten tolerances.
 *   - The error of D(h) falls as h^2 for every h where truncation dominates. This is the case where D(h) converges as
 *     h^2, which is tested without a. A kink (ReLU, clipping) within reach of h prevents this convergence.
 * If rounding of F hides a small gradient at every h of the ladder, the check also tries larger h, up to 3e4. F is then
 * nearly linear between phi - h v and phi + h v.
 *
 * In three other cases, the check does not report a wrong gradient:
 *   zero   The loss does not depend on the block, for example on a bias before a batch norm, and the gradient consists
 *          of rounding errors. Over the whole ladder, up to h = 0.3, max |F(phi +- h v) - F(phi)| and max h |a| are at
 *          most 300 rounding errors of F.
 *   kink   A kink is so close to the base point that D(h) is above rounding only for h that reach the kink. The slopes
 *          on the two sides then differ by a jump that does not fall with h.
 *   faint  The gradient is below 1e-4 of F, the lowest error is above the tolerance, and the error is within the noise
 *          of the differences. The noise is the sum of the changes of D to the two neighbouring h and 30 rounding
 *          errors of F, at the h where this sum is lowest. An example is the square root of Adam at gradients near
 *          zero: every h then has either a large rounding error or a large truncation error.
 * The report names blocks with a kink and faint blocks, and counts them neither as right nor as wrong. */
#ifndef WL_CHECK_CHECK_H
#define WL_CHECK_CHECK_H

#include <stdbool.h>

#include "base/layout.h"
#include "base/options.h"

/* The result for one block. */
typedef struct wl_check_block {
  char name[WL_NAME_SIZE];
  int task; /* task index */
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  double norm;  /* norm of the block's gradient */
  double error; /* relative error at the best h; maximum over directions */
  double slope; /* median order of the error in h; NaN if fewer than two orders were measured */
  bool zero; /* loss and gradient do not depend on the block, up to rounding */
  /* undecided: the error is explained by a kink that is too close for the differences */
  bool kink;
  /* undecided: the gradient is small, and its error is within the noise of the differences */
  bool faint;
  bool passed;
} wl_check_block;

/* The window that is checked for one task. */
typedef struct wl_check_task {
  char family[WL_NAME_SIZE];
  int64_t n, t0, steps; /* number of inner parameters, first step, number of steps */
  double meta_loss;
  double disagreement; /* relative difference of engine and rollout in meta-loss and final theta */
  bool passed;         /* engine and rollout agree */
} wl_check_task;

typedef struct wl_check_request {
  int directions;   /* number of random directions for each block */
  double tolerance; /* relative */
  /* number of windows before the checked window, which give it a nonzero starting state; -1: one window if the episode
   * is long enough and theta_0 is not learned, otherwise none */
  int64_t windows;
  const char *dump; /* path of a file for an independent recomputation; NULL: no file */
} wl_check_request;

typedef struct wl_check_report {
  wl_check_task *tasks;   /* [n_tasks] */
  wl_check_block *blocks; /* [count], in the order of the tasks */
  int n_tasks, count;
  bool second_order, passed;
  int moved;     /* number of blocks that started at zero and were moved by N(0, 0.01^2) before the check */
  int zeros;     /* number of blocks on which the loss does not depend */
  bool untested; /* most blocks are zero, so the check has hardly verified the gradients */
} wl_check_report;

/* Checks the meta-gradient of one window of unit 0 for every task in the configuration. For a wrong gradient, the
 * function returns WL_OK and sets report->passed to false. Returns WL_ERR_USAGE if the build does not compute in
 * float64, and WL_ERR_DATA if an inner run is not finite. Not collective. The caller clears the report with
 * wl_check_report_clear. */
wl_status wl_check(const wl_config *config, const wl_check_request *request,
                   wl_check_report *report);
void wl_check_report_clear(wl_check_report *report);

#endif
