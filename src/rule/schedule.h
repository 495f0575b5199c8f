/* schedule.h - how a rate changes with the step t of a run of T steps: a factor in front of it.
 *
 *   constant       1
 *   cosine         f + (1 - f) (1 + cos(pi t / T)) / 2
 *   step           decay_factor ^ floor(t / decay_every)
 *   warmup_cosine  (t + 1) / W for t < W, then the cosine over the T - W steps left
 *
 * f is final_fraction, W warmup_steps. Beyond T the cosine stays at f. */
#ifndef WL_RULE_SCHEDULE_H
#define WL_RULE_SCHEDULE_H

#include "base/options.h"

typedef enum wl_schedule_kind {
  WL_SCHEDULE_CONSTANT,
  WL_SCHEDULE_COSINE,
  WL_SCHEDULE_STEP,
  WL_SCHEDULE_WARMUP_COSINE
} wl_schedule_kind;

typedef struct wl_schedule {
  wl_schedule_kind kind;
  int64_t steps;        /* T */
  int64_t warmup_steps; /* W */
  int64_t decay_every;
  double decay_factor, final_fraction;
} wl_schedule;

/* The keys, for inclusion in a table of options. */
#define WL_SCHEDULE_OPTIONS                                                 \
  {"schedule", WL_OPT_CHOICE,                                               \
   "constant", "constant|cosine|step|warmup_cosine",                        \
   0,          0,                                                           \
   "1",        "how the rate changes over the steps of an episode"},        \
      {"warmup_steps",                                                      \
       WL_OPT_INT,                                                          \
       "0",                                                                 \
       NULL,                                                                \
       0,                                                                   \
       1e15,                                                                \
       "steps",                                                             \
       "steps over which schedule warmup_cosine raises the rate linearly"}, \
      {"decay_every",                                                       \
       WL_OPT_INT,                                                          \
       "100",                                                               \
       NULL,                                                                \
       1,                                                                   \
       1e15,                                                                \
       "steps",                                                             \
       "steps between two reductions of schedule step"},                    \
      {"decay_factor",                                                      \
       WL_OPT_REAL,                                                         \
       "0.1",                                                               \
       NULL,                                                                \
       0,                                                                   \
       1e3,                                                                 \
       "1",                                                                 \
       "what schedule step multiplies the rate with at each reduction"},    \
  {                                                                         \
    "final_fraction", WL_OPT_REAL, "0", NULL, 0, 1e3, "1",                  \
        "share of the rate that the cosine schedules end at"                \
  }

/* Reads the keys; `steps` is T. WL_ERR_CONFIG when the warm-up is longer than T. */
wl_status wl_schedule_read(const wl_map *options, int64_t steps, wl_schedule *out);
/* The factor at step t >= 0. */
double wl_schedule_factor(const wl_schedule *schedule, int64_t t);

#endif
