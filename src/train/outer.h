/* outer.h - the outer optimizer: Adam, AdamW or SGD on the meta-parameters, in double precision.
 *
 * Adam is Algorithm 1 of Kingma and Ba 2015. AdamW (Loshchilov and Hutter 2019) has a decoupled weight decay, which is
 * multiplied by the scheduled rate. SGD has heavy-ball momentum. Each group of meta-parameters may have a separate
 * rate, optimizer, norm bound and range of meta-steps. Outside this range, the group and its moments are frozen. The
 * gradient is clipped by the norms of the groups, then by value, then by its global norm. */
#ifndef WL_TRAIN_OUTER_H
#define WL_TRAIN_OUTER_H

#include "base/layout.h"
#include "base/options.h"
#include "rule/schedule.h"

/* The keys of the section `outer`, which has all keys of the outer loop. */
extern const wl_option wl_outer_options[];

/* The groups that the section `groups` may name, with their keys. */
extern const wl_variant wl_outer_group_variants[];

/* The groups of phi's layout. A set of groups is an integer in which bit g represents group g. */
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
  int64_t offset, size; /* the group's part of phi; if size is 0, the group has no meta-parameters */
  wl_outer_kind kind;
  double rate, clip_norm;
  int64_t from_step, until_step; /* the group is updated in meta-steps [from, until); until is -1 if there is no end */
  bool configured;
} wl_outer_group;

typedef struct wl_outer {
  double rate, beta1, beta2, epsilon, momentum, weight_decay, clip_value, clip_norm;
  wl_schedule schedule;
  double average;         /* decay of the average of phi; 0: no average */
  int64_t count;          /* number of meta-parameters */
  double *first, *second; /* [count] moments; part of the state */
  wl_outer_group group[WL_OUTER_GROUPS];
  int64_t updates[WL_OUTER_GROUPS]; /* number of updates applied, for bias correction; part of the state */
} wl_outer;

/* The values of the section `outer`. Texts are borrowed from the configuration. */
typedef struct wl_outer_keys {
  int64_t steps, units, patience, validate;
  enum { WL_EVERY_WINDOW, WL_EVERY_EPISODE } every;
  wl_outer_kind optimizer;
  double learning_rate, beta1, beta2, epsilon, momentum, weight_decay, clip_value, clip_norm;
  double average;
  wl_schedule schedule; /* all members except `steps`, which the caller sets */
} wl_outer_keys;
/* Reads the section `outer` of the configuration. */
wl_outer_keys wl_outer_read(const wl_config *config);

/* Creates the optimizer from the sections `outer` and `groups`. The caller frees *out with wl_outer_destroy. Not
 * collective. */
wl_status wl_outer_create(const wl_config *config, const wl_layout *phi, wl_outer **out);
void wl_outer_destroy(wl_outer **outer);
/* Returns the scheduled rate of meta-step `step`, counted from 0. */
double wl_outer_rate(const wl_outer *outer, int64_t step);
/* Updates the groups in the set `groups` that are not frozen at this step. Clips `gradient` [count] in place and sets
 * the gradient of all other groups to 0. Returns the norm of the gradient before the global clipping. */
double wl_outer_update(wl_outer *outer, int64_t step, unsigned groups, double *gradient,
                       double *phi);

#endif
