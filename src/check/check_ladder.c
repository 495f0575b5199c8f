/* check_ladder.c - differences, their extrapolation, kinks and rounding. */
#include "check/check_ladder.h"

#include <math.h>

enum { HIGHER = 10, COLUMNS = 6 };
static const double TOP = 0.316227766016837933; /* 10^-0.5 */
static const double RATIO = 0.316227766016837933;
static const double ASYMPTOTIC = 0.05;      /* errors above it say nothing about the order */
static const double ENOUGH = 1e-6;          /* a rise above it need not be rounding's */
static const double ROUNDING_MARGIN = 30.0; /* errors within it of the rounding of F neither */
static const double SMOOTH_LEAST = 1.8,
                    SMOOTH_MOST = 2.2;   /* order of D itself where it converges */
static const double ZERO_MARGIN = 300.0; /* units of rounding of F that are still nothing */
static const double BEND_KEPT = 0.5;     /* least share of a bend that the next h keeps at a kink */
static const double BEND_SHARE = 3.0;    /* an error beyond so many bends is no kink's */
static const double FAINT = 0.03; /* share of the tolerance that rounding may have at the top */
static const double FAINT_SHARE = 1e-4; /* of F: a larger gradient is not hidden by its rounding */
static const double SEEN = 10.0;        /* tolerances of rounding beyond which agreement is luck */
static const double UNIT_ROUNDING = 2.3e-16;

/* One h of the ladder. */
typedef struct rung {
  double difference;       /* D(h) */
  double without[COLUMNS]; /* D without its terms up to h^2k, by the k rungs before */
  double error;            /* of D, relative */
  double floor;            /* what rounding of F alone makes of it */
  double bend; /* of the slopes on either side of the base point, their relative difference */
} rung;

/* Whether D itself, without asking for a, converges as h^2 from rung j over the next three: a kink
 * or a clip within reach of h, or rounding, breaks that. */
static bool is_smooth(const rung *r, int j) {
  for (int i = j; i < j + 2; i++) {
    const double above = r[i].difference - r[i + 1].difference;
    const double below = r[i + 1].difference - r[i + 2].difference;
    const double order = log(above / below) / -log(RATIO); /* NaN for opposite signs */
    if (!(order >= SMOOTH_LEAST && order <= SMOOTH_MOST)) return false;
  }
  return true;
}

/* The order of the error between neighbours on the ladder, where truncation rules it. */
static void record_orders(wl_ladder *l, const rung *r, int count) {
  for (int j = 0; j + 3 < count; j++) {
    const bool measurable =
        r[j].error <= ASYMPTOTIC && r[j + 1].error >= ROUNDING_MARGIN * r[j + 1].floor;
    if (!measurable || !(r[j + 1].error > 0.0) || !is_smooth(r, j)) continue;
    l->order[l->orders++] = log(r[j].error / r[j + 1].error) / -log(RATIO);
  }
}

/* An exact zero is none of any scale. */
static double relative(double error, double scale) { return error == 0.0 ? 0.0 : error / scale; }

/* D(h). */
static rung step_on(wl_ladder *l, double h) {
  const double above = l->loss(l->context, h), below = l->loss(l->context, -h);
  const double difference = (above - below) / (2.0 * h);
  l->moved = fmax(l->moved, fmax(fabs(above - l->base), fabs(below - l->base)));
  l->claimed = fmax(l->claimed, h * fabs(l->claim));
  return (rung){.difference = difference,
                .error = relative(fabs(difference - l->claim), l->scale),
                .floor = UNIT_ROUNDING * l->magnitude / (h * l->scale),
                .bend = fabs(above - 2.0 * l->base + below) / (h * l->scale)};
}

/* Neville's table in h^2: each rung before cancels one more term of D's error, which helps where rounding
 * sets in early. `ratio` is the square of (h here / h before), `before` that many rungs. Returns the
 * least error. */
static double extrapolate(const wl_ladder *l, rung *here, int before, double ratio) {
  double best = here->error, factor = 1.0;
  here->without[0] = here->difference;
  for (int k = 1; k <= before && k < COLUMNS; k++) {
    factor /= ratio;
    here->without[k] =
        here->without[k - 1] + (here->without[k - 1] - here[-1].without[k - 1]) / (factor - 1.0);
    best = fmin(best, relative(fabs(here->without[k] - l->claim), l->scale));
  }
  return best;
}

/* Whether D says anything there: where F does not move any more, D is 0, and so would any small claim be right. */
static bool is_seen(const wl_ladder *l, const rung *r) {
  return r->floor <= fmax(SEEN * l->tolerance, ENOUGH);
}

/* A gradient so faint that F's rounding hides it on all of the ladder shows above it, where F is still
 * nearly straight. (fmin leaves NaN out.) */
static void look_above(wl_ladder *l) {
  const wl_ladder before = *l;
  rung r[HIGHER];
  double h = TOP;
  for (int i = 0; i < HIGHER && !(l->error <= l->tolerance); i++) {
    h /= RATIO;
    r[i] = step_on(l, h);
    const double error = extrapolate(l, &r[i], i, 1.0 / (RATIO * RATIO));
    if (is_seen(l, &r[i])) l->error = fmin(l->error, error);
  }
  l->moved = before.moved; /* of the ladder alone */
  l->claimed = before.claimed;
}

/* Of a smooth F the slopes on the two sides of the base point differ by h F'', at a kink by a jump. */
static bool bend_stays(const rung *r, int j) {
  return j > 0 && r[j].bend >= BEND_KEPT * r[j - 1].bend;
}

/* Whether a kink within reach of the least h that rounding leaves readable explains the error there:
 * D is then off by no more than jumps, which do not fall with h (at the last h below them they may).
 * A wrong gradient of a smooth F, or of one whose kinks are further away, is not explained. */
static bool is_kink(const rung *r, int count) {
  int j = count - 1;
  while (j > 0 && !(r[j].floor <= 0.1 * r[j].error)) j--;
  return r[j].bend >= 10.0 * r[j].floor && r[j].error <= BEND_SHARE * r[j].bend &&
         (bend_stays(r, j) || (j > 0 && bend_stays(r, j - 1)));
}

/* Whether a gradient that is small beside F is as near to D as D is to itself one rung up and down, and
 * rounding lets it be, at the rung where that is least. Of a wrong one D keeps further away there. */
static bool is_hidden(const wl_ladder *l, const rung *r, int count) {
  double least = INFINITY, error = NAN;
  for (int i = 1; i + 1 < count; i++) {
    const double wobble =
        fabs(r[i].difference - r[i - 1].difference) + fabs(r[i + 1].difference - r[i].difference);
    const double doubt = wobble / l->scale + ROUNDING_MARGIN * r[i].floor;
    if (!(doubt < least)) continue;
    least = doubt;
    error = r[i].error;
  }
  return l->scale <= FAINT_SHARE * l->magnitude && error <= least;
}

/* The error that can be told from rounding where none is seen. */
static double bound(const rung *r, int count) {
  double least = INFINITY;
  for (int i = 0; i < count; i++) /* fmin leaves NaN out */
    least = fmin(least, r[i].error <= r[i].floor ? r[i].floor : r[i].error);
  return least;
}

bool wl_ladder_is_zero(double magnitude, double moved, double claimed) {
  const double nothing = ZERO_MARGIN * UNIT_ROUNDING * magnitude;
  return moved <= nothing && claimed <= nothing;
}

/* Down the ladder; stops when rounding has clearly taken over. */
void wl_ladder_climb(wl_ladder *l) {
  rung r[WL_LADDER_RUNGS];
  int count = 0;
  double h = TOP;
  l->error = INFINITY;
  for (int rises = 0; count < WL_LADDER_RUNGS && rises < 3; count++, h *= RATIO) {
    r[count] = step_on(l, h);
    const double error = extrapolate(l, &r[count], count, RATIO * RATIO);
    const bool better = error <= l->error && is_seen(l, &r[count]);
    rises = l->error < ENOUGH && !better ? rises + 1 : 0;
    if (better) l->error = error;
  }
  record_orders(l, r, count);
  const bool zero = wl_ladder_is_zero(l->magnitude, l->moved, l->claimed);
  if (!zero && r[0].floor > FAINT * l->tolerance) look_above(l);
  if (isinf(l->error)) l->error = bound(r, count);
  if (l->error <= l->tolerance || l->scale == 0.0) return; /* nothing explains a block of zeros */
  l->kink = is_kink(r, count);
  l->faint = !l->kink && is_hidden(l, r, count);
}
