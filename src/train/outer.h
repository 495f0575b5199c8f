/* outer.h - the outer optimizer: Adam or AdamW on the meta-parameters, in double.
 *
 * Adam (Kingma and Ba 2015, Algorithm 1), AdamW (Loshchilov and Hutter 2019): decay decoupled and
 * scaled by the scheduled rate. The gradient is clipped by value, then by global norm. */
#ifndef WL_TRAIN_OUTER_H
#define WL_TRAIN_OUTER_H

#include "base/options.h"

/* The configuration's `outer` section: all of the outer loop's keys. */
extern const wl_option wl_outer_options[];

typedef struct wl_outer {
  bool adamw;
  double rate, beta1, beta2, epsilon, weight_decay, clip_value, clip_norm;
  const char *schedule; /* borrowed from the configuration */
  int64_t steps, warmup_steps, decay_every;
  double decay_factor, final_fraction;
  int64_t count;        /* meta-parameters */
  double *first, *second; /* [count] moments: state */
  int64_t updates;        /* updates applied, for bias correction: state */
} wl_outer;

/* `map` is the `outer` section, borrowed for the optimizer's life. */
wl_status wl_outer_create(const wl_map *map, int64_t count, wl_outer **out);
void wl_outer_destroy(wl_outer **outer);
/* The scheduled rate of meta-step `step` (0-based). */
double wl_outer_rate(const wl_outer *outer, int64_t step);
/* Clips `gradient` in place and updates phi; returns the gradient's norm before clipping. */
double wl_outer_update(wl_outer *outer, int64_t step, double *gradient, double *phi);

#endif
