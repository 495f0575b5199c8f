/* estimator.h - from a window of a unit to the unit's contribution to the meta-gradient.
 *
 * A window is one or more inner runs of the unit. If the estimator is forward-only, these runs may be computed in any
 * order or at the same time. Then `finish` computes the contribution from the outcomes of all runs (formulas:
 * docs/mathematics.md, "Estimators of the meta-gradient"). An estimator is one file and a line in estimators.def.
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
  int run;          /* number of the run, less than estimator->runs */
  int64_t t, steps; /* first step of the window, number of steps */
  const double *phi;
  const wl_observer *observers; /* observers of run estimator->main_run */
  double *vector; /* [width] to which a back-propagating run adds; NULL: the unit only advances */
} wl_estimator_job;

typedef struct wl_run_outcome {
  wl_window_result window;
  double loss;  /* the objective of a forward-only estimator */
  bool counted; /* window and loss can be used */
  double *imitation; /* [steps][WL_IMITATION_TERMS] of a unit that imitates, borrowed; NULL without a teacher */
} wl_run_outcome;

typedef struct wl_estimator_ops {
  const char *name, *summary;
  const wl_option *options; /* ends with key NULL; NULL: none */
  bool traces;              /* back-propagates: its workspaces keep a trace */
  bool whole_episodes;      /* needs outer.every: episode */
  bool imitates;            /* supports units that imitate a teacher */
  /* Sets runs, main_run, shape and width; the other members are already set. */
  wl_status (*create)(const wl_map *map, wl_estimator *estimator);
  wl_status (*run)(const wl_estimator *estimator, const wl_estimator_job *job,
                   wl_run_outcome *outcome);
  /* Called after all runs of the window that `job` describes: adds to job->vector and updates the unit's state. NULL:
   * the runs do both. */
  void (*finish)(const wl_estimator *estimator, const wl_estimator_job *job,
                 const wl_run_outcome *outcomes);
  /* Called when a unit's windows of a meta-step are done; NULL: nothing. */
  void (*close)(const wl_estimator *estimator, double *vector);
  /* Computes the meta-gradient [phi.size] from the sum of the counted units' vectors; NULL: the mean of these
   * vectors. */
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

/* Keys of the forward-only estimators. */
typedef struct wl_es_setting {
  double sigma;
  int64_t pairs; /* antithetic pairs of a unit */
  wl_es_loss loss;
  double last_share; /* share of the last window in WL_ES_MEAN_AND_LAST */
  wl_reals clip;     /* bound of a loss: none, one, or one for each entry of `task` */
  enum { WL_ES_PLAIN, WL_ES_LOG } transform;
  double floor;       /* added to the loss before its logarithm */
  double failed_loss; /* value used for a non-finite loss; 0: the unit is left out */
  int64_t batches;    /* full_es: fresh batches at the episode's end */
  bool sign;          /* full_es: the sign of the difference alone */
} wl_es_setting;

struct wl_estimator {
  const wl_estimator_ops *ops;
  const wl_model *model; /* borrowed */
  const wl_map *map;     /* the configuration's section, borrowed */
  uint64_t seed;
  int n_entries; /* entries of the configuration's `task`; an entry with choices stands for several tasks */
  int *entry;          /* [tasks] the entry to which a task belongs; owned */
  wl_window_spec spec; /* policy of the workspaces */
  wl_unit_shape shape; /* shape of the units */
  int runs, main_run;  /* inner runs of a window; the one that is recorded */
  int64_t width;       /* numbers that a unit contributes */
  wl_es_setting es;
  double *weights; /* [K + 1] weights of the losses; NULL: those of `window`; owned */
};

extern const wl_estimator_ops *const wl_estimators[]; /* ends with NULL; [0] is bptt */
const wl_variant *wl_estimator_variants(void);

/* The training for which an estimator is created. */
typedef struct wl_estimator_setting {
  uint64_t seed;
  int64_t units;       /* units of a meta-step */
  bool whole_episodes; /* a meta-step takes all windows of an episode */
  bool replays;        /* there is a buffer of trajectories */
} wl_estimator_setting;

/* Creates the estimator of the configuration's section `estimator`. `spec` is the policy of the section `window`.
 * WL_ERR_CONFIG if the estimator does not support the rule, the initialisation or the outer loop. */
wl_status wl_estimator_create(const wl_config *config, const wl_model *model,
                              const wl_window_spec *spec, const wl_estimator_setting *setting,
                              wl_estimator **out);
/* Returns WL_ERR_CONFIG if the model needs the adjoint of a rule that has none; the message names the forward-only
 * estimators. */
wl_status wl_estimator_need_adjoint(const wl_config *config, const wl_model *model);
void wl_estimator_destroy(wl_estimator **estimator);
/* Returns the number of doubles of scratch for each thread that runs jobs. */
int64_t wl_estimator_scratch(const wl_estimator *estimator);
/* Computes the mean meta-gradient from the sum over `counted` units. */
void wl_estimator_combine(const wl_estimator *estimator, const double *sum, int64_t counted,
                          double *gradient);

#endif
