/* evaluate.h - compares a trained optimizer with tuned hand-designed rules on fresh tasks.
 *
 * The protocol is the one of google/learned_optimization. The rate of each hand-designed rule is tuned for the horizon
 * of the evaluation, on tasks of WL_SPACE_TUNE. The search first tries the half-decade rates 1e-7 .. 1, and higher
 * half-decades while the best rate is the highest rate tried. Then it tries the two quarter-decades next to the best
 * rate. All rules then run on the same tasks of WL_SPACE_EVAL: `seeds` sets of `units` tasks. Each interval is a 95 %
 * interval over sets (Student's t). A run diverges if it stops early or a value is not finite. Diverged runs are
 * counted, and the mean of a set with a diverged run is not finite.
 *
 * Few-shot families have a support set and a query set. A set of the evaluation is then one task, and the default is
 * 600 sets. Loss and accuracy are measured on the query set after adaptation. The hand-designed rule is gradient
 * descent from the learned theta_0, tuned in the same way, on the network without warp layers. If the trained system
 * has warp layers and is not gradient descent, a second entry runs gradient descent with the warp layers. */
#ifndef WL_EVALUATE_EVALUATE_H
#define WL_EVALUATE_EVALUATE_H

#include "comm/comm.h"
#include "run/trained.h"
#include "unroll/window.h"

enum { WL_MAX_SEEDS = 10000, WL_FEW_SHOT_TASKS = 600 };

typedef struct wl_eval_setting {
  int64_t steps; /* horizon: number of inner steps */
  /* number of sets (2 .. WL_MAX_SEEDS; 0 means 10, or 600 for few-shot tasks), number of tasks in each set */
  int64_t seeds, units;
  int64_t tune_units; /* number of tasks for tuning a rate; 0 means 5, or 25 for few-shot tasks */
  uint64_t seed;
  int threads;
  int task;   /* task index */
  bool alone; /* run only the learned rule: there is one entry, no comparison and no verdict */
} wl_eval_setting;

/* The results of one rule. The case owns the arrays. */
typedef struct wl_eval_entry {
  char rule[32];
  double rate;      /* NaN for a learned rule */
  double *final;    /* [seeds] loss on the fixed sample after the last step, mean over units */
  double *heldout;  /* [seeds] loss on the held-out split after the last step, mean over units */
  double *accuracy; /* [seeds] held-out accuracy, NaN if undefined */
  double *curve;    /* [seeds][steps] minibatch loss at theta_t, mean over units */
  int64_t diverged; /* number of diverged runs */
  double mean, half_width;       /* mean of `final` and half width of its interval */
  double log10_mean, log10_half; /* mean of log10(final) and half width of its interval */
} wl_eval_entry;

typedef enum wl_verdict { WL_WINS, WL_TIES, WL_LOSES, WL_FAILS } wl_verdict;

/* The results for one setting: the trained setting, or a setting that differs in one key. Entry 0 is the learned
 * rule. */
typedef struct wl_eval_case {
  char name[64];  /* for example "trained", "horizon x 5" or "activation relu" */
  char note[160]; /* why the case could not run; "" if the case ran */
  int64_t steps, seeds;
  bool few_shot; /* each set is one task, and losses are measured on its query set */
  double start;  /* mean loss at theta_0 */
  int entries;
  wl_eval_entry *entry; /* [entries]; NULL if there is a note */
  int best;             /* index of the best hand-designed entry */
  double difference,
      difference_half; /* log10(learned) - log10(best), paired over seeds; NaN if a loss is <= 0 */
  double gap, gap_half; /* learned - best, paired over seeds */
  double coverage;      /* coverage of an explicit warp (evaluate_warp.c); NaN if there is no explicit warp */
  double advantage, advantage_half; /* advantage of the warp over the same rule without the warp */
  wl_verdict verdict;
} wl_eval_case;

/* Runs the trained optimizer and the hand-designed rules and fills *out. The caller clears *out with
 * wl_eval_case_clear. Collective. */
wl_status wl_evaluate(const wl_trained *trained, const char *name, const wl_eval_setting *setting,
                      wl_comm *comm, wl_eval_case *out);
void wl_eval_case_clear(wl_eval_case *eval);

/* A setting that differs from the trained setting along one `axis`: "horizon", "steps", "width", "depth", "activation",
 * "data" or "scale". The override changes the key of the configuration. */
enum { WL_VARIED_INTS = 128 }; /* maximum length of a list that is varied */
typedef struct wl_variation {
  char name[64];
  wl_override override; /* points into this variation; its path is NULL if only the horizon changes */
  char path[64];        /* for example "task.widths" */
  char text[64];
  int64_t ints[WL_VARIED_INTS];
  int64_t steps_factor; /* if `steps` is 0, the horizon is the trained horizon times this number */
  int64_t steps;        /* the new horizon; 0: `steps_factor` gives the horizon */
} wl_variation;
enum { WL_MAX_VARIATIONS = 8 };
/* Lists the variations along an axis and sets *count to their number. If the axis does not apply to this family, *count
 * is 0 and `note` receives a message. Returns WL_ERR_USAGE for an unknown axis. Not collective. */
wl_status wl_variations(const wl_config *config, const char *axis,
                        wl_variation out[WL_MAX_VARIATIONS], int *count, char *note,
                        size_t note_size);

/* Writes cases [count] with all curves to an HDF5 file of kind "evaluation". The file also stores the text `settings`.
 * Not collective. */
wl_status wl_eval_write(const char *path, const wl_trained *trained, const char *settings,
                        const wl_eval_case *cases, int count);

/* Computes the mean of n values and the half width of its 95 % interval (Student's t). Both are NaN if a value is not
 * finite. */
void wl_evaluate_interval(const double *values, int64_t n, double *mean, double *half_width);

#endif
