/* check.h - `warploom check`: compares every block of the meta-gradient with central differences. A block is one tensor
 * of phi.
 *
 *   D(h) = (F(phi + h v) - F(phi - h v)) / 2h   against   a = <dF/dphi, v>,   v ~ N(0,1) on one block
 *   error(h) = |D(h) - a| / max(|a|, 0.1 ||block of dF/dphi||)
 *
 * The check uses several directions v and a geometric sequence of values of h, called the ladder.
 * The comparison includes the sign of D(h) and the sign of the value a. F is computed by a separate
 * rollout (check_rollout.c) and not by the window engine. In second order, F is the exact
 * meta-loss. In first order, F is the meta-loss with inner gradients frozen at the base point,
 * because the first-order meta-gradient is the derivative of this function.
 *
 * A block passes if it meets two conditions:
 * - The lowest error over all values of h is within the tolerance. The error is measured for D(h)
 *   and for the extrapolation of D(h), in which the error terms up to h^10 cancel. The check
 *   ignores a value of h if rounding of F alone causes an error above ten times the tolerance.
 * - The error of D(h) falls as h^2 for every h where truncation dominates. The check assumes that
 *   truncation dominates where D(h) itself converges as h^2. The test of this convergence does not
 *   use the value a. A kink (ReLU, clipping) between phi - h v and phi + h v prevents the
 *   convergence.
 *
 * If rounding of F hides a small gradient at every h of the ladder, the check also tries larger h,
 * up to 3e4. For a gradient that is so small, F is nearly linear between phi - h v and phi + h v.
 *
 * In three other cases, the check does not report a wrong gradient:
 * - A zero block: the loss does not depend on the block, for example on a bias before a batch norm.
 *   The gradient consists of rounding errors. Over the whole ladder, up to h = 0.3, the changes
 *   |F(phi +- h v) - F(phi)| and the values h |a| are at most 300 rounding errors of F.
 * - A kink: the base point is so close to a kink that the rounding error of D(h) is too large at
 *   every h below the distance to the kink. The slopes of F on the two sides of the base point then
 *   differ by a jump that does not fall with h.
 * - A faint block: the gradient is below 1e-4 of F, the lowest error is above the tolerance, and
 *   this error is within the noise of the differences. The noise at a value of h is the sum of 30
 *   rounding errors and of two changes of D: between this h and the next larger one, and between
 *   this h and the next smaller one. The check uses the h with the lowest noise. An example is the
 *   square root of Adam at gradients near zero: every h then has either a large rounding error or a
 *   large truncation error.
 *
 * The report names the blocks with a kink and the faint blocks, and counts these blocks neither as
 * right nor as wrong. */
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
  double error; /* lowest relative error over the values of h, as the maximum over the directions */
  double slope; /* median order of the error in h; NaN if fewer than two orders were measured */
  bool zero; /* true if the loss does not depend on the block, up to rounding */
  /* true if a kink near the base point explains the error, so that the result is undecided */
  bool kink;
  /* true if the gradient is small and its error is within the noise of the differences, so that the
   * result is undecided */
  bool faint;
  bool passed;
} wl_check_block;

/* The window that is checked for one task. */
typedef struct wl_check_task {
  char family[WL_NAME_SIZE];
  /* number of inner parameters; first inner step and number of inner steps of the window */
  int64_t n, t0, steps;
  double meta_loss;
  /* the larger one of two relative differences between engine and rollout: the difference of the
   * meta-losses, and the difference of the final theta */
  double disagreement;
  bool passed;         /* true if engine and rollout agree */
} wl_check_task;

typedef struct wl_check_request {
  int directions;   /* number of random directions for each block */
  double tolerance; /* largest accepted relative error */
  /* number of windows that run before the checked window, so that the rule state at the start of
   * the checked window is not zero. The value -1 selects 0 windows if theta_0 is learned or the
   * episode has only one window. In all other cases, -1 selects 1 window. */
  int64_t windows;
  const char *dump; /* path of the file for an independent recomputation; NULL for no file */
} wl_check_request;

typedef struct wl_check_report {
  wl_check_task *tasks;   /* results of the tasks [n_tasks] */
  wl_check_block *blocks; /* results of the blocks [count], in the order of the tasks */
  int n_tasks, count;
  bool second_order, passed;
  /* number of blocks that were zero and received random numbers from N(0, 0.01^2) before the
   * check */
  int moved;
  int zeros;     /* number of blocks on which the loss does not depend */
  /* true if the loss does not depend on most blocks, so that the check has verified few
   * gradients */
  bool untested;
} wl_check_report;

/* Checks the meta-gradient of one window of unit 0 for every task in the configuration. For a wrong gradient, the
 * function returns WL_OK and sets report->passed to false. Returns WL_ERR_USAGE if the build does not compute in
 * float64, and WL_ERR_DATA if an inner run is not finite. Not collective. The caller clears the report with
 * wl_check_report_clear. */
wl_status wl_check(const wl_config *config, const wl_check_request *request,
                   wl_check_report *report);
void wl_check_report_clear(wl_check_report *report);

#endif
