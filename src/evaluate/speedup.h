/* speedup.h - how many steps a tuned hand-designed rule needs to get where a learned one got.
 *
 * Protocol (google/learned_optimization, baselines): a rule of constant rate is run at 15 rates in half-decades for N = 10
 * times the longest horizon, `seeds` runs each. Its curve is the mean loss over runs, smoothed, the least over rates, and the
 * least so far: t(f) is the first step, interpolated, at which the curve reaches f. A rule with a schedule is run anew for
 * each of some lengths, and a point of its curve is the least loss over rates at that length; between lengths t(f) is
 * interpolated in the logarithm of the step. For a learned rule with final loss f after T steps
 *   speed-up in steps       s = min(t(f) / T, 10), and it is capped where the curve never reaches f, or after 10 T
 *   speed-up in wall clock  s x (seconds of a step of the hand-designed rule) / (seconds of a step of the learned one)
 * with the gradient and the update in both. A run that is not finite has diverged: s = 0, and it is counted.
 * Over tasks, horizons and seeds: the median and the interquartile mean (of the middle half), with percentile intervals of
 * a bootstrap that draws the runs of each cell anew. */
#ifndef WL_EVALUATE_SPEEDUP_H
#define WL_EVALUATE_SPEEDUP_H

#include "comm/comm.h"
#include "evaluate/suite.h"
#include "run/trained.h"

enum { WL_SPEEDUP_RATES = 15, WL_SPEEDUP_REACH = 10, WL_MAX_BASELINES = 24 };

/* A hand-designed rule with a schedule, by name: "adam", "muon-linear". */
typedef struct wl_baseline {
  char name[40];
  char rule[16], schedule[16];
  int lowest; /* the rates are 10^((lowest + i) / 2), i = 0 .. 14 */
} wl_baseline;
/* All baselines, and how many. */
int wl_baselines(wl_baseline out[WL_MAX_BASELINES]);
/* WL_ERR_USAGE where there is none of the name. */
wl_status wl_baseline_find(const char *name, wl_baseline *out);

/* What a baseline did on a task. Arrays are owned. */
typedef struct wl_baseline_curve {
  wl_baseline baseline;
  int64_t points;
  int64_t *steps;    /* [points] rising */
  double *loss;      /* [15][points] mean over runs; not finite where one diverged */
  int64_t *diverged; /* [15] runs */
  double *best;      /* [points] smoothed, least over rates, least so far */
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
  double seconds; /* of a step */
} wl_speedup_cell;

/* Against one baseline: s of every run [cells x seeds]; owned. */
typedef struct wl_speedup_table {
  wl_baseline baseline;
  double *speedup, *wall;
  bool *capped;
  double *loss_ratio; /* [cells] mean final loss over the baseline's best at that horizon */
  double median, median_low, median_high, iqm, iqm_low, iqm_high;
  double wall_median, wall_iqm, wall_low, wall_high; /* the last two: of the mean */
  int64_t caps;
} wl_speedup_table;

typedef struct wl_speedup {
  int64_t seeds, cells, diverged;
  wl_speedup_cell *cell; /* [cells] */
  int tables;
  wl_speedup_table table[WL_MAX_BASELINES];
} wl_speedup;

typedef struct wl_speedup_request {
  const wl_suite *suite;
  const wl_baseline *baselines; /* [count] to compute where the file lacks them */
  int count;
  const char *file;          /* of the baselines' curves */
  const wl_trained *trained; /* NULL: baselines only */
} wl_speedup_request;

/* Computes what the file lacks, writing it after every task, and judges the trained optimizer against every baseline that all
 * tasks have. curves [suite->count] is filled for those who print them. Collective. */
wl_status wl_speedup_run(const wl_speedup_request *request, wl_comm *comm, wl_task_curves *curves,
                         wl_speedup *out);
void wl_speedup_clear(wl_speedup *speedup);
void wl_task_curves_clear(wl_task_curves *curves);

/* Steps at which losses of a run of `last` steps are taken: every 10, or growing by a twentieth. Returns how many; steps NULL:
 * only that. */
int64_t wl_speedup_points(int64_t last, bool growing, int64_t *steps);
/* Fills curve->best from its losses; smoothing: what the running mean keeps after ten steps. */
void wl_speedup_envelope(wl_baseline_curve *curve, double smoothing);
/* t(f); *capped is true where the curve does not reach f, and t is then its last step. */
double wl_speedup_steps_to(const wl_baseline_curve *curve, double loss, bool *capped);
/* Mean of the middle half of n values, sorted in place: n/4 (rounded down) are left out at each end. */
double wl_interquartile_mean(double *values, int64_t n);

/* The file of curves: kind "baselines". A task whose definition is not the suite's is left out. */
wl_status wl_speedup_load(const char *path, const wl_suite *suite, wl_task_curves *curves);
wl_status wl_speedup_save(const char *path, const wl_suite *suite, const wl_task_curves *curves);

#endif
