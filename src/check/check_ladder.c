/* check_ladder.c - computes central differences and their extrapolation, and recognises kinks and rounding. */
#include "check/check_ladder.h"

#include <math.h>

enum { HIGHER = 10, COLUMNS = 6 };
static const double TOP = 0.316227766016837933; /* 10^-0.5 */
static const double RATIO = 0.316227766016837933;
/* largest relative error at which the order of the error is measured */
static const double ASYMPTOTIC = 0.05;
/* a value of h is always accepted if rounding of F causes at most this relative error of D */
static const double ENOUGH = 1e-6;
/* the order is measured only if the error of D is at least this multiple of its rounding error */
static const double ROUNDING_MARGIN = 30.0;
static const double SMOOTH_LEAST = 1.8,
                    SMOOTH_MOST = 2.2;   /* smallest and largest measured order of D that count as convergence */
/* number of rounding errors up to which a change of F counts as zero */
static const double ZERO_MARGIN = 300.0;
/* At a kink, the bend (see bend_stays) is at least this share of the bend at the previous h. */
static const double BEND_KEPT = 0.5;
/* At a kink, the error of D is at most this multiple of the bend. */
static const double BEND_SHARE = 3.0;
/* values of h beyond the largest h of the ladder are tried if the rounding error of D at this
 * largest h exceeds this share of the tolerance */
static const double FAINT = 0.03;
static const double FAINT_SHARE = 1e-4; /* rounding can hide only gradients below this share of F */
/* a value of h is accepted if the relative error of D that rounding of F causes is at most this
 * multiple of the tolerance */
static const double SEEN = 10.0;
static const double UNIT_ROUNDING = 2.3e-16;

/* The results for one h of the ladder. */
typedef struct rung {
  double difference;       /* D(h) */
  /* element k: D without its error terms up to h^(2k), computed from this rung and k earlier
   * rungs */
  double without[COLUMNS];
  double error;            /* relative difference of D from the claim */
  double floor;            /* relative error of D that rounding of F causes */
  double bend;             /* relative difference of the slopes on the two sides of the base point */
} rung;

/* Returns true if D converges as h^2 over rungs j to j + 3. The test does not use the value a.
 * Rounding prevents this convergence, and so does a kink or clipping between phi - h v and phi + h
 * v. */
static bool is_smooth(const rung *r, int j) {
  for (int i = j; i < j + 2; i++) {
    const double above = r[i].difference - r[i + 1].difference;
    const double below = r[i + 1].difference - r[i + 2].difference;
    const double order = log(above / below) / -log(RATIO); /* NaN if `above` or `below` is < 0 */
    if (!(order >= SMOOTH_LEAST && order <= SMOOTH_MOST)) return false;
  }
  return true;
}

/* Records the order of the error between neighbouring rungs where truncation dominates. */
static void record_orders(wl_ladder *l, const rung *r, int count) {
  for (int j = 0; j + 3 < count; j++) {
    const bool measurable =
        r[j].error <= ASYMPTOTIC && r[j + 1].error >= ROUNDING_MARGIN * r[j + 1].floor;
    if (!measurable || !(r[j + 1].error > 0.0) || !is_smooth(r, j)) continue;
    l->order[l->orders++] = log(r[j].error / r[j + 1].error) / -log(RATIO);
  }
}

/* Returns the relative error. The result is 0 for an error of exactly 0, even if the scale is 0. */
static double relative(double error, double scale) { return error == 0.0 ? 0.0 : error / scale; }

/* Computes D(h). */
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

/* Computes a row of Neville's table in h^2. Each earlier rung cancels one more term of the error of
 * D. The extrapolation is useful if rounding dominates already at large h. `ratio` is (h of this
 * rung / h of the previous rung)^2, and `before` is the number of earlier rungs. Returns the lowest
 * error of the row. */
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

/* Returns true if the rounding error of D is small enough for a comparison with the claim. Without
 * this condition, a small claim could agree with D = 0, to which rounding can change D. */
static bool is_seen(const wl_ladder *l, const rung *r) {
  return r->floor <= fmax(SEEN * l->tolerance, ENOUGH);
}

/* Tries values of h beyond the largest h of the ladder, because the gradient is so small that
 * rounding of F may hide the gradient on the whole ladder. F is nearly linear over this range of h.
 * If an error is NaN, fmin ignores this error. */
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
  l->moved = before.moved; /* restores the values of the ladder, without the larger h */
  l->claimed = before.claimed;
}

/* Returns true if the bend at rung j is about as large as the bend at the previous rung. The bend
 * is the difference of the slopes on the two sides of the base point. If F is smooth, the bend is h
 * F''. At a kink, the bend is a constant jump. */
static bool bend_stays(const rung *r, int j) {
  return j > 0 && r[j].bend >= BEND_KEPT * r[j - 1].bend;
}

/* Returns true if a kink explains the error at the smallest h at which rounding causes at most a
 * tenth of the error. The error of D is then at most a few times the jump of the slope at the kink.
 * This error decreases with h only if h is smaller than the distance to the kink. If F is smooth,
 * or if every kink is further away than the largest h, the function returns false for a wrong
 * gradient. */
static bool is_kink(const rung *r, int count) {
  int j = count - 1;
  while (j > 0 && !(r[j].floor <= 0.1 * r[j].error)) j--;
  return r[j].bend >= 10.0 * r[j].floor && r[j].error <= BEND_SHARE * r[j].bend &&
         (bend_stays(r, j) || (j > 0 && bend_stays(r, j - 1)));
}

/* Returns true if the gradient is small compared with F, and its error is within the noise of D.
 * The noise is a sum of two parts: rounding errors, and the changes of D to the two neighbouring
 * rungs. The rung with the lowest sum is used. The error of a wrong gradient is above the noise. */
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

/* Returns the lowest upper bound of the relative error over all rungs. The caller uses this bound
 * if is_seen is false at every rung. */
static double bound(const rung *r, int count) {
  double least = INFINITY;
  for (int i = 0; i < count; i++) /* fmin ignores NaN */
    least = fmin(least, r[i].error <= r[i].floor ? r[i].floor : r[i].error);
  return least;
}

bool wl_ladder_is_zero(double magnitude, double moved, double claimed) {
  const double nothing = ZERO_MARGIN * UNIT_ROUNDING * magnitude;
  return moved <= nothing && claimed <= nothing;
}

/* The ladder stops before its last rung if rounding clearly dominates. */
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
  /* for a zero block, neither a kink nor noise can explain an error */
  if (l->error <= l->tolerance || l->scale == 0.0) return;
  l->kink = is_kink(r, count);
  l->faint = !l->kink && is_hidden(l, r, count);
}
