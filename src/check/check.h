/* check.h - `warploom check`: every meta-gradient block against central differences.
 *
 *   D(h) = (F(phi + h v) - F(phi - h v)) / 2h   against   a = <dF/dphi, v>,   v ~ N(0,1) on one block
 *   error(h) = |D(h) - a| / max(|a|, 0.1 ||block of dF/dphi||)
 *
 * for several directions v and a geometric ladder of h. D and a are compared with their signs. A separate rollout
 * (check_rollout.c) computes F, not the window engine. In second order, F is the exact meta-loss. In first order, F is
 * the meta-loss with inner gradients frozen at the base point, because the first-order meta-gradient is the derivative
 * of this function.
 *
 * A block passes if it meets two conditions:
 *   - The error at the best h is within the tolerance, for D(h) or for its extrapolation, which cancels the
 *     terms up to h^10. An h does not count if rounding of F alone causes an error above ten tolerances.
 *   - The error of D(h) falls as h^2 wherever truncation dominates. Truncation dominates where D(h) converges
 *     as h^2 without reference to a; a kink (ReLU, a clip) within reach of h prevents this.
 * If rounding of F hides a small gradient at every h of the ladder, the check also tries larger h up to 3e4, over which
 * F is then nearly linear.
 *
 * Three other cases are not wrong gradients:
 *   zero   The loss does not depend on the block, for example on a bias ahead of a batch norm, and the gradient
 *          consists of rounding errors. max |F(phi +- h v) - F(phi)| and max h |a| are within 300 roundings of F
 *          over the whole ladder, which reaches |h| = 0.3.
 *   kink   A kink is closer to the base point than the least h at which D(h) is above rounding. The one-sided
 *          slopes then differ by a jump that does not fall with h.
 *   faint  The gradient is below 1e-4 of F, the least error is above the tolerance, and the error is within the
 *          noise of the differences: at the h with the least noise, it is at most the changes of D to the two
 *          neighbouring h plus 30 roundings of F. Adam's root at gradients near zero, for example, bends F so
 *          much that every h has either a large rounding error or a large truncation error.
 * The report names blocks with a kink and faint blocks. These blocks count neither as right nor as wrong. */
#ifndef WL_CHECK_CHECK_H
#define WL_CHECK_CHECK_H

#include <stdbool.h>

#include "base/layout.h"
#include "base/options.h"

/* One block's verdict. */
typedef struct wl_check_block {
  char name[WL_NAME_SIZE];
  int task; /* index in the configuration */
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  double norm;  /* norm of the block's gradient */
  double error; /* relative error at the best h; the largest over directions */
  double slope; /* median order of the error in h; NaN if fewer than two orders were measured */
  bool zero; /* loss and gradient do not depend on the block, up to rounding */
  /* undecided: a kink closer than differences can resolve explains the error */
  bool kink;
  /* undecided: the gradient is small, and its error is within the noise of the differences */
  bool faint;
  bool passed;
} wl_check_block;

/* One task's window. */
typedef struct wl_check_task {
  char family[WL_NAME_SIZE];
  int64_t n, t0, steps; /* inner parameters, first step, number of steps */
  double meta_loss;
  double disagreement; /* relative difference of engine and rollout in meta-loss and final theta */
  bool passed;         /* engine and rollout agree */
} wl_check_task;

typedef struct wl_check_request {
  int directions;   /* random directions for each block */
  double tolerance; /* relative */
  /* number of windows before the checked window, so that the checked window starts with a state that is not zero; -1:
   * one window if the episode is long enough and theta_0 is not learned, otherwise none */
  int64_t windows;
  const char *dump; /* file to write for an independent recomputation; NULL: none */
} wl_check_request;

typedef struct wl_check_report {
  wl_check_task *tasks;   /* [n_tasks] */
  wl_check_block *blocks; /* [count], in the order of the tasks */
  int n_tasks, count;
  bool second_order, passed;
  int moved;     /* blocks that start at zero and were moved by N(0, 0.01^2) before the check */
  int zeros;     /* blocks on which the loss does not depend */
  bool untested; /* most blocks are zero: agreement does not verify the gradients */
} wl_check_report;

/* Checks the meta-gradient of one window of unit 0 of every task in the configuration. Needs the
 * float64 build: WL_ERR_USAGE otherwise. For a wrong gradient the function returns WL_OK with report->passed false.
 * WL_ERR_DATA if an inner run is not finite. Not collective. The caller clears the report. */
wl_status wl_check(const wl_config *config, const wl_check_request *request,
                   wl_check_report *report);
void wl_check_report_clear(wl_check_report *report);

#endif
