/* schedule.h - schedules of a rate. A schedule is a factor that depends on the step t of a run of T steps.
 *
 *   warm-up   (t + 1) / W for t < W; for t >= W one of
 *   constant  1
 *   linear    f + (1 - f) (1 - (t - W) / (T - W))
 *   cosine    f + (1 - f) (1 + cos(pi (t - W) / (T - W))) / 2
 *   step      decay_factor ^ floor(t / decay_every)
 *
 * f is final_fraction, and W is the number of warm-up steps. After step T, linear and cosine are f. In an update rule,
 * W is warmup_fraction times T, or warmup_steps with warmup_cosine. In the outer loop, W is warmup_steps with every
 * schedule. T is the horizon of the current episode if it is known, otherwise the longest horizon of the rule. */
#ifndef WL_RULE_SCHEDULE_H
#define WL_RULE_SCHEDULE_H

#include "base/options.h"

typedef enum wl_schedule_kind {
  WL_SCHEDULE_CONSTANT,
  WL_SCHEDULE_COSINE,
  WL_SCHEDULE_STEP,
  WL_SCHEDULE_LINEAR,
  /* only in keys of update rules; wl_schedule_complete replaces this kind by WL_SCHEDULE_COSINE */
  WL_SCHEDULE_WARMUP_COSINE
} wl_schedule_kind;

typedef struct wl_schedule {
  wl_schedule_kind kind;
  int64_t steps;          /* T */
  int64_t warmup_steps;   /* W */
  double warmup_fraction; /* W = this share of T, rounded; 0: W is warmup_steps */
  int64_t decay_every;
  double decay_factor, final_fraction;
} wl_schedule;

/* The rows of a schedule for the options table of an update rule. The rule reads its keys into the struct `type`. This
 * struct has a member `member` of type wl_schedule. */
/* clang-format off */
#define WL_SCHEDULE_OPTIONS(type, member)                                                         \
  {"schedule", WL_OPT_CHOICE, "constant", "constant|cosine|step|linear|warmup_cosine", 0, 0, "1", \
   "How the rate changes over the steps of an episode.", WL_SLOT(type, member.kind)},             \
  {"warmup_steps", WL_OPT_INT, "0", NULL, 0, 1e15, "steps",                                       \
   "Steps over which `warmup_cosine` raises the rate linearly.",                                  \
   WL_SLOT(type, member.warmup_steps)},                                                           \
  {"warmup_fraction", WL_OPT_REAL, "0", NULL, 0, 1, "1",                                          \
   "Fraction of the episode over which the rate rises linearly, with any schedule.",              \
   WL_SLOT(type, member.warmup_fraction)},                                                        \
  {"decay_every", WL_OPT_INT, "100", NULL, 1, 1e15, "steps",                                      \
   "Steps between two reductions of the rate by `schedule: step`.", WL_SLOT(type, member.decay_every)}, \
  {"decay_factor", WL_OPT_REAL, "0.1", NULL, 0, 1e3, "1",                                         \
   "Factor of the rate at each reduction by `schedule: step`.",                                   \
   WL_SLOT(type, member.decay_factor)},                                                           \
  {"final_fraction", WL_OPT_REAL, "0", NULL, 0, 1e3, "1",                                         \
   "Fraction of the rate that remains at the end of linear and cosine schedules.", WL_SLOT(type, member.final_fraction)}
/* clang-format on */

/* Completes the schedule that an update rule has read from `options`, for runs of T = `steps` steps. warmup_steps is
 * used only with warmup_cosine. Returns WL_ERR_CONFIG if warmup_steps exceeds T. */
wl_status wl_schedule_complete(wl_schedule *schedule, const wl_map *options, int64_t steps);
/* Returns the schedule for an episode of `horizon` steps. If `horizon` is 0, returns the schedule unchanged. */
wl_schedule wl_schedule_over(const wl_schedule *schedule, int64_t horizon);
/* Returns the rate at step t >= 0. */
double wl_schedule_rate(const wl_schedule *schedule, double rate, int64_t t);

#endif
