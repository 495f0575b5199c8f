/* schedule.c - computes the schedules of a rate. The file schedule.h contains the formulas. */
#include "rule/schedule.h"

#include <math.h>

wl_status wl_schedule_complete(wl_schedule *s, const wl_map *options, int64_t steps) {
  s->steps = steps;
  if (s->kind != WL_SCHEDULE_WARMUP_COSINE) s->warmup_steps = 0;
  else s->kind = WL_SCHEDULE_COSINE;
  if (s->warmup_steps > steps)
    return wl_map_fail(options, "warmup_steps",
                       "the value %lld exceeds the %lld steps of the run; choose a smaller number",
                       (long long)s->warmup_steps, (long long)steps);
  *s = wl_schedule_over(s, steps);
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
