/* check_ladder.h - tests one direction v of one block. The ladder is a sequence of falling values of h, and a rung is
 * one of them. The claim a = <dF/dphi, v> is compared with central differences D(h) on the ladder. If an error remains,
 * the cases defined in check.h may explain it. */
#ifndef WL_CHECK_CHECK_LADDER_H
#define WL_CHECK_CHECK_LADDER_H

#include <stdbool.h>

enum { WL_LADDER_RUNGS = 20 };

typedef struct wl_ladder {
  double (*loss)(void *context, double h); /* returns F(phi + h v) */
  void *context;
  double base;      /* F(phi) */
  double magnitude; /* scale of the rounding error of F */
  double claim;     /* a */
  double scale;     /* denominator of relative errors */
  double tolerance; /* relative */
  /* results */
  double error;                  /* lowest relative error on the ladder */
  double moved, claimed;         /* largest change of F on the ladder: observed, and predicted by a */
  bool kink, faint;              /* a kink, or noise, explains an error above the tolerance */
  double order[WL_LADDER_RUNGS]; /* orders of the error in h, measured where truncation dominates */
  int orders;
} wl_ladder;

/* Computes the results from the other members of *ladder. Calls ladder->loss for each h of the ladder. */
void wl_ladder_climb(wl_ladder *ladder);
/* Returns true if the gradient is zero up to rounding, so that it has no relative error. Over the whole ladder, the
 * changes of F (`moved`) and the changes that the gradient predicts (`claimed`) must then be within rounding of
 * `magnitude`. */
bool wl_ladder_is_zero(double magnitude, double moved, double claimed);

#endif
