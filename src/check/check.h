/* check.h - `warploom check`: every meta-gradient block against central differences.
 *
 *   D(h) = (F(phi + h v) - F(phi - h v)) / 2h   against   a = <dF/dphi, v>,   v ~ N(0,1) on one block
 *   error(h) = |D(h) - a| / max(|a|, 0.1 ||block of dF/dphi||)
 *
 * signed, over several directions v and a geometric ladder of h. F comes from a rollout of its own
 * (check_rollout.c), not from the window engine. Second order: F is the real function. First order
 * is no gradient of it; there the inner gradients are frozen at the base point, which makes it one.
 * Two things are asked of a block: the error at the best h is within the tolerance, D(h) itself or
 * with its terms up to h^10 extrapolated away; and where truncation rules, the error of D(h) falls as h^2.
 * It is taken to rule where D(h) by itself converges in that order, with no kink (ReLU, a clip)
 * within reach of h. Where rounding of F hides a faint gradient at every h of the ladder, larger ones up
 * to 3e4 are tried, over which F is then nearly straight.
 *
 * Three cases are told from a wrong gradient. Zero: a bias ahead of a batch norm moves no loss, and its
 * gradient is rounding alone; such a block has max |F(phi +- h v) - F(phi)| and max h |a| within 300
 * roundings of F over the whole ladder, which reaches |h| = 0.3. Kink: one that is closer to the base
 * point than the least h that rounding leaves readable; the one-sided slopes then differ by a jump
 * that does not fall with h. Faint: one below 1e-4 of F whose least error is above the tolerance, but, where that
 * is least, not beyond what D(h) differs from D at the next h and 30 roundings of F: Adam's root at gradients
 * near zero, say, bends F so early that rounding and truncation leave no h between them. Agreement where the
 * rounding of F makes more than ten tolerances is luck and does not count. A kink or a faint block is named,
 * and counts neither as right nor as wrong. */
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
  double norm;  /* of the block's gradient */
  double error; /* relative, at the best h; the largest over directions */
  double slope; /* median order of the error in h; NaN where fewer than two pairs show one */
  bool zero; /* the loss does not depend on the block, up to rounding, and the gradient says so */
  /* undecided: a kink lies closer than differences can resolve, and explains the error */
  bool kink;
  /* undecided: rounding of the loss hides so small a gradient, which agrees as far as can be seen */
  bool faint;
  bool passed;
} wl_check_block;

/* One task's window. */
typedef struct wl_check_task {
  char family[WL_NAME_SIZE];
  int64_t n, t0, steps; /* inner parameters, first step, number of steps */
  double meta_loss;
  double disagreement; /* relative, of engine and rollout: meta-loss and theta at the end */
  bool passed;         /* they agree */
} wl_check_task;

typedef struct wl_check_request {
  int directions;   /* random directions for each block */
  double tolerance; /* relative */
  int64_t windows;  /* windows run before the one that is checked, so that its state is not zero;
                       -1: one where the episode has room and theta_0 is not learned, else none */
  const char *dump; /* file to write for an outsider, NULL: none */
} wl_check_request;

typedef struct wl_check_report {
  wl_check_task *tasks;   /* [n_tasks] */
  wl_check_block *blocks; /* [count], task by task */
  int n_tasks, count;
  bool second_order, passed;
  int moved;     /* blocks that start at zero and were moved by N(0, 0.01^2) before the check */
  int zeros;     /* blocks that move no loss */
  bool untested; /* most blocks are such: agreement says nothing about the gradients */
} wl_check_report;

/* Checks the meta-gradient of one window of unit 0 of every task in the configuration. Needs the
 * float64 build: WL_ERR_USAGE otherwise. A wrong gradient is no failure but report->passed false.
 * WL_ERR_DATA when an inner run is not finite. Not collective. The caller clears the report. */
wl_status wl_check(const wl_config *config, const wl_check_request *request,
                   wl_check_report *report);
void wl_check_report_clear(wl_check_report *report);

#endif
