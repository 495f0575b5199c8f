/* speedup.c - computes the curves of tuned rules, the speed-up of each run of the learned rule, and
 * medians and means over the runs. The protocol is in speedup.h. */
#include "evaluate/speedup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/statistic.h"
#include "evaluate/speedup_impl.h"

enum { RESAMPLES = 2000, PUBLISHED_KNOTS = 512, PUBLISHED_STEPS = 100000 };

static const struct {
  const char *rule;
  int lowest;
} rules[] = {{"adam", -14}, {"nesterov", -10}, {"nadamw", -14}, {"lion", -14}, {"muon", -14}};
static const char *const schedules[] = {"constant", "linear", "cosine"};

int wl_baselines(wl_baseline out[WL_MAX_BASELINES]) {
  int count = 0;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    for (size_t j = 0; j < sizeof schedules / sizeof *schedules; j++) {
      wl_baseline *b = &out[count++];
      *b = (wl_baseline){.lowest = rules[i].lowest};
      snprintf(b->rule, sizeof b->rule, "%s", rules[i].rule);
      snprintf(b->schedule, sizeof b->schedule, "%s", schedules[j]);
      snprintf(b->name, sizeof b->name, "%s%s%s", b->rule, j ? "-" : "", j ? schedules[j] : "");
    }
  return count;
}

wl_status wl_baseline_find(const char *name, wl_baseline *out) {
  wl_baseline all[WL_MAX_BASELINES];
  const int count = wl_baselines(all);
  for (int i = 0; i < count; i++)
    if (strcmp(all[i].name, name) == 0) {
      *out = all[i];
      return WL_OK;
    }
  return WL_FAIL(
      WL_ERR_USAGE,
      "--baselines %s: there is no such rule; accepted are adam, nesterov, nadamw, lion and muon, each also "
      "with the suffix -linear or -cosine",
      name);
}

double wl_baseline_rate(const wl_baseline *b, int index) {
  return pow(10.0, (b->lowest + index) / 2.0);
}

bool wl_baseline_tries(const wl_baseline *b, const wl_suite_task *t) {
  for (int i = 0; i < WL_SPEEDUP_RATES; i++)
    if (wl_suite_allows(t, wl_baseline_rate(b, i))) return true;
  return false;
}

int64_t wl_speedup_points(int64_t last, bool growing, int64_t *steps) {
  int64_t count = 0, t = 0;
  while (t < last) {
    const int64_t next = growing ? t + 1 + t / 20 : t + 10;
    t = next < last ? next : last;
    if (steps) steps[count] = t;
    count++;
  }
  return count;
}

/* ---- Curves --------------------------------------------------------------------------------- */

/* Returns the decay of the running mean between the points k - 1 and k of a curve. `smoothing` is
 * the decay of the running mean in ten inner steps. */
static double kept(const wl_baseline_curve *c, int64_t k, double smoothing) {
  return k > 0 ? pow(smoothing, (double)(c->steps[k] - c->steps[k - 1]) / 10.0) : 0.0;
}

/* Sets lowest[k] to the lowest smoothed mean loss of all rates at point k of the curve. */
static void find_lowest(const wl_baseline_curve *c, double smoothing, double *lowest) {
  const bool constant = strcmp(c->baseline.schedule, "constant") == 0;
  for (int64_t k = 0; k < c->points; k++) lowest[k] = INFINITY;
  for (int i = 0; i < WL_SPEEDUP_RATES; i++) {
    double mean = c->loss[i * c->points];
    for (int64_t k = 0; k < c->points; k++) {
      /* losses of a rule with a schedule are not smoothed, because each point is a separate run */
      const double loss = c->loss[i * c->points + k], keep = constant ? kept(c, k, smoothing) : 0.0;
      mean = keep > 0.0 ? keep * mean + (1 - keep) * loss : loss;
      if (mean < lowest[k]) lowest[k] = mean;
    }
  }
}

void wl_speedup_envelope(wl_baseline_curve *c, double smoothing) {
  find_lowest(c, smoothing, c->best);
  for (int64_t k = 1; k < c->points; k++)
    if (!(c->best[k] < c->best[k - 1])) c->best[k] = c->best[k - 1];
}

/* Returns the value at `step` of the piecewise linear function through the points of `lowest`. */
static double lowest_at(const wl_baseline_curve *c, const double *lowest, double step) {
  int64_t k = 0;
  while (k + 1 < c->points && (double)c->steps[k] < step) k++;
  const double b = (double)c->steps[k];
  if (k == 0 || step >= b) return lowest[k];
  const double a = (double)c->steps[k - 1];
  return lowest[k - 1] + (step - a) / (b - a) * (lowest[k] - lowest[k - 1]);
}

double wl_speedup_as_published(const wl_baseline_curve *c, double smoothing, int64_t step) {
  const double spacing = (double)PUBLISHED_STEPS / (PUBLISHED_KNOTS - 1);
  const int64_t last = (int64_t)ceil((double)step / spacing);
  double *lowest = NULL, before = INFINITY, best = INFINITY;
  if (c->steps[c->points - 1] < step || WL_NEW(lowest, c->points) != WL_OK) return NAN;
  find_lowest(c, smoothing, lowest);
  for (int64_t i = 0; i <= last; i++) {
    before = best;
    best = fmin(best, lowest_at(c, lowest, (double)i * spacing));
  }
  wl_free(lowest);
  return before + ((double)step / spacing - (double)(last - 1)) * (best - before);
}

/* Returns t(f), the step at which the curve reaches the loss f = `loss`. If the curve does not
 * reach f, returns its last step and sets *capped to true. */
static double steps_to(const wl_baseline_curve *c, double loss, bool *capped) {
  int64_t k = 0;
  while (k < c->points && !(c->best[k] <= loss)) k++;
  *capped = k == c->points;
  if (*capped) return (double)c->steps[c->points - 1];
  if (k == 0 || !isfinite(c->best[k - 1])) return (double)c->steps[k];
  const double share = (c->best[k - 1] - loss) / (c->best[k - 1] - c->best[k]);
  const double a = (double)c->steps[k - 1], b = (double)c->steps[k];
  if (strcmp(c->baseline.schedule, "constant") == 0) return a + share * (b - a);
  return a * pow(b / a, share);
}

/* Returns the lowest loss that the baseline reaches within `horizon` steps. */
static double best_at(const wl_baseline_curve *c, int64_t horizon) {
  double best = NAN;
  for (int64_t k = 0; k < c->points && c->steps[k] <= horizon; k++) best = c->best[k];
  return best;
}

bool wl_curve_covers(const wl_baseline_curve *c, int64_t horizon) {
  if (strcmp(c->baseline.schedule, "constant") == 0) return c->steps[c->points - 1] >= horizon;
  for (int64_t k = 0; k < c->points; k++)
    if (c->steps[k] == horizon) return true;
  return false;
}

bool wl_curve_is_usable(const wl_baseline_curve *c, int64_t horizon) {
  return c && wl_curve_covers(c, horizon) && isfinite(best_at(c, horizon));
}

/* ---- Aggregates ----------------------------------------------------------------------------- */

/* Returns the interquartile mean of n values. Sorts the values in place, omits the n/4 lowest and
 * the n/4 highest values (rounded down), and averages all other values. */
static double interquartile_mean(double *values, int64_t n) {
  wl_sort(values, n);
  const int64_t cut = n / 4;
  double sum = 0.0;
  for (int64_t i = cut; i < n - cut; i++) sum += values[i];
  return sum / (double)(n - 2 * cut);
}

/* The median over all runs, the interquartile mean over all runs, and the bounds of their 95 %
 * intervals. The intervals use a bootstrap that resamples the seeds of each cell. */
typedef struct aggregate {
  double median, median_low, median_high, mean, mean_low, mean_high;
} aggregate;

static wl_status summarise(const double *all, int64_t cells, int64_t seeds, aggregate *out) {
  double *values = NULL, *drawn = NULL, *medians = NULL, *means = NULL;
  int64_t *seed = NULL, n = 0;
  wl_status status = WL_NEW(values, cells * seeds);
  for (int64_t i = 0; status == WL_OK && i < cells * seeds; i++)
    if (!isnan(all[i])) values[n++] = all[i]; /* the value is NaN if the baseline has no curve for
                                               * the cell */
  if (status == WL_OK) status = WL_NEW(drawn, n);
  if (status == WL_OK) status = WL_NEW(seed, n);
  if (status == WL_OK) status = WL_NEW(medians, RESAMPLES);
  if (status == WL_OK) status = WL_NEW(means, RESAMPLES);
  for (int i = 0; status == WL_OK && i <= RESAMPLES; i++) {
    const wl_stream stream = {1, WL_FOR_PROBE, WL_SPACE_EVAL, (uint64_t)i, 0, 0};
    wl_rng_index(stream, 0, n, (uint64_t)seeds, seed);
    for (int64_t j = 0; j < n; j++)
      drawn[j] = values[i == RESAMPLES ? j : j / seeds * seeds + seed[j]];
    const double mean = interquartile_mean(drawn, n), median = wl_median(drawn, n);
    if (i == RESAMPLES) out->mean = mean, out->median = median;
    else means[i] = mean, medians[i] = median;
  }
  if (status == WL_OK) {
    wl_sort(means, RESAMPLES);
    wl_sort(medians, RESAMPLES);
    const int low = RESAMPLES / 40, high = RESAMPLES - 1 - low;
    out->mean_low = means[low], out->mean_high = means[high];
    out->median_low = medians[low], out->median_high = medians[high];
  }
  wl_free(values);
  wl_free(drawn);
  wl_free(seed);
  wl_free(medians);
  wl_free(means);
  return status;
}

static void fill_cell(const wl_speedup_cell *cell, const wl_baseline_curve *curve, double seconds,
                      int64_t seeds, int64_t index, wl_speedup_table *out) {
  double sum = 0.0;
  for (int64_t s = 0; s < seeds; s++) {
    const int64_t at = index * seeds + s;
    out->capped[at] = false;
    out->speedup[at] = out->wall[at] = curve ? 0.0 : NAN;
    if (!curve || isnan(cell->final[s])) continue;
    const double steps = steps_to(curve, cell->final[s], &out->capped[at]);
    const double ratio = steps / (double)cell->horizon;
    out->capped[at] |= ratio > WL_SPEEDUP_REACH;
    out->speedup[at] = fmin(ratio, WL_SPEEDUP_REACH);
    out->wall[at] = out->speedup[at] * seconds / cell->seconds;
    out->caps += out->capped[at];
  }
  for (int64_t s = 0; s < seeds; s++) sum += cell->final[s] / (double)seeds;
  out->seconds[index] = curve ? seconds : NAN;
  out->best[index] = curve ? best_at(curve, cell->horizon) : NAN;
  /* if both losses are zero, they are equal */
  const double ratio = sum == out->best[index] ? 1.0 : sum / out->best[index];
  out->losses.of_cell[index] = curve && isnan(ratio) ? INFINITY : ratio;
}

/* Computes the members judged, lower, ties, median and worst of *out from the ratios in the member
 * of_cell. */
static wl_status summarise_losses(int64_t cells, wl_loss_ratios *out) {
  double *ratio = NULL;
  WL_TRY(WL_NEW(ratio, cells));
  for (int64_t i = 0; i < cells; i++) {
    if (isnan(out->of_cell[i])) continue;
    ratio[out->judged++] = out->of_cell[i];
    out->lower += out->of_cell[i] < 1 - WL_SPEEDUP_TIE;
    out->ties += fabs(out->of_cell[i] - 1) <= WL_SPEEDUP_TIE;
  }
  out->median = out->judged > 0 ? wl_median(ratio, out->judged) : NAN;
  out->worst = out->judged > 0 ? ratio[out->judged - 1] : NAN;
  wl_free(ratio);
  return WL_OK;
}

wl_status wl_speedup_judge_strongest(wl_speedup *s) {
  if (s->tables == 0) return WL_OK;
  WL_TRY(WL_NEW(s->strongest.of_cell, s->cells));
  WL_TRY(WL_NEW(s->strongest_table, s->cells));
  for (int64_t i = 0; i < s->cells; i++) {
    int least = -1;
    for (int k = 0; k < s->tables; k++)
      if (!isnan(s->table[k].best[i]) && (least < 0 || s->table[k].best[i] < s->table[least].best[i]))
        least = k;
    s->strongest_table[i] = least;
    s->strongest.of_cell[i] = least < 0 ? NAN : s->table[least].losses.of_cell[i];
  }
  return summarise_losses(s->cells, &s->strongest);
}

wl_status wl_speedup_judge(const wl_speedup *s, const wl_baseline_curve *const *curve,
                           const double *seconds, wl_speedup_table *out) {
  const int64_t n = s->cells * s->seeds;
  WL_TRY(WL_NEW(out->speedup, n));
  WL_TRY(WL_NEW(out->wall, n));
  WL_TRY(WL_NEW(out->capped, n));
  WL_TRY(WL_NEW(out->best, s->cells));
  WL_TRY(WL_NEW(out->seconds, s->cells));
  WL_TRY(WL_NEW(out->losses.of_cell, s->cells));
  for (int64_t i = 0; i < s->cells; i++)
    fill_cell(&s->cell[i], curve[i], seconds[i], s->seeds, i, out);
  WL_TRY(summarise_losses(s->cells, &out->losses));
  aggregate steps, wall;
  WL_TRY(summarise(out->speedup, s->cells, s->seeds, &steps));
  WL_TRY(summarise(out->wall, s->cells, s->seeds, &wall));
  out->median = steps.median, out->median_low = steps.median_low,
  out->median_high = steps.median_high;
  out->iqm = steps.mean, out->iqm_low = steps.mean_low, out->iqm_high = steps.mean_high;
  out->wall_median = wall.median, out->wall_iqm = wall.mean;
  out->wall_low = wall.mean_low, out->wall_high = wall.mean_high;
  return WL_OK;
}

void wl_speedup_clear(wl_speedup *s) {
  for (int64_t i = 0; s->cell && i < s->cells; i++) wl_free(s->cell[i].final);
  wl_free(s->cell);
  for (int i = 0; i < s->tables; i++) {
    wl_free(s->table[i].speedup);
    wl_free(s->table[i].wall);
    wl_free(s->table[i].capped);
    wl_free(s->table[i].losses.of_cell);
    wl_free(s->table[i].best);
    wl_free(s->table[i].seconds);
  }
  wl_free(s->strongest.of_cell);
  wl_free(s->strongest_table);
  *s = (wl_speedup){0};
}

void wl_task_curves_clear(wl_task_curves *curves) {
  for (int i = 0; i < curves->count; i++) {
    wl_free(curves->curve[i].steps);
    wl_free(curves->curve[i].loss);
    wl_free(curves->curve[i].diverged);
    wl_free(curves->curve[i].best);
  }
  curves->count = 0;
}
