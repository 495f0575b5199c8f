/* schedule.h - declares the schedules of a rate. A schedule is a factor that depends on the step t
 * of a run with T steps. During the W warm-up steps, the factor is (t + 1) / W. After the warm-up,
 * the factor depends on the kind of the schedule:
 *
 *   constant  1
 *   linear    f + (1 - f) (1 - (t - W) / (T - W))
 *   cosine    f + (1 - f) (1 + cos(pi (t - W) / (T - W))) / 2
 *   step      decay_factor ^ floor(t / decay_every)
 *
 * Here f is `final_fraction`. After step T, the factor of the schedules linear and cosine is f. In
 * an update rule, W is `warmup_fraction` times T if this fraction is positive. If the fraction is
 * 0, W is `warmup_steps` for the schedule warmup_cosine, and 0 for the other schedules. In the
 * outer loop, W is `warmup_steps` for every schedule. T is the number of steps in the current
 * episode. If this number is unknown, T is the number of steps in the longest episode. */
#ifndef WL_RULE_SCHEDULE_H
#define WL_RULE_SCHEDULE_H

#include "base/options.h"

typedef enum wl_schedule_kind {
  WL_SCHEDULE_CONSTANT,
  WL_SCHEDULE_COSINE,
  WL_SCHEDULE_STEP,
  WL_SCHEDULE_LINEAR,
  /* kind that `schedule: warmup_cosine` of an update rule selects; wl_schedule_complete replaces
   * this kind by WL_SCHEDULE_COSINE */
  WL_SCHEDULE_WARMUP_COSINE
} wl_schedule_kind;

typedef struct wl_schedule {
  wl_schedule_kind kind;
  int64_t steps;        /* the number T of steps */
  int64_t warmup_steps; /* the number W of warm-up steps */
  /* if positive: W is this fraction of T, rounded to an integer; if 0: W is `warmup_steps` */
  double warmup_fraction;
  int64_t decay_every;
  double decay_factor, final_fraction;
} wl_schedule;

/* The options of a schedule, as entries of an update rule's table of options. The rule reads its
 * options into the structure `type`, which has a member `member` of type wl_schedule. */
/* clang-format off */
#define WL_SCHEDULE_OPTIONS(type, member)                                                         \
  {"schedule", WL_OPT_CHOICE, "constant", "constant|cosine|step|linear|warmup_cosine", 0, 0, "1", \
   "Schedule of the rate over the steps of an episode.", WL_SLOT(type, member.kind)},             \
  {"warmup_steps", WL_OPT_INT, "0", NULL, 0, 1e15, "steps",                                       \
   "Number of steps during which `warmup_cosine` increases the rate linearly.",                   \
   WL_SLOT(type, member.warmup_steps)},                                                           \
  {"warmup_fraction", WL_OPT_REAL, "0", NULL, 0, 1, "1",                                          \
   "Fraction of the episode during which the rate increases linearly, for every schedule.",       \
   WL_SLOT(type, member.warmup_fraction)},                                                        \
  {"decay_every", WL_OPT_INT, "100", NULL, 1, 1e15, "steps",                                      \
   "Number of steps between two reductions of the rate by `schedule: step`.", WL_SLOT(type, member.decay_every)}, \
  {"decay_factor", WL_OPT_REAL, "0.1", NULL, 0, 1e3, "1",                                         \
   "Factor by which `schedule: step` multiplies the rate at each reduction.",                     \
   WL_SLOT(type, member.decay_factor)},                                                           \
  {"final_fraction", WL_OPT_REAL, "0", NULL, 0, 1e3, "1",                                         \
   "Rate at the end of the linear and cosine schedules, as a fraction of the configured rate.", WL_SLOT(type, member.final_fraction)}
/* clang-format on */

/* Completes a schedule that an update rule has read from `options`, for runs of `steps` steps. The
 * member warmup_steps has an effect only with warmup_cosine. Returns WL_ERR_CONFIG if warmup_steps
 * exceeds `steps`. */
wl_status wl_schedule_complete(wl_schedule *schedule, const wl_map *options, int64_t steps);
/* Returns the schedule for an episode of `horizon` steps. If `horizon` is 0, the function does not
 * change the number of steps. */
wl_schedule wl_schedule_over(const wl_schedule *schedule, int64_t horizon);
/* Returns `rate` multiplied by the factor of the schedule at step t. */
double wl_schedule_rate(const wl_schedule *schedule, double rate, int64_t t);

#endif
