/* evaluate.h - compares a trained optimizer with tuned hand-designed rules on fresh tasks.
 *
 * The evaluation follows the protocol of google/learned_optimization. The rate of each
 * hand-designed rule is tuned for the horizon of the evaluation, on tasks that are drawn from
 * WL_SPACE_TUNE. The search first tries the rates from 1e-7 to 1 in steps of half a decade. While
 * the best rate is the highest rate that was tried, the search tries a rate that is half a decade
 * higher. Finally, the search tries the rates that are a quarter of a decade below and above the
 * best rate. All rules then run on the same tasks, which are drawn from WL_SPACE_EVAL. There are
 * `seeds` sets, and each set has `units` tasks. Each interval is a 95 % interval over sets
 * (Student's t). A run has diverged if one of its losses or parameters is not finite. Diverged runs
 * are counted, and the mean of a set with a diverged run is not finite.
 *
 * The tasks of few-shot families have a support set and a query set. For these families, a set of
 * the evaluation is one task, and the default is 600 sets. Loss and accuracy are measured on the
 * query set after adaptation. The hand-designed rule is gradient descent from the learned theta_0,
 * on the network without warp layers. The rate of gradient descent is tuned with the same search as
 * the rates of other hand-designed rules. If the network has warp layers and the learned rule is
 * not gradient descent, a second entry is gradient descent with the warp layers. */
#ifndef WL_EVALUATE_EVALUATE_H
#define WL_EVALUATE_EVALUATE_H

#include "comm/comm.h"
#include "run/trained.h"
#include "unroll/window.h"

enum { WL_MAX_SEEDS = 10000, WL_FEW_SHOT_TASKS = 600 };

typedef struct wl_eval_setting {
  int64_t steps; /* number of inner steps of each run, called the horizon */
  /* seeds: number of sets of tasks, from 2 to WL_MAX_SEEDS; 0 means 10 sets, or 600 sets of
   * few-shot tasks. units: number of tasks in each set. */
  int64_t seeds, units;
  /* number of tasks on which a rate is tuned; 0 means 5, or 25 for few-shot tasks */
  int64_t tune_units;
  uint64_t seed;
  int threads;
  int task;   /* task index */
  /* true if only the learned rule runs; the case then has one entry, and the verdict is not set */
  bool alone;
} wl_eval_setting;

/* The results of one rule in a case. The case owns the arrays. */
typedef struct wl_eval_entry {
  char rule[32];
  double rate;      /* tuned learning rate; NaN for the learned rule */
  /* [seeds] loss on the fixed sample of training data after the last step, as a mean over the units
   * of each set */
  double *final;
  /* [seeds] loss on the held-out split after the last step, as a mean over the units of each set */
  double *heldout;
  double *accuracy; /* [seeds] accuracy on the held-out split; NaN if the task has no accuracy */
  /* [seeds][steps] minibatch loss at theta_t, as a mean over the units of each set */
  double *curve;
  int64_t diverged; /* number of runs that diverged */
  /* mean of `final` over sets, and half width of the interval of this mean */
  double mean, half_width;
  /* mean of log10(final) over sets, and half width of the interval of this mean */
  double log10_mean, log10_half;
} wl_eval_entry;

typedef enum wl_verdict { WL_WINS, WL_TIES, WL_LOSES, WL_FAILS } wl_verdict;

/* The results for one setting. The setting is the trained setting, or a variation that changes one
 * key of the trained setting. Entry 0 is the learned rule. */
typedef struct wl_eval_case {
  /* name of the setting, for example "trained", "horizon x 5" or "activation relu" */
  char name[256];
  char note[160]; /* reason why the case could not run; "" if the case ran */
  int64_t steps, seeds;
  /* true if each set is one few-shot task, whose losses are measured on the query set */
  bool few_shot;
  double start;  /* mean loss of the learned rule's runs at theta_0 */
  int entries;
  wl_eval_entry *entry; /* [entries] results of each rule; NULL if the case could not run */
  int best;             /* index of the hand-designed entry with the lowest mean final loss */
  double difference,
      /* mean over sets of log10(final loss of the learned rule) - log10(final loss of the best
       * hand-designed rule), and half width of the interval of this mean; NaN if a loss is not
       * positive */
      difference_half;
  /* mean over sets of the final loss of the learned rule minus the final loss of the best
   * hand-designed rule, and half width of the interval of this mean */
  double gap, gap_half;
  /* fraction of the square of starting points that an explicit warp of the task reaches
   * (evaluate_warp.c); NaN if the task has no explicit warp */
  double coverage;
  /* final loss of the rule without the warp minus its final loss with the warp, and half width of
   * the interval of this difference */
  double advantage, advantage_half;
  wl_verdict verdict;
} wl_eval_case;

/* Runs the trained optimizer and the hand-designed rules in one setting, and fills *out with the
 * results. The caller clears *out with wl_eval_case_clear. Collective. */
wl_status wl_evaluate(const wl_trained *trained, const char *name, const wl_eval_setting *setting,
                      wl_comm *comm, wl_eval_case *out);
void wl_eval_case_clear(wl_eval_case *eval);

/* A setting that differs from the trained setting along one axis. The axes are "horizon", "steps",
 * "width", "depth", "activation", "data" and "scale". The member `override` changes a key of the
 * configuration. */
enum { WL_VARIED_INTS = 128 }; /* largest length of a list that a variation can change */
typedef struct wl_variation {
  char name[64];
  /* override of the configuration key that this variation changes. The pointers in the override
   * point to `path`, `text` and `ints` of this struct. If only the horizon changes, override.path
   * is NULL. */
  wl_override override;
  char path[64];        /* path of the key, for example "task.widths" */
  char text[64];
  int64_t ints[WL_VARIED_INTS];
  int64_t steps_factor; /* factor by which the trained horizon is multiplied, if `steps` is 0 */
  /* the new horizon in inner steps; 0 means that the horizon is multiplied by `steps_factor` */
  int64_t steps;
} wl_variation;
enum { WL_MAX_VARIATIONS = 8 };
/* Lists the variations of a configuration with one task along an axis, and sets *count to their
 * number. If the axis does not apply to
 * this family, sets *count to 0 and writes the reason to `note`. Returns WL_ERR_USAGE for an
 * unknown axis. Not collective. */
wl_status wl_variations(const wl_config *config, const char *axis,
                        wl_variation out[WL_MAX_VARIATIONS], int *count, char *note,
                        size_t note_size);

/* Writes cases [count] with all curves to an HDF5 file of kind "evaluation". The string `settings`
 * becomes an attribute of the file. Not collective. */
wl_status wl_eval_write(const char *path, const wl_trained *trained, const char *settings,
                        const wl_eval_case *cases, int count);

/* Computes the mean of n values and the half width of the 95 % interval of the mean (Student's t).
 * Mean and half width are NaN if a value is not finite. */
void wl_evaluate_interval(const double *values, int64_t n, double *mean, double *half_width);

#endif
