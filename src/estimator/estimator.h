/* estimator.h - computes the contribution of a unit to the meta-gradient from a window of the unit.
 *
 * A window is one or more inner runs of the unit. If the estimator is forward-only, these runs may be computed in any
 * order or at the same time. Then `finish` computes the contribution from the outcomes of all runs. The formulas are in
 * docs/mathematics.md, "Estimators of the meta-gradient". Each estimator is one file and one line in estimators.def.
 *
 * This module uses neither MPI nor HDF5. */
#ifndef WL_ESTIMATOR_ESTIMATOR_H
#define WL_ESTIMATOR_ESTIMATOR_H

#include "unroll/window.h"

typedef struct wl_estimator wl_estimator;

/* One inner run of a unit's window. */
typedef struct wl_estimator_job {
  wl_unroll_ws *ws; /* workspace of this thread, for the unit's task */
  double *scratch;  /* [wl_estimator_scratch] of this thread */
  wl_unit *unit;
  int run;          /* number of this run, less than estimator->runs */
  int64_t t, steps; /* first step of the window, number of steps */
  const double *phi;
  const wl_observer *observers; /* observers of the run with number estimator->main_run */
  /* [width] the run adds its contribution to this vector, if it back-propagates; NULL: the unit only advances */
  double *vector;
} wl_estimator_job;

typedef struct wl_run_outcome {
  wl_window_result window;
  double loss;  /* value of the objective, for a forward-only estimator */
  bool counted; /* the results are finite and can be used */
  double *imitation; /* [steps][WL_IMITATION_TERMS] of a unit that imitates a teacher, otherwise NULL; borrowed */
} wl_run_outcome;

typedef struct wl_estimator_ops {
  const char *name, *summary;
  const wl_option *options; /* ends with key NULL; the pointer is NULL if there are no options */
  bool traces;              /* the estimator back-propagates, so its workspaces keep a trace */
  bool whole_episodes;      /* the estimator needs outer.every: episode */
  bool imitates;            /* supports units that imitate a teacher */
  /* Sets runs, main_run, shape and width. The other members are already set. */
  wl_status (*create)(const wl_map *map, wl_estimator *estimator);
  wl_status (*run)(const wl_estimator *estimator, const wl_estimator_job *job,
                   wl_run_outcome *outcome);
  /* Called after all runs of the window that `job` describes. Adds to job->vector and updates the unit's state. If
   * NULL, the runs have done both. */
  void (*finish)(const wl_estimator *estimator, const wl_estimator_job *job,
                 const wl_run_outcome *outcomes);
  /* Called when all windows of a unit in a meta-step are done. May be NULL. */
  void (*close)(const wl_estimator *estimator, double *vector);
  /* Computes the meta-gradient [phi.size] from the sum of the vectors of the counted units. If NULL, the meta-gradient
   * is their mean. */
  void (*combine)(const wl_estimator *estimator, const double *sum, int64_t counted,
                  double *gradient);
} wl_estimator_ops;

/* The function of a window's losses that a forward-only estimator differentiates. */
typedef enum wl_es_loss {
  WL_ES_WINDOW,
  WL_ES_MEAN,
  WL_ES_SUM,
  WL_ES_LAST,
  WL_ES_TELESCOPING,
  WL_ES_MEAN_AND_LAST
} wl_es_loss;

/* The keys of the forward-only estimators. docs/mathematics.md defines the symbols. */
typedef struct wl_es_setting {
  double sigma;
  int64_t pairs; /* number of antithetic pairs of a unit */
  wl_es_loss loss;
  double last_share; /* weight of the last window in WL_ES_MEAN_AND_LAST */
  wl_reals clip;     /* bounds of a loss: none, one, or one for each entry of `task` */
  enum { WL_ES_PLAIN, WL_ES_LOG } transform;
  double floor;       /* added to the loss before its logarithm */
  double failed_loss; /* value used for a non-finite loss; 0: the unit is left out */
  int64_t batches;    /* full_es: number of fresh batches at the episode's end */
  bool sign;          /* full_es: use only the sign of the difference */
} wl_es_setting;

struct wl_estimator {
  const wl_estimator_ops *ops;
  const wl_model *model; /* borrowed */
  const wl_map *map;     /* the configuration's section, borrowed */
  uint64_t seed;
  /* number of entries of the configuration's `task`; an entry with choices counts once, but gives several tasks */
  int n_entries;
  int *entry;          /* [tasks] the entry to which each task belongs; owned */
  wl_window_spec spec; /* settings of the windows, for the workspaces */
  wl_unit_shape shape; /* shape of the units */
  int runs, main_run;  /* number of inner runs of a window, and the run that is recorded */
  int64_t width;       /* number of values that a unit contributes */
  wl_es_setting es;
  double *weights; /* [K + 1] weights of the losses, owned; NULL: the weights of the section `window` */
};

extern const wl_estimator_ops *const wl_estimators[]; /* the list ends with NULL; element 0 is bptt */
const wl_variant *wl_estimator_variants(void);

/* The facts about a training that the estimator needs. */
typedef struct wl_estimator_setting {
  uint64_t seed;
  int64_t units;       /* number of units of a meta-step */
  bool whole_episodes; /* a meta-step has all windows of an episode */
  bool replays;        /* the training has a replay buffer */
} wl_estimator_setting;

/* Creates the estimator of the configuration's section `estimator`. `spec` holds the settings of the section `window`.
 * Borrows `model`, which must exist as long as the estimator. Returns WL_ERR_CONFIG if the estimator does not support
 * the rule, the initialisation or the outer loop. */
wl_status wl_estimator_create(const wl_config *config, const wl_model *model,
                              const wl_window_spec *spec, const wl_estimator_setting *setting,
                              wl_estimator **out);
/* Returns WL_ERR_CONFIG if the model needs the adjoint of the rule but the rule has none. The message names the
 * forward-only estimators. */
wl_status wl_estimator_need_adjoint(const wl_config *config, const wl_model *model);
void wl_estimator_destroy(wl_estimator **estimator);
/* Returns the number of doubles of scratch memory that each thread needs. */
int64_t wl_estimator_scratch(const wl_estimator *estimator);
/* Computes the mean meta-gradient [phi.size] from the sum over `counted` units. */
void wl_estimator_combine(const wl_estimator *estimator, const double *sum, int64_t counted,
                          double *gradient);

#endif
