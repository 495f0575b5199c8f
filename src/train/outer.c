/* outer.c - outer Adam and AdamW with schedule and clipping. */
#include "train/outer.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define ANY 0, 0
#define AT_LEAST(n) (n), DBL_MAX

const wl_option wl_outer_options[] = {
    {"steps", WL_OPT_INT, "10000", NULL, 0, 1e12, "meta-steps", "Meta-steps of the whole run."},
    {"units", WL_OPT_INT, "1", NULL, 1, 1e9, "units", "Tasks unrolled for each meta-step, over all ranks."},
    {"every", WL_OPT_CHOICE, "window", "window|episode", ANY, "1",
     "A meta-step after each window, or after each meta-batch of whole episodes (gradients of their windows added)."},
    {"optimizer", WL_OPT_CHOICE, "adam", "adam|adamw", ANY, "1", "The optimizer of the meta-parameters."},
    {"learning_rate", WL_OPT_REAL, "1e-3", NULL, AT_LEAST(0), "1", "Its rate, before the schedule."},
    {"beta1", WL_OPT_REAL, "0.9", NULL, 0, 1, "1", "Decay of the first moment."},
    {"beta2", WL_OPT_REAL, "0.999", NULL, 0, 1, "1", "Decay of the second moment."},
    {"epsilon", WL_OPT_REAL, "1e-8", NULL, AT_LEAST(0), "1", "Added to the root of the second moment."},
    {"weight_decay", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "1", "Decoupled decay of adamw, times the rate."},
    {"clip_value", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "1", "Bound on each element of the meta-gradient; 0: none."},
    {"clip_norm", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "1", "Bound on the meta-gradient's norm; 0: none."},
    {"schedule", WL_OPT_CHOICE, "constant", "constant|cosine|step", ANY, "1", "Course of the rate after the warm-up."},
    {"warmup_steps", WL_OPT_INT, "0", NULL, AT_LEAST(0), "meta-steps", "Meta-steps of linear warm-up."},
    {"final_fraction", WL_OPT_REAL, "0", NULL, 0, 1, "1", "Share of the rate that `cosine` ends at."},
    {"decay_every", WL_OPT_INT, "1000", NULL, AT_LEAST(1), "meta-steps", "Meta-steps between the drops of `step`."},
    {"decay_factor", WL_OPT_REAL, "0.5", NULL, 0, 1, "1", "Factor of each drop of `step`."},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

wl_status wl_outer_create(const wl_map *map, int64_t count, wl_outer **out) {
  wl_outer *o = NULL;
  WL_TRY(WL_NEW(o, 1));
  *o = (wl_outer){.adamw = strcmp(wl_map_string(map, "optimizer"), "adamw") == 0,
                  .rate = wl_map_real(map, "learning_rate"), .beta1 = wl_map_real(map, "beta1"),
                  .beta2 = wl_map_real(map, "beta2"), .epsilon = wl_map_real(map, "epsilon"),
                  .weight_decay = wl_map_real(map, "weight_decay"), .clip_value = wl_map_real(map, "clip_value"),
                  .clip_norm = wl_map_real(map, "clip_norm"), .schedule = wl_map_string(map, "schedule"),
                  .steps = wl_map_int(map, "steps"), .warmup_steps = wl_map_int(map, "warmup_steps"),
                  .decay_every = wl_map_int(map, "decay_every"), .decay_factor = wl_map_real(map, "decay_factor"),
                  .final_fraction = wl_map_real(map, "final_fraction"), .count = count};
  wl_status status = WL_NEW(o->first, count + 1);
  if (status == WL_OK) status = WL_NEW(o->second, count + 1);
  if (status != WL_OK) wl_outer_destroy(&o);
  *out = o;
  return status;
}

void wl_outer_destroy(wl_outer **outer) {
  if (!*outer) return;
  wl_free((*outer)->first);
  wl_free((*outer)->second);
  wl_free(*outer);
  *outer = NULL;
}

double wl_outer_rate(const wl_outer *o, int64_t step) {
  if (step < o->warmup_steps) return o->rate * (double)(step + 1) / (double)o->warmup_steps;
  if (strcmp(o->schedule, "cosine") == 0) {
    const double pi = 3.14159265358979323846, span = (double)(o->steps - o->warmup_steps);
    const double done = span > 0 ? fmin((double)(step - o->warmup_steps) / span, 1.0) : 1.0;
    return o->rate * (o->final_fraction + (1.0 - o->final_fraction) * 0.5 * (1.0 + cos(pi * done)));
  }
  if (strcmp(o->schedule, "step") == 0) return o->rate * pow(o->decay_factor, (double)(step / o->decay_every));
  return o->rate;
}

static double norm(const double *x, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sqrt(sum);
}

static void clip(const wl_outer *o, double *g, double total) {
  for (int64_t i = 0; o->clip_value > 0 && i < o->count; i++) g[i] = fmax(-o->clip_value, fmin(o->clip_value, g[i]));
  const double clipped = o->clip_value > 0 ? norm(g, o->count) : total;
  if (!(o->clip_norm > 0) || clipped <= o->clip_norm) return;
  for (int64_t i = 0; i < o->count; i++) g[i] *= o->clip_norm / clipped;
}

double wl_outer_update(wl_outer *o, int64_t step, double *g, double *phi) {
  const double total = norm(g, o->count), rate = wl_outer_rate(o, step);
  clip(o, g, total);
  o->updates++;
  const double correct1 = 1.0 - pow(o->beta1, (double)o->updates), correct2 = 1.0 - pow(o->beta2, (double)o->updates);
  const double decay = o->adamw ? rate * o->weight_decay : 0.0;
  for (int64_t i = 0; i < o->count; i++) {
    o->first[i] = o->beta1 * o->first[i] + (1.0 - o->beta1) * g[i];
    o->second[i] = o->beta2 * o->second[i] + (1.0 - o->beta2) * g[i] * g[i];
    phi[i] -= decay * phi[i] + rate * (o->first[i] / correct1) / (sqrt(o->second[i] / correct2) + o->epsilon);
  }
  return total;
}
