/* speedup.h - the number of steps that a tuned hand-designed rule needs to reach the loss of a learned rule.
 *
 * The protocol is the one of the baselines of google/learned_optimization.
 *
 * Rule with a constant rate: the rule runs with 15 half-decade rates, for 10 times the longest horizon, with `seeds`
 * runs for each rate. The mean loss over runs is smoothed, and its minimum over rates is taken. The curve at a step is
 * the lowest value up to this step. t(f) is the first step at which the curve reaches loss f, interpolated linearly.
 *
 * Rule with a schedule: the rule has separate runs for each of several lengths. The curve at a length is the lowest
 * loss over rates of the runs of this length. t(f) is interpolated in the logarithm of the step.
 *
 * For a learned rule with final loss f after T steps:
 *   speed-up in steps       s = min(t(f) / T, 10), capped if the curve does not reach f within 10 T steps
 *   speed-up in wall clock  s x (seconds of a step of the hand-designed rule) / (seconds of a step of the learned rule)
 * The time of a step includes the gradient and the update. A run with a value that is not finite has diverged: its s is
 * 0, and the run is counted as diverged. The aggregates over tasks, horizons and seeds are the median and the
 * interquartile mean (the mean of the middle half). Their intervals are percentiles of a bootstrap that resamples the
 * runs of each cell. */
#ifndef WL_EVALUATE_SPEEDUP_H
#define WL_EVALUATE_SPEEDUP_H

#include "comm/comm.h"
#include "evaluate/suite.h"
#include "run/trained.h"

#define WL_SPEEDUP_TIE 0.01
enum { WL_SPEEDUP_RATES = 15, WL_SPEEDUP_REACH = 10, WL_MAX_BASELINES = 24 };

/* A hand-designed rule with a schedule. Its name is, for example, "adam" or "muon-linear". */
typedef struct wl_baseline {
  char name[40];
  char rule[16], schedule[16];
  int lowest; /* rate number i is 10^((lowest + i) / 2), i = 0 .. 14 */
} wl_baseline;
/* Lists all baselines and returns their number. */
int wl_baselines(wl_baseline out[WL_MAX_BASELINES]);
/* Finds a baseline by name. Returns WL_ERR_USAGE if the name is unknown. */
wl_status wl_baseline_find(const char *name, wl_baseline *out);

/* The losses of a baseline on a task. The struct owns the arrays. */
typedef struct wl_baseline_curve {
  wl_baseline baseline;
  int64_t points;
  int64_t *steps;    /* [points] inner steps in rising order */
  double *loss;      /* [15][points] mean loss over runs; not finite if a run diverged */
  int64_t *diverged; /* [15] number of diverged runs */
  double *best;      /* [points] smoothed loss, minimum over rates and earlier points */
} wl_baseline_curve;

typedef struct wl_task_curves {
  int count;
  wl_baseline_curve curve[WL_MAX_BASELINES];
} wl_task_curves;

/* The runs of the learned rule on one task at one horizon. The struct owns the array. */
typedef struct wl_speedup_cell {
  const wl_suite_task *task; /* borrowed */
  int64_t horizon;
  double *final; /* [seeds] loss on the fixed sample after the last step; NaN if the run diverged */
  double seconds; /* time of a step in seconds */
} wl_speedup_cell;

/* Mean final losses divided by the losses of tuned rules. A diverged cell has an infinite ratio. The struct owns the
 * array. */
typedef struct wl_loss_ratios {
  double *of_cell; /* [cells]; NaN on tasks without a curve */
  /* numbers of cells: with a ratio; with a ratio below 1 - WL_SPEEDUP_TIE; within 1 +- WL_SPEEDUP_TIE */
  int64_t judged, lower, ties;
  double median, worst;
} wl_loss_ratios;

/* Comparison with one baseline. speedup, wall and capped have the shape [cells x seeds], and speedup holds s of every
 * run. Tasks without a curve have NaN. The struct owns the arrays. */
typedef struct wl_speedup_table {
  wl_baseline baseline;
  double *speedup, *wall;
  bool *capped;
  double median, median_low, median_high, iqm, iqm_low, iqm_high;
  double wall_median, wall_iqm, wall_low, wall_high; /* wall_low, wall_high: interval of wall_iqm */
  int64_t caps;  /* number of capped runs */
  bool is_bound; /* some runs of the baseline end before 10 times the horizon: the speed-ups are lower bounds */
  double *best;  /* [cells] the baseline's best loss at the same horizon; NaN on tasks without a curve */
  wl_loss_ratios losses; /* final losses divided by the baseline's best loss at the same horizon */
} wl_speedup_table;

typedef struct wl_speedup {
  int64_t seeds, cells, diverged;
  wl_speedup_cell *cell; /* [cells] */
  int tables;
  wl_speedup_table table[WL_MAX_BASELINES];
  /* final losses divided by the lowest loss of all baselines with a curve of the cell's task */
  wl_loss_ratios strongest;
  int *strongest_table; /* [cells] index of that baseline's table; -1 if there is none */
} wl_speedup;

typedef struct wl_speedup_request {
  const wl_suite *suite;
  const wl_baseline *baselines; /* [count] baselines to compute if the file lacks them */
  int count;
  const char *file; /* file of the baselines' curves; further files to read follow after commas */
  const wl_trained *trained; /* NULL: compute only the baselines */
} wl_speedup_request;

/* Computes the curves that the file lacks and writes the file after every task. Then compares the trained optimizer
 * with every baseline on the tasks for which the baseline has a curve. Fills curves [suite->count], which the caller
 * clears. Collective. */
wl_status wl_speedup_run(const wl_speedup_request *request, wl_comm *comm, wl_task_curves *curves,
                         wl_speedup *out);
void wl_speedup_clear(wl_speedup *speedup);
void wl_task_curves_clear(wl_task_curves *curves);

/* Lists the steps at which a run of `last` steps records losses, and returns their number. The distance of the steps is
 * 10. If `growing` is true, the distance after step t is 1 + t / 20. steps may be NULL. */
int64_t wl_speedup_points(int64_t last, bool growing, int64_t *steps);
/* Computes curve->best from the losses. `smoothing` is the decay of the running mean in ten steps. */
void wl_speedup_envelope(wl_baseline_curve *curve, double smoothing);

/* wl_speedup_load reads the curves of all files. wl_speedup_save writes the first file, of kind "baselines". Loading
 * ignores tasks whose definition differs from the suite's definition, and curves that an earlier file already has.
 * Neither function is collective. */
wl_status wl_speedup_load(const char *paths, const wl_suite *suite, wl_task_curves *curves);
wl_status wl_speedup_save(const char *paths, const wl_suite *suite, const wl_task_curves *curves);

#endif
