/* outer.h - declares the outer optimizer, which updates the meta-parameters with Adam, AdamW or SGD
 * in double precision.
 *
 * Adam is Algorithm 1 of Kingma and Ba 2015. AdamW (Loshchilov and Hutter 2019) has a decoupled
 * weight decay; the decay is multiplied by the scheduled rate. SGD has heavy-ball momentum. Each
 * group of meta-parameters may have a separate rate, optimizer, bound of the norm and range of
 * meta-steps. Outside the range of meta-steps of a group, the meta-parameters and the moments of
 * the group do not change. The gradient is clipped in three stages: the norm of each group, then
 * each element, then the norm of the whole gradient. */
#ifndef WL_TRAIN_OUTER_H
#define WL_TRAIN_OUTER_H

#include "base/layout.h"
#include "base/options.h"
#include "rule/schedule.h"

/* The keys of the section `outer`, which contains all settings of the outer loop. */
extern const wl_option wl_outer_options[];

/* The groups that a map of the section `groups` may name. Each entry also lists the keys of such a
 * map. */
extern const wl_variant wl_outer_group_variants[];

/* Numbers of the groups into which the layout of phi is divided. A set of groups is an integer in
 * which bit g represents the group with number g. */
enum {
  WL_OUTER_RULE,
  WL_OUTER_PRECONDITION,
  WL_OUTER_WARP,
  WL_OUTER_INITIALISATION,
  WL_OUTER_GROUPS
};
enum { WL_OUTER_ALL = (1u << WL_OUTER_GROUPS) - 1 };

typedef enum wl_outer_kind { WL_OUTER_ADAM, WL_OUTER_ADAMW, WL_OUTER_SGD } wl_outer_kind;

typedef struct wl_outer_group {
  /* position of the group's first element in phi, and number of its meta-parameters (0 if it has
   * none) */
  int64_t offset, size;
  wl_outer_kind kind;
  double rate, clip_norm;
  /* the group is updated in the meta-steps from from_step to until_step - 1; if until_step is -1,
   * there is no last meta-step */
  int64_t from_step, until_step;
  bool configured;
} wl_outer_group;

typedef struct wl_outer {
  double rate, beta1, beta2, epsilon, momentum, weight_decay, clip_value, clip_norm;
  wl_schedule schedule;
  /* decay of the exponential average of phi; 0 means that there is no average */
  double average;
  int64_t count;          /* number of meta-parameters */
  double *first, *second; /* [count] running mean of the gradient (first moment) and of the squared
                           * gradient (second moment); checkpoints store both arrays */
  wl_outer_group group[WL_OUTER_GROUPS];
  /* number of updates of each group so far, for the bias correction; checkpoints store these
   * numbers */
  int64_t updates[WL_OUTER_GROUPS];
} wl_outer;

/* Values of the keys in the section `outer`. */
typedef struct wl_outer_keys {
  int64_t steps, units, patience, validate;
  enum { WL_EVERY_WINDOW, WL_EVERY_EPISODE } every;
  wl_outer_kind optimizer;
  double learning_rate, beta1, beta2, epsilon, momentum, weight_decay, clip_value, clip_norm;
  double average;
  wl_schedule schedule; /* wl_outer_read sets all members except `steps`; the caller sets `steps` */
} wl_outer_keys;
/* Returns the values of the section `outer` of a configuration. */
wl_outer_keys wl_outer_read(const wl_config *config);

/* Creates the outer optimizer from the sections `outer` and `groups`. The caller frees *out with
 * wl_outer_destroy. Not collective. */
wl_status wl_outer_create(const wl_config *config, const wl_layout *phi, wl_outer **out);
void wl_outer_destroy(wl_outer **outer);
/* Returns the scheduled rate of meta-step `step`, counted from 0. */
double wl_outer_rate(const wl_outer *outer, int64_t step);
/* Updates the meta-parameters of the groups in the set `groups`, except groups that are frozen at
 * meta-step `step`. Clips `gradient` [count] in place, and sets the gradient of groups that are not
 * updated to 0. Returns the norm of the gradient after the clipping of groups and before all other
 * clipping. */
double wl_outer_update(wl_outer *outer, int64_t step, unsigned groups, double *gradient,
                       double *phi);

#endif
