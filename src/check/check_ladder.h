/* check_ladder.h - tests the meta-gradient of one block along one direction v.
 *
 * The ladder is a sequence of falling values of h. One value of h is called a rung. The test
 * compares a = <dF/dphi, v>, which is called the claim, with the central difference D(h) at each
 * rung. If the error is above the tolerance, the test checks whether one of the cases that check.h
 * defines explains the error. */
#ifndef WL_CHECK_CHECK_LADDER_H
#define WL_CHECK_CHECK_LADDER_H

#include <stdbool.h>

enum { WL_LADDER_RUNGS = 20 };

typedef struct wl_ladder {
  double (*loss)(void *context, double h); /* returns F(phi + h v) */
  void *context;
  double base;      /* F(phi) */
  double magnitude; /* the rounding error of F is proportional to this value */
  double claim;     /* the directional derivative a = <dF/dphi, v> that the gradient predicts */
  double scale;     /* denominator of the relative errors */
  double tolerance; /* largest accepted relative error */
  /* results */
  double error;                  /* lowest relative error on the ladder */
  /* largest change of F on the ladder: `moved` is measured, and `claimed` is predicted from the
   * claim */
  double moved, claimed;
  bool kink, faint;              /* true if a kink or noise explains an error above the tolerance */
  double order[WL_LADDER_RUNGS]; /* orders of the error in h, measured where truncation dominates */
  int orders;
} wl_ladder;

/* Computes the results from the other members of *ladder. Calls ladder->loss for each h of the ladder. */
void wl_ladder_climb(wl_ladder *ladder);
/* Returns true if the gradient is zero up to rounding, so that it has no relative error. This is
 * the case if `moved` and `claimed` are at most a small number of rounding errors of `magnitude`.
 * `moved` is the largest change of F on the ladder, and `claimed` is the largest change that the
 * gradient predicts. */
bool wl_ladder_is_zero(double magnitude, double moved, double claimed);

#endif
