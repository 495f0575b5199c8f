/* speedup.h - measures speed-ups: how many steps a tuned hand-designed rule needs to reach the
 * final loss of a learned rule.
 *
 * The measurement follows the protocol of google/learned_optimization for baselines.
 *
 * A rule with a constant rate is run with each of 15 rates, which are half a decade apart. Each run
 * has 10 times as many steps as the longest horizon. There are `seeds` runs for each rate. The mean
 * loss over the runs of a rate is smoothed. The value of the rule's curve at a step is the lowest
 * smoothed mean of all rates up to this step. Let t(f) be the first step at which the curve reaches
 * the loss f. The curve is interpolated linearly between its points.
 *
 * A rule with a schedule has separate runs for each of several lengths. The value of the curve at a
 * length is the lowest mean loss of all rates and of all lengths up to this length. Between two
 * lengths, t(f) is interpolated linearly in the logarithm of the length.
 *
 * Let a run of the learned rule have the loss f after T steps. The speed-up of this run in steps is
 * s = min(t(f) / T, 10). The speed-up is capped if the curve does not reach f within 10 T steps.
 * Let a be the seconds of a step of the hand-designed rule, and b the seconds of a step of the
 * learned rule. The speed-up of the run in wall-clock time is s * a / b. The time of a step
 * includes the gradient and the update. A run of the learned rule in which a value is not finite
 * has diverged. The speed-up of a diverged run is 0, and the run is counted as diverged. A cell is
 * one task at one horizon. The report has the median and the interquartile mean over the runs of
 * all cells. The interquartile mean is the mean of the middle half of the sorted speed-ups. The
 * intervals of the median and of the interquartile mean are percentiles of a bootstrap that
 * resamples the runs of each cell. */
#ifndef WL_EVALUATE_SPEEDUP_H
#define WL_EVALUATE_SPEEDUP_H

#include "comm/comm.h"
#include "evaluate/suite.h"
#include "run/trained.h"

#define WL_SPEEDUP_TIE 0.01
enum { WL_SPEEDUP_RATES = 15, WL_SPEEDUP_REACH = 10, WL_MAX_BASELINES = 24 };

/* A baseline: a hand-designed rule and the schedule of its learning rate. The name of the baseline
 * is, for example, "adam" or "muon-linear". */
typedef struct wl_baseline {
  char name[40];
  char rule[16], schedule[16];
  /* determines the 15 rates: rate number i is 10^((lowest + i) / 2), for i from 0 to 14 */
  int lowest;
} wl_baseline;
/* Writes all baselines to `out` and returns their number. */
int wl_baselines(wl_baseline out[WL_MAX_BASELINES]);
/* Sets *out to the baseline with this name. Returns WL_ERR_USAGE if no baseline has this name. */
wl_status wl_baseline_find(const char *name, wl_baseline *out);

/* Returns learning rate number `index` of the baseline. */
double wl_baseline_rate(const wl_baseline *baseline, int index);
/* Returns true if the task allows at least one rate of the baseline. */
bool wl_baseline_tries(const wl_baseline *baseline, const wl_suite_task *task);

/* The losses of a baseline on one task. The struct owns the arrays. */
typedef struct wl_baseline_curve {
  wl_baseline baseline;
  int64_t points;
  int64_t *steps;    /* [points] inner steps at which losses were measured, in rising order */
  /* [15][points] mean loss over the runs of each rate; not finite if a run diverged */
  double *loss;
  int64_t *diverged; /* [15] number of diverged runs of each rate */
  /* [points] the curve: lowest smoothed mean loss of all rates up to each point */
  double *best;
} wl_baseline_curve;

typedef struct wl_task_curves {
  int count;
  wl_baseline_curve curve[WL_MAX_BASELINES];
} wl_task_curves;

/* A cell, which contains the runs of the learned rule on one task at one horizon. The struct owns
 * the array `final`. */
typedef struct wl_speedup_cell {
  const wl_suite_task *task; /* borrowed */
  int64_t horizon;
  double *final; /* [seeds] loss of each run after the last step; NaN if the run diverged */
  double seconds; /* seconds of an inner step with the learned rule */
} wl_speedup_cell;

/* Ratios of losses: for each cell, the mean final loss of the learned rule divided by the loss of a
 * tuned rule. The ratio is infinite if a run of the cell diverged. The struct owns the array
 * `of_cell`. */
typedef struct wl_loss_ratios {
  double *of_cell; /* [cells] ratio of each cell; NaN if the tuned rule has no curve on the task */
  /* `judged` is the number of cells with a ratio. `lower` counts ratios below 1 - WL_SPEEDUP_TIE.
   * `ties` counts ratios that differ from 1 by at most WL_SPEEDUP_TIE. */
  int64_t judged, lower, ties;
  double median, worst;
} wl_loss_ratios;

/* Comparison of the learned rule with one baseline. The arrays speedup, wall and capped have the
 * shape [cells][seeds]. For each run, `speedup` contains the speed-up in steps, `wall` contains the
 * speed-up in wall-clock time, and `capped` is true if the speed-up is capped. If the baseline has
 * no curve on the task of a run, `speedup` and `wall` are NaN. The struct owns the arrays. */
typedef struct wl_speedup_table {
  wl_baseline baseline;
  double *speedup, *wall;
  bool *capped;
  double median, median_low, median_high, iqm, iqm_low, iqm_high;
  /* wall_low and wall_high are the bounds of the interval of wall_iqm */
  double wall_median, wall_iqm, wall_low, wall_high;
  int64_t caps;  /* number of runs whose speed-up is capped */
  /* true if some runs of the baseline are shorter than 10 times the horizon. If the baseline has a
   * constant rate, the speed-ups are then lower bounds. If it has a schedule, the speed-ups are then
   * cut or interpolated between few lengths, and they are neither lower nor upper bounds. */
  bool is_incomplete;
  double *seconds; /* [cells] seconds of an inner step with the baseline; NaN without a curve */
  /* [cells] lowest loss of the baseline within the horizon of the cell; NaN if the baseline has no
   * curve on the task */
  double *best;
  wl_loss_ratios losses; /* ratios of the learned rule's final losses to the losses in `best` */
} wl_speedup_table;

typedef struct wl_speedup {
  int64_t seeds, cells, diverged;
  wl_speedup_cell *cell; /* [cells] */
  int tables;
  wl_speedup_table table[WL_MAX_BASELINES];
  /* for each cell, the final loss of the learned rule divided by the lowest loss of all baselines
   * that have a curve on the cell's task */
  wl_loss_ratios strongest;
  /* [cells] index in `table` of the baseline that has the lowest loss in the cell; -1 if no
   * baseline has a curve */
  int *strongest_table;
} wl_speedup;

typedef struct wl_speedup_request {
  const wl_suite *suite;
  /* [count] baselines whose curves are computed if the files do not contain them */
  const wl_baseline *baselines;
  int count;
  /* names of the files that contain curves, separated by commas; new curves are written to the
   * first file */
  const char *file;
  /* trained optimizer; NULL means that only the curves of the baselines are computed */
  const wl_trained *trained;
} wl_speedup_request;

/* Computes the curves that the files do not contain. Writes the first file again after every
 * computed curve. Then compares the trained optimizer with every baseline on the
 * tasks on which the baseline has a curve. Fills curves [suite->count], which the caller clears
 * with wl_task_curves_clear. Collective. */
wl_status wl_speedup_run(const wl_speedup_request *request, wl_comm *comm, wl_task_curves *curves,
                         wl_speedup *out);
void wl_speedup_clear(wl_speedup *speedup);
void wl_task_curves_clear(wl_task_curves *curves);

/* Writes to `steps` the steps at which a run of `last` steps records losses. Returns the number of
 * these steps. The next step after step t is t + 10 or, if `growing` is true, t + 1 + t / 20.
 * `steps` may be NULL. */
int64_t wl_speedup_points(int64_t last, bool growing, int64_t *steps);
/* Computes curve->best from curve->loss. `smoothing` is the decay of the running mean in ten inner
 * steps. */
void wl_speedup_envelope(wl_baseline_curve *curve, double smoothing);
/* Returns the loss of a baseline with a constant rate at `step`, read from the curve as the file
 * speedup_over_adam of google/learned_optimization was computed. In that file, a curve is the lowest
 * smoothed loss at 512 steps between 0 and 100,000, which have equal distances. The curve is linear
 * between these steps, and minima at other steps are not included. Returns NaN if the runs are
 * shorter than `step`. */
double wl_speedup_as_published(const wl_baseline_curve *curve, double smoothing, int64_t step);

/* The function wl_speedup_load reads the curves of all files that exist. The function ignores tasks
 * whose definition differs from the definition in the suite, and curves that an earlier file of the
 * list already contained. The function wl_speedup_save writes all curves to the first file, an HDF5
 * file of kind "baselines". If this file exists, its curves of other tasks and of other rules are
 * kept. If the file has a curve that does not fit the suite, and the suite now has other curves of
 * the same task, the file is first renamed to NAME-previous-N.h5, and a warning is logged.
 * wl_speedup_load and wl_speedup_save are not collective. */
wl_status wl_speedup_load(const char *paths, const wl_suite *suite, wl_task_curves *curves);
wl_status wl_speedup_save(const char *paths, const wl_suite *suite, wl_task_curves *curves);

#endif
