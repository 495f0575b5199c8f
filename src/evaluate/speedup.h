/* speedup.h - the number of steps that a tuned hand-designed rule needs to reach the loss of a learned one.
 *
 * Protocol (google/learned_optimization, baselines): a rule of constant rate runs with 15 rates in half-decades for 10
 * times the longest horizon, `seeds` runs each. The mean loss over runs is smoothed and minimised over rates; the curve
 * at a step is the least value up to that step. t(f) is the first step, interpolated, at which the curve reaches f. A
 * rule with a schedule has separate runs for each of several lengths; a point of its curve is the least loss over rates
 * at that length, and t(f) is interpolated in the logarithm of the step. For a learned rule with final loss f after T
 * steps
 *   speed-up in steps       s = min(t(f) / T, 10), capped if the curve does not reach f within 10 T steps
 *   speed-up in wall clock  s x (seconds of a step of the hand-designed rule) / (seconds of a step of the learned one)
 * The seconds of both rules include the gradient and the update. A run that is not finite has diverged: s = 0, and the
 * run is counted as diverged. The aggregates over tasks, horizons and seeds are the median and the interquartile mean
 * (mean of the middle half). Their intervals are percentiles of a bootstrap that resamples the runs of each cell. */
#ifndef WL_EVALUATE_SPEEDUP_H
#define WL_EVALUATE_SPEEDUP_H

#include "comm/comm.h"
#include "evaluate/suite.h"
#include "run/trained.h"

#define WL_SPEEDUP_TIE 0.01
enum { WL_SPEEDUP_RATES = 15, WL_SPEEDUP_REACH = 10, WL_MAX_BASELINES = 24 };

/* A hand-designed rule with a schedule, by name: "adam", "muon-linear". */
typedef struct wl_baseline {
  char name[40];
  char rule[16], schedule[16];
  int lowest; /* the rates are 10^((lowest + i) / 2), i = 0 .. 14 */
} wl_baseline;
/* Lists all baselines; returns their number. */
int wl_baselines(wl_baseline out[WL_MAX_BASELINES]);
/* Finds a baseline by name. WL_ERR_USAGE if there is none. */
wl_status wl_baseline_find(const char *name, wl_baseline *out);

/* The losses of a baseline on a task. Arrays are owned. */
typedef struct wl_baseline_curve {
  wl_baseline baseline;
  int64_t points;
  int64_t *steps;    /* [points] rising */
  double *loss;      /* [15][points] mean over runs; not finite if one diverged */
  int64_t *diverged; /* [15] runs */
  double *best;      /* [points] smoothed, minimum over rates and earlier points */
} wl_baseline_curve;

typedef struct wl_task_curves {
  int count;
  wl_baseline_curve curve[WL_MAX_BASELINES];
} wl_task_curves;

/* One task at one horizon. Arrays [seeds] are owned. */
typedef struct wl_speedup_cell {
  const wl_suite_task *task; /* borrowed */
  int64_t horizon;
  double *final;  /* after the last step, on the fixed sample; NaN: diverged */
  double seconds; /* seconds of a step */
} wl_speedup_cell;

/* Comparison with one baseline: s of every run [cells x seeds]; NaN on tasks without a curve. Arrays are owned. */
typedef struct wl_speedup_table {
  wl_baseline baseline;
  double *speedup, *wall;
  bool *capped;
  double *loss_ratio; /* [cells] mean final loss / the baseline's best loss at that horizon */
  double median, median_low, median_high, iqm, iqm_low, iqm_high;
  double wall_median, wall_iqm, wall_low, wall_high; /* wall_low, wall_high: interval of wall_iqm */
  /* number of capped runs, number of compared cells */
  int64_t caps, judged;
  int64_t won, tied; /* cells with a loss_ratio below and within 1 +- WL_SPEEDUP_TIE */
  double ratio_median, ratio_worst;
} wl_speedup_table;

typedef struct wl_speedup {
  int64_t seeds, cells, diverged;
  wl_speedup_cell *cell; /* [cells] */
  int tables;
  wl_speedup_table table[WL_MAX_BASELINES];
} wl_speedup;

typedef struct wl_speedup_request {
  const wl_suite *suite;
  const wl_baseline *baselines; /* [count] to compute if the file lacks them */
  int count;
  const char *file; /* file of the baselines' curves; more files to read follow after commas */
  const wl_trained *trained; /* NULL: baselines only */
} wl_speedup_request;

/* Computes the curves that the file lacks and writes the file after every task. Then compares the trained optimizer
 * with every baseline that has a curve, on the tasks that have this curve. Fills curves [suite->count], which the
 * caller clears. Collective. */
wl_status wl_speedup_run(const wl_speedup_request *request, wl_comm *comm, wl_task_curves *curves,
                         wl_speedup *out);
void wl_speedup_clear(wl_speedup *speedup);
void wl_task_curves_clear(wl_task_curves *curves);

/* Lists the steps at which a run of `last` steps records losses: every 10 steps, or at distances that grow by a
 * twentieth. Returns their number; steps may be NULL. */
int64_t wl_speedup_points(int64_t last, bool growing, int64_t *steps);
/* Computes curve->best from the losses; smoothing: decay of the running mean in ten steps. */
void wl_speedup_envelope(wl_baseline_curve *curve, double smoothing);

/* Reads the files of curves, and writes the first: kind "baselines". Reading ignores a task whose definition differs
 * from the suite's, and curves that an earlier file has. */
wl_status wl_speedup_load(const char *paths, const wl_suite *suite, wl_task_curves *curves);
wl_status wl_speedup_save(const char *paths, const wl_suite *suite, const wl_task_curves *curves);

#endif
