/* check_ladder.h - one direction v of one block: the claim a = <dF/dphi, v> against central differences D(h)
 * on a ladder of h, and the cases that may explain a remaining error (defined in check.h). */
#ifndef WL_CHECK_CHECK_LADDER_H
#define WL_CHECK_CHECK_LADDER_H

#include <stdbool.h>

enum { WL_LADDER_RUNGS = 20 };

typedef struct wl_ladder {
  double (*loss)(void *context, double h); /* F(phi + h v) */
  void *context;
  double base;      /* F(phi) */
  double magnitude; /* scale of F's rounding error */
  double claim;     /* a */
  double scale;     /* denominator of relative errors */
  double tolerance; /* relative */
  /* results */
  double error;                  /* least relative error on the ladder */
  double moved, claimed;         /* largest change of F on the ladder, observed and claimed */
  bool kink, faint;              /* explains an error above the tolerance */
  double order[WL_LADDER_RUNGS]; /* order of the error in h, where truncation dominates */
  int orders;
} wl_ladder;

void wl_ladder_climb(wl_ladder *ladder);
/* Whether the gradient is zero up to rounding and so has no relative error: over the whole ladder the changes
 * of F, and the changes that the gradient predicts, are within rounding. */
bool wl_ladder_is_zero(double magnitude, double moved, double claimed);

#endif
