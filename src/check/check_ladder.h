/* check_ladder.h - one direction v of one block: the claim a = <dF/dphi, v> against central differences D(h)
 * on a ladder of h, and what may explain an error that stays (check.h has the words for it). */
#ifndef WL_CHECK_CHECK_LADDER_H
#define WL_CHECK_CHECK_LADDER_H

#include <stdbool.h>

enum { WL_LADDER_RUNGS = 20 };

typedef struct wl_ladder {
  double (*loss)(void *context, double h); /* F(phi + h v) */
  void *context;
  double base;      /* F(phi) */
  double magnitude; /* what rounding of F is relative to */
  double claim;     /* a */
  double scale;     /* what errors are relative to */
  double tolerance; /* relative */
  /* what comes of it */
  double error;                  /* the least on the ladder, relative */
  double moved, claimed;         /* the most that F moves on it, and the most that the claim says */
  bool kink, faint;              /* explains an error beyond the tolerance */
  double order[WL_LADDER_RUNGS]; /* of the error in h, where truncation rules it */
  int orders;
} wl_ladder;

void wl_ladder_climb(wl_ladder *ladder);
/* A gradient that is zero but for rounding has no relative error: F stays where it is over the whole
 * ladder up to its rounding, and the gradient says so too. */
bool wl_ladder_is_zero(double magnitude, double moved, double claimed);

#endif
