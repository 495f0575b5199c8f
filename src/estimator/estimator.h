/* estimator.h - declares the estimators. An estimator computes the contribution of a unit to the
 * meta-gradient from a window of the unit.
 *
 * For each window, an estimator computes one or more inner runs of the unit. The runs of a
 * forward-only estimator may be computed in any order or at the same time. When all runs have
 * ended, `finish` computes the contribution from the outcomes of the runs. The formulas are in
 * docs/mathematics.md, "Estimators of the meta-gradient". Each estimator has one source file and
 * one line in estimators.def.
 *
 * The estimators use neither MPI nor HDF5. */
#ifndef WL_ESTIMATOR_ESTIMATOR_H
#define WL_ESTIMATOR_ESTIMATOR_H

#include "unroll/window.h"

typedef struct wl_estimator wl_estimator;

/* The inputs of one inner run over a window of a unit. */
typedef struct wl_estimator_job {
  wl_unroll_ws *ws; /* this thread's workspace for the unit's task */
  double *scratch;  /* [wl_estimator_scratch()] scratch memory of this thread */
  wl_unit *unit;
  int run;          /* number of this run, from 0 to estimator->runs - 1 */
  int64_t t, steps; /* t: first step of the window; steps: number of steps in the window */
  const double *phi;
  const wl_observer *observers; /* functions that observe the run with number estimator->main_run */
  /* [width] the vector to which the unit's contribution is added; NULL: the inner run advances, but
   * the unit adds no contribution */
  double *vector;
} wl_estimator_job;

typedef struct wl_run_outcome {
  wl_window_result window;
  double loss;  /* value of the estimator's objective for this run */
  bool counted; /* true: the results are finite, so the unit can be counted */
  /* [steps][WL_IMITATION_TERMS] imitation terms of each step, borrowed; NULL: the unit does not
   * imitate a teacher */
  double *imitation;
} wl_run_outcome;

typedef struct wl_estimator_ops {
  const char *name, *summary;
  /* list whose last entry has the key NULL; if the pointer is NULL, the estimator has no options */
  const wl_option *options;
  /* true: the estimator back-propagates, so its workspaces store the values that the backward pass
   * of a window needs */
  bool traces;
  bool whole_episodes; /* true: the estimator needs the setting `outer.every: episode` */
  bool imitates;       /* true: the estimator supports units that imitate a teacher */
  /* Sets the members runs, main_run, shape and width of the estimator, whose other members are
   * already set. */
  wl_status (*create)(const wl_map *map, wl_estimator *estimator);
  wl_status (*run)(const wl_estimator *estimator, const wl_estimator_job *job,
                   wl_run_outcome *outcome);
  /* The function `finish` is called after all runs of the window that `job` describes. The function
   * adds the unit's contribution to job->vector and updates the unit's state. If `finish` is NULL,
   * the function `run` does this work itself. */
  void (*finish)(const wl_estimator *estimator, const wl_estimator_job *job,
                 const wl_run_outcome *outcomes);
  /* The function `close` is called after the last window of a unit in a meta-step, and completes
   * the unit's vector. If the vector needs no completion, `close` is NULL. */
  void (*close)(const wl_estimator *estimator, double *vector);
  /* Computes the meta-gradient [phi.size] from the sum of the counted units' vectors. If `combine`
   * is NULL, the meta-gradient is the mean of the vectors. */
  void (*combine)(const wl_estimator *estimator, const double *sum, int64_t counted,
                  double *gradient);
} wl_estimator_ops;

/* The objective of a forward-only estimator, as a function of the losses in a window. */
typedef enum wl_es_loss {
  WL_ES_WINDOW,
  WL_ES_MEAN,
  WL_ES_SUM,
  WL_ES_LAST,
  WL_ES_TELESCOPING,
  WL_ES_MEAN_AND_LAST
} wl_es_loss;

/* The settings of the forward-only estimators. The file docs/mathematics.md defines the symbols. */
typedef struct wl_es_setting {
  double sigma;
  int64_t pairs; /* number of antithetic pairs for each unit */
  wl_es_loss loss;
  /* weight of the mean loss of the last window of an episode in the objective
   * WL_ES_MEAN_AND_LAST */
  double last_share;
  /* upper bounds of a loss: no bound, one bound for all tasks, or one bound for each entry of
   * `task` */
  wl_reals clip;
  enum { WL_ES_PLAIN, WL_ES_LOG } transform;
  double floor; /* number that is added to a loss before its logarithm is computed */
  /* value that replaces a non-finite loss; if the value is 0, a unit with a non-finite loss is not
   * counted */
  double failed_loss;
  int64_t batches; /* number of minibatches that full_es draws at the episode's end */
  /* true: full_es uses only the sign of the difference between the losses of a pair */
  bool sign;
} wl_es_setting;

struct wl_estimator {
  const wl_estimator_ops *ops;
  const wl_model *model; /* borrowed */
  const wl_map *map;     /* the configuration's section `estimator`, borrowed */
  uint64_t seed;
  /* number of entries in the configuration's list `task`; an entry with choices is one entry, but
   * contains several tasks */
  int n_entries;
  int *entry;          /* [tasks] index of the entry that contains each task; owned */
  wl_window_spec spec; /* settings of the windows; the workspaces use these settings */
  /* number of particles and numbers of elements of other arrays in each unit */
  wl_unit_shape shape;
  /* runs: number of inner runs for each window; main_run: number of the run that is recorded */
  int runs, main_run;
  int64_t width; /* number of doubles in a unit's contribution */
  wl_es_setting es;
  /* [K + 1] weights of the losses in a window of K steps, owned; NULL: the section `window`
   * defines the weights */
  double *weights;
};

/* table of all estimators; the table ends with NULL, and element 0 is bptt */
extern const wl_estimator_ops *const wl_estimators[];
const wl_variant *wl_estimator_variants(void);

/* Settings of other sections that the estimator needs. */
typedef struct wl_estimator_setting {
  uint64_t seed;
  int64_t units;       /* number of units in a meta-step */
  bool whole_episodes; /* true: a meta-step computes all windows of an episode */
  bool replays;        /* true: the training has a replay buffer */
} wl_estimator_setting;

/* Creates the estimator of the configuration's section `estimator`. `spec` contains the settings of
 * the section `window`. The estimator borrows `model`, which must remain valid until the estimator
 * is destroyed. Returns WL_ERR_CONFIG if the estimator does not support the rule, the
 * initialisation or the outer loop. */
wl_status wl_estimator_create(const wl_config *config, const wl_model *model,
                              const wl_window_spec *spec, const wl_estimator_setting *setting,
                              wl_estimator **out);
/* Returns WL_ERR_CONFIG if the model needs the rule's adjoint but the rule has no adjoint. The
 * message names the estimators that need no adjoint. */
wl_status wl_estimator_need_adjoint(const wl_config *config, const wl_model *model);
void wl_estimator_destroy(wl_estimator **estimator);
/* Returns the number of doubles of scratch memory that each thread needs. */
int64_t wl_estimator_scratch(const wl_estimator *estimator);
/* Computes the meta-gradient [phi.size] from `sum`, the sum of the vectors of `counted` units. */
void wl_estimator_combine(const wl_estimator *estimator, const double *sum, int64_t counted,
                          double *gradient);

#endif
