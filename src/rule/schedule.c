/* schedule.c - rate schedules: constant, cosine, step, warm-up and cosine. Formulas: schedule.h. */
#include "rule/schedule.h"

#include <math.h>
#include <string.h>

static wl_schedule_kind kind_of(const char *name) {
  if (strcmp(name, "cosine") == 0) return WL_SCHEDULE_COSINE;
  if (strcmp(name, "step") == 0) return WL_SCHEDULE_STEP;
  if (strcmp(name, "warmup_cosine") == 0) return WL_SCHEDULE_WARMUP_COSINE;
  return WL_SCHEDULE_CONSTANT;
}

wl_status wl_schedule_read(const wl_map *options, int64_t steps, wl_schedule *out) {
  *out = (wl_schedule){.kind = kind_of(wl_map_string(options, "schedule")),
                       .steps = steps,
                       .warmup_steps = wl_map_int(options, "warmup_steps"),
                       .decay_every = wl_map_int(options, "decay_every"),
                       .decay_factor = wl_map_real(options, "decay_factor"),
                       .final_fraction = wl_map_real(options, "final_fraction")};
  if (out->kind == WL_SCHEDULE_WARMUP_COSINE && out->warmup_steps > steps)
    return wl_map_fail(options, "warmup_steps",
                       "%lld is more than the %lld steps of the run; choose at most that many",
                       (long long)out->warmup_steps, (long long)steps);
  return WL_OK;
}

/* From 1 at t = 0 to f at t = steps, and f after it. */
static double cosine(int64_t t, int64_t steps, double f) {
  if (t >= steps) return f;
  const double pi = 3.14159265358979323846;
  return f + (1 - f) * 0.5 * (1 + cos(pi * (double)t / (double)steps));
}

double wl_schedule_factor(const wl_schedule *schedule, int64_t t) {
  const int64_t warmup = schedule->warmup_steps;
  switch (schedule->kind) {
    case WL_SCHEDULE_COSINE: return cosine(t, schedule->steps, schedule->final_fraction);
    case WL_SCHEDULE_STEP: return pow(schedule->decay_factor, (double)(t / schedule->decay_every));
    case WL_SCHEDULE_WARMUP_COSINE:
      if (t < warmup) return (double)(t + 1) / (double)warmup;
      return cosine(t - warmup, schedule->steps - warmup, schedule->final_fraction);
    case WL_SCHEDULE_CONSTANT: break;
  }
  return 1;
}
