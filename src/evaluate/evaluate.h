/* evaluate.h - compares a trained optimizer with tuned hand-designed rules on fresh tasks.
 *
 * Protocol (google/learned_optimization, and the tables of docs): the rate of each hand-designed rule is tuned for the
 * horizon of the evaluation, on tasks of WL_SPACE_TUNE. The rates are half-decades 1e-7 .. 1 (and higher half-decades
 * while the best rate is the highest tried), then the quarter-decades around the best rate. All rules then run on the
 * same tasks of WL_SPACE_EVAL: `seeds` sets of `units` tasks. Intervals are over sets (Student's t, 95 %). A run that
 * is not finite, or stops, has diverged: the run is counted as diverged, and the mean of its set is not finite.
 *
 * Few-shot families (support and query set): a set is one task; the default is 600 sets. Losses and accuracy are
 * those of the query set after adaptation. The hand-designed rule is gradient descent from the learned theta_0,
 * tuned in the same way, on the network without warp layers; a second entry runs it with the warp layers unless
 * that is the trained system itself. */
#ifndef WL_EVALUATE_EVALUATE_H
#define WL_EVALUATE_EVALUATE_H

#include "comm/comm.h"
#include "run/trained.h"
#include "unroll/window.h"

enum { WL_MAX_SEEDS = 10000, WL_FEW_SHOT_TASKS = 600 };

typedef struct wl_eval_setting {
  int64_t steps; /* horizon */
  /* number of sets (2 .. WL_MAX_SEEDS; 0: 10, or 600 for few-shot tasks), tasks in each set */
  int64_t seeds, units;
  int64_t tune_units; /* tasks for tuning a rate; 0: 5, or 25 few-shot tasks */
  uint64_t seed;
  int threads;
  int task;   /* task index, if the configuration is a mixture */
  bool alone; /* the learned rule only: entry 0, best 0, no comparison and no verdict */
} wl_eval_setting;

/* One rule's outcome. The case owns the arrays. */
typedef struct wl_eval_entry {
  char rule[32];
  double rate;      /* NaN for a learned rule */
  double *final;    /* [seeds] mean loss on the fixed sample after the last step, over units */
  double *heldout;  /* [seeds] mean loss on the held-out split after the last step, over units */
  double *accuracy; /* [seeds] held-out accuracy, NaN if undefined */
  double *curve;    /* [seeds][steps] mean minibatch loss at theta_t */
  int64_t diverged; /* runs */
  double mean, half_width;       /* mean of `final` and half width of its interval */
  double log10_mean, log10_half; /* mean of log10(final) and half width of its interval */
} wl_eval_entry;

typedef enum wl_verdict { WL_WINS, WL_TIES, WL_LOSES, WL_FAILS } wl_verdict;

/* One setting: the trained one, or one that differs in one key. Entry 0 is the learned rule. */
typedef struct wl_eval_case {
  char name[64];  /* "trained", "horizon x 5", "activation relu" */
  char note[160]; /* why the case could not be run; "" otherwise */
  int64_t steps, seeds;
  bool few_shot; /* a set is one task, and losses are losses of its query set */
  double start;  /* mean loss at theta_0 */
  int entries;
  wl_eval_entry *entry; /* [entries]; none if there is a note */
  int best;             /* the best hand-designed entry */
  double difference,
      difference_half; /* log10(learned) - log10(best), paired over seeds; NaN where a loss is <= 0 */
  double gap, gap_half; /* learned - best, paired over seeds */
  double coverage;      /* coverage of an explicit warp (evaluate_warp.c); NaN: there is none */
  double advantage, advantage_half; /* advantage of the warp over the same rule without the warp */
  wl_verdict verdict;
} wl_eval_case;

/* Runs the trained optimizer and the hand-designed rules. The caller clears the case. Collective. */
wl_status wl_evaluate(const wl_trained *trained, const char *name, const wl_eval_setting *setting,
                      wl_comm *comm, wl_eval_case *out);
void wl_eval_case_clear(wl_eval_case *eval);

/* A setting that differs from the trained one by an override of the configuration, for one `axis` ("horizon", "steps",
 * "width", "depth", "activation", "data", "scale"). */
enum { WL_VARIED_INTS = 128 }; /* longest list that is varied */
typedef struct wl_variation {
  char name[64];
  wl_override override; /* no path if only the horizon changes; points into this variation */
  char path[64];        /* "task.widths" */
  char text[64];
  int64_t ints[WL_VARIED_INTS];
  int64_t steps_factor; /* if `steps` is 0, the horizon is this number times the trained one */
  int64_t steps;        /* the horizon, unless 0 */
} wl_variation;
enum { WL_MAX_VARIATIONS = 8 };
/* Sets *count to the number of variations. If the axis does not apply to this family, *count is 0 and `note` has a
 * message. WL_ERR_USAGE for an unknown axis. */
wl_status wl_variations(const wl_config *config, const char *axis,
                        wl_variation out[WL_MAX_VARIATIONS], int *count, char *note,
                        size_t note_size);

/* Writes cases [count] with all curves to an HDF5 file of kind "evaluation". `settings` is stored with them. */
wl_status wl_eval_write(const char *path, const wl_trained *trained, const char *settings,
                        const wl_eval_case *cases, int count);

/* Computes the mean and half width of the 95 % interval (Student's t) of n values; NaN if a value is not finite. */
void wl_evaluate_interval(const double *values, int64_t n, double *mean, double *half_width);

#endif
