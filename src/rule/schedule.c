/* schedule.c - rate schedules: constant, linear, cosine, step, each with a warm-up. Formulas: schedule.h. */
#include "rule/schedule.h"

#include <math.h>
#include <string.h>

static wl_schedule_kind kind_of(const char *name) {
  if (strcmp(name, "cosine") == 0 || strcmp(name, "warmup_cosine") == 0) return WL_SCHEDULE_COSINE;
  if (strcmp(name, "linear") == 0) return WL_SCHEDULE_LINEAR;
  return strcmp(name, "step") == 0 ? WL_SCHEDULE_STEP : WL_SCHEDULE_CONSTANT;
}

wl_schedule wl_schedule_of(const wl_map *options, int64_t steps) {
  return (wl_schedule){.kind = kind_of(wl_map_string(options, "schedule")),
                       .steps = steps,
                       .warmup_steps = wl_map_int(options, "warmup_steps"),
                       .decay_every = wl_map_int(options, "decay_every"),
                       .decay_factor = wl_map_real(options, "decay_factor"),
                       .final_fraction = wl_map_real(options, "final_fraction")};
}

wl_status wl_schedule_read(const wl_map *options, int64_t steps, wl_schedule *out) {
  const bool warms_up = strcmp(wl_map_string(options, "schedule"), "warmup_cosine") == 0;
  *out = wl_schedule_of(options, steps);
  if (!warms_up) out->warmup_steps = 0;
  if (out->warmup_steps > steps)
    return wl_map_fail(options, "warmup_steps",
                       "%lld is more than the %lld steps of the run; choose at most that many",
                       (long long)out->warmup_steps, (long long)steps);
  out->warmup_fraction = wl_map_real(options, "warmup_fraction");
  *out = wl_schedule_over(out, steps);
  return WL_OK;
}

wl_schedule wl_schedule_over(const wl_schedule *schedule, int64_t horizon) {
  wl_schedule s = *schedule;
  if (horizon > 0) s.steps = horizon;
  if (s.warmup_fraction > 0) s.warmup_steps = (int64_t)llround(s.warmup_fraction * (double)s.steps);
  return s;
}

double wl_schedule_rate(const wl_schedule *s, double rate, int64_t t) {
  if (t < s->warmup_steps) return rate * (double)(t + 1) / (double)s->warmup_steps;
  if (s->kind == WL_SCHEDULE_STEP) return rate * pow(s->decay_factor, (double)(t / s->decay_every));
  if (s->kind == WL_SCHEDULE_CONSTANT) return rate;
  const double span = (double)(s->steps - s->warmup_steps), f = s->final_fraction;
  const double done = span > 0 ? fmin((double)(t - s->warmup_steps) / span, 1.0) : 1.0;
  const double left = s->kind == WL_SCHEDULE_LINEAR ? 1.0 - done : 0.5 * (1.0 + cos(M_PI * done));
  return rate * (f + (1.0 - f) * left);
}
