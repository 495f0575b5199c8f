/* outer.c - updates the meta-parameters with Adam, AdamW or SGD. The code also applies the schedule
 * of the rate, clips the gradient, and leaves frozen groups unchanged. */
#include "train/outer.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/statistic.h"

#define ANY 0, 0
#define AT_LEAST(n) (n), DBL_MAX
/* largest accepted decay of a moment or of the average of phi; with a decay of 1, the bias
 * correction would divide by 0 */
#define BELOW_ONE 0.999999

const wl_option wl_outer_options[] = {
    {"steps", WL_OPT_INT, "10000", NULL, 0, 1e12, "meta-steps", "Number of meta-steps of the whole run.",
     WL_SLOT(wl_outer_keys, steps), .flags = WL_KEY_EXTENDS},
    {"units", WL_OPT_INT, "1", NULL, 1, 1e9, "units",
     "Number of units in each meta-step, over all ranks. A unit is one inner run in progress.", WL_SLOT(wl_outer_keys, units)},
    {"every", WL_OPT_CHOICE, "window", "window|episode", ANY, "1",
     "When the meta-parameters are updated. `window`: after each window. `episode`: after a whole episode of "
     "all units, with the sum of the gradients of all windows of the episode.",
     WL_SLOT(wl_outer_keys, every)},
    {"optimizer", WL_OPT_CHOICE, "adam", "adam|adamw|sgd", ANY, "1",
     "Optimizer that updates the meta-parameters.", WL_SLOT(wl_outer_keys, optimizer)},
    {"learning_rate", WL_OPT_REAL, "1e-3", NULL, AT_LEAST(0), "1",
     "Learning rate of the outer optimizer, before the schedule.",
     WL_SLOT(wl_outer_keys, learning_rate)},
    {"beta1", WL_OPT_REAL, "0.9", NULL, 0, BELOW_ONE, "1", "Decay of the running mean of the meta-gradient, "
                                                           "for `adam` and `adamw`.",
     WL_SLOT(wl_outer_keys, beta1)},
    {"beta2", WL_OPT_REAL, "0.999", NULL, 0, BELOW_ONE, "1", "Decay of the running mean of the squared "
                                                             "meta-gradient, for `adam` and `adamw`.",
     WL_SLOT(wl_outer_keys, beta2)},
    {"epsilon", WL_OPT_REAL, "1e-8", NULL, DBL_MIN, DBL_MAX, "1",
     "Number that is added to the square root of the mean squared meta-gradient, for `adam` and `adamw`.", WL_SLOT(wl_outer_keys, epsilon)},
    {"momentum", WL_OPT_REAL, "0", NULL, 0, 1, "1", "Coefficient of the heavy-ball momentum, for `sgd`.",
     WL_SLOT(wl_outer_keys, momentum)},
    {"weight_decay", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "1",
     "Coefficient of the decoupled weight decay, for `adamw`. A meta-step multiplies the coefficient by the "
     "scheduled rate.",
     WL_SLOT(wl_outer_keys, weight_decay)},
    {"clip_value", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "1",
     "Bound on the absolute value of each element of the meta-gradient. 0 means no bound.", WL_SLOT(wl_outer_keys, clip_value)},
    {"clip_norm", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "1",
     "Bound on the Euclidean norm of the meta-gradient. 0 means no bound.", WL_SLOT(wl_outer_keys, clip_norm)},
    {"schedule", WL_OPT_CHOICE, "constant", "constant|cosine|step", ANY, "1",
     "How the rate changes over the meta-steps after the warm-up.", WL_SLOT(wl_outer_keys, schedule.kind)},
    {"warmup_steps", WL_OPT_INT, "0", NULL, AT_LEAST(0), "meta-steps",
     "Number of meta-steps of the warm-up, in which the rate rises linearly. The schedule follows the warm-up.",
     WL_SLOT(wl_outer_keys, schedule.warmup_steps)},
    {"final_fraction", WL_OPT_REAL, "0", NULL, 0, 1, "1",
     "Rate at the end of the run as a fraction of the full rate, for `schedule: cosine`.",
     WL_SLOT(wl_outer_keys, schedule.final_fraction)},
    {"decay_every", WL_OPT_INT, "1000", NULL, AT_LEAST(1), "meta-steps",
     "Number of meta-steps between two reductions of the rate, for `schedule: step`.",
     WL_SLOT(wl_outer_keys, schedule.decay_every)},
    {"decay_factor", WL_OPT_REAL, "0.5", NULL, 0, 1, "1",
     "Factor by which each reduction multiplies the rate, for `schedule: step`.",
     WL_SLOT(wl_outer_keys, schedule.decay_factor)},
    {"patience", WL_OPT_INT, "10", NULL, AT_LEAST(0), "episodes",
     "Number of consecutive episodes without a finite unit after which the training ends as diverged. With 0, "
     "the training does not end for this reason.",
     WL_SLOT(wl_outer_keys, patience), .flags = WL_KEY_EXTENDS},
    {"validate", WL_OPT_INT, "0", NULL, AT_LEAST(0), "meta-steps",
     "Number of meta-steps between two validations. A validation writes the mean final loss on 8 fixed tasks "
     "of each family to the metrics. 0 means no validations.",
     WL_SLOT(wl_outer_keys, validate), .flags = WL_KEY_FREE},
    {"average", WL_OPT_REAL, "0", NULL, 0, BELOW_ONE, "1",
     "Decay of an exponential average of the meta-parameters, such as 0.98. The average is exported and "
     "evaluated instead of the meta-parameters. 0 means no average.",
     WL_SLOT(wl_outer_keys, average)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

/* Values of the keys in one map of the section `groups`. Such a map contains the settings of one
 * group. */
typedef struct group_keys {
  double learning_rate, clip_norm;
  /* AS_OUTER means the optimizer of `outer`; OWN_KIND + i means the optimizer with the number i in
   * wl_outer_kind */
  enum { AS_OUTER, OWN_KIND } optimizer;
  int64_t from_step, until_step;
} group_keys;

static const wl_option group_options[] = {
    {"learning_rate", WL_OPT_REAL, "-1", NULL, -1, DBL_MAX, "1",
     "Learning rate of the group, before the schedule. -1 means the learning rate of `outer`.",
     WL_SLOT(group_keys, learning_rate)},
    {"optimizer", WL_OPT_CHOICE, "outer", "outer|adam|adamw|sgd", ANY, "1",
     "Optimizer of the group. `outer`: the optimizer of the section `outer`.", WL_SLOT(group_keys, optimizer)},
    {"clip_norm", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "1",
     "Bound on the Euclidean norm of the group's part of the meta-gradient. 0 means no bound.",
     WL_SLOT(group_keys, clip_norm)},
    {"from_step", WL_OPT_INT, "0", NULL, AT_LEAST(0), "meta-steps", "Number of the first meta-step that "
                                                                    "updates the group, counted from 0. The "
                                                                    "group is frozen before this meta-step.",
     WL_SLOT(group_keys, from_step)},
    {"until_step", WL_OPT_INT, "-1", NULL, -1, DBL_MAX, "meta-steps",
     "Number of the meta-step from which on the group is frozen. -1 means that the group is never frozen.", WL_SLOT(group_keys, until_step)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};
static const char *const group_names[WL_OUTER_GROUPS] = {"rule", "precondition", "warp",
                                                         "initialisation"};

const wl_variant wl_outer_group_variants[] = {
    {"none", "no group has separate settings", NULL},
    {"rule", "the meta-parameters of the update rule", group_options},
    {"precondition", "the meta-parameters of the preconditioner", group_options},
    {"warp", "the parameters of the warp layers", group_options},
    {"initialisation", "the learned initial parameters theta_0", group_options},
    {NULL, NULL, NULL}};

static int group_of(const char *name) {
  int i = 0;
  while (i < WL_OUTER_GROUPS && strcmp(group_names[i], name) != 0) i++;
  return i;
}

/* Sets the members offset and size of each group. The tensors of a group are contiguous in phi. */
static wl_status find_ranges(wl_outer *o, const wl_layout *phi) {
  for (int i = 0; i < phi->count; i++) {
    const wl_tensor_entry *b = &phi->tensors[i];
    const int g = group_of(b->group);
    WL_CHECK(g < WL_OUTER_GROUPS);
    if (o->group[g].size == 0) o->group[g].offset = b->offset;
    WL_CHECK(b->offset == o->group[g].offset + o->group[g].size);
    o->group[g].size += b->size;
  }
  return WL_OK;
}

/* Reads the settings of one group from a map of the section `groups`. */
static wl_status read_group(wl_outer *o, const wl_map *map) {
  if (strcmp(wl_map_variant(map), "none") == 0) return WL_OK;
  wl_outer_group *g = &o->group[group_of(wl_map_variant(map))];
  group_keys keys;
  wl_map_read(map, group_options, &keys);
  const double rate = keys.learning_rate;
  if (g->size == 0)
    return wl_map_fail(map, "group", "this configuration has no meta-parameters in this group; remove the "
                                     "group from `groups`");
  if (g->configured) return wl_map_fail(map, "group", "the group '%s' is given twice; write its settings in "
                                                      "one map", wl_map_variant(map));
  if (rate < 0 && rate != -1)
    return wl_map_fail(map, "learning_rate",
                       "the rate must be at least 0, or -1 for the rate of `outer`");
  g->configured = true;
  if (rate >= 0) g->rate = rate;
  if (keys.optimizer >= OWN_KIND) g->kind = (wl_outer_kind)(keys.optimizer - OWN_KIND);
  g->clip_norm = keys.clip_norm;
  g->from_step = keys.from_step;
  g->until_step = keys.until_step;
  return WL_OK;
}

static wl_status read_groups(wl_outer *o, const wl_config *config, const wl_outer_keys *keys,
                             const wl_layout *phi) {
  const wl_outer_group start = {
      .kind = keys->optimizer, .rate = keys->learning_rate, .until_step = -1};
  for (int g = 0; g < WL_OUTER_GROUPS; g++) o->group[g] = start;
  WL_TRY(find_ranges(o, phi));
  for (int i = 0; i < wl_config_count(config, "groups"); i++)
    WL_TRY(read_group(o, wl_config_map(config, "groups", i)));
  return WL_OK;
}

wl_outer_keys wl_outer_read(const wl_config *config) {
  wl_outer_keys keys = {0};
  wl_map_read(wl_config_map(config, "outer", 0), wl_outer_options, &keys);
  return keys;
}

wl_status wl_outer_create(const wl_config *config, const wl_layout *phi, wl_outer **out) {
  wl_outer_keys keys = wl_outer_read(config);
  keys.schedule.steps = keys.steps;
  wl_outer *o = NULL;
  WL_TRY(WL_NEW(o, 1));
  *o = (wl_outer){.rate = keys.learning_rate,
                  .beta1 = keys.beta1,
                  .beta2 = keys.beta2,
                  .epsilon = keys.epsilon,
                  .momentum = keys.momentum,
                  .weight_decay = keys.weight_decay,
                  .clip_value = keys.clip_value,
                  .clip_norm = keys.clip_norm,
                  .average = keys.average,
                  .schedule = keys.schedule,
                  .count = phi->size};
  wl_status status = read_groups(o, config, &keys, phi);
  if (status == WL_OK) status = WL_NEW(o->first, phi->size + 1);
  if (status == WL_OK) status = WL_NEW(o->second, phi->size + 1);
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
  return wl_schedule_rate(&o->schedule, o->rate, step);
}

/* Returns x clipped to [-bound, bound]. Returns NaN for NaN; fmin and fmax would return a bound
 * instead. */
static double clamp(double x, double bound) { return x > bound ? bound : x < -bound ? -bound : x; }

static void clip(const wl_outer *o, double *g, double total) {
  for (int64_t i = 0; o->clip_value > 0 && i < o->count; i++) g[i] = clamp(g[i], o->clip_value);
  const double clipped = o->clip_value > 0 ? wl_statistic_norm(g, o->count) : total;
  if (!(o->clip_norm > 0) || clipped <= o->clip_norm) return;
  for (int64_t i = 0; i < o->count; i++) g[i] *= o->clip_norm / clipped;
}

static bool is_active(const wl_outer_group *g, int64_t step) {
  return g->size > 0 && step >= g->from_step && (g->until_step < 0 || step < g->until_step);
}

static void clip_group(const wl_outer_group *g, double *part) {
  const double size = g->clip_norm > 0 ? wl_statistic_norm(part, g->size) : 0.0;
  for (int64_t i = 0; size > g->clip_norm && i < g->size; i++) part[i] *= g->clip_norm / size;
}

static void descend(wl_outer *o, const wl_outer_group *g, double rate, const double *gradient,
                    double *phi) {
  for (int64_t i = g->offset; i < g->offset + g->size; i++) {
    o->first[i] = o->momentum * o->first[i] + gradient[i];
    phi[i] -= rate * o->first[i];
  }
}

static void adapt(wl_outer *o, int number, double rate, const double *gradient, double *phi) {
  const wl_outer_group *g = &o->group[number];
  const double updates = (double)o->updates[number];
  const double correct1 = 1.0 - pow(o->beta1, updates), correct2 = 1.0 - pow(o->beta2, updates);
  const double decay = g->kind == WL_OUTER_ADAMW ? rate * o->weight_decay : 0.0;
  for (int64_t i = g->offset; i < g->offset + g->size; i++) {
    o->first[i] = o->beta1 * o->first[i] + (1.0 - o->beta1) * gradient[i];
    o->second[i] = o->beta2 * o->second[i] + (1.0 - o->beta2) * gradient[i] * gradient[i];
    phi[i] -= decay * phi[i] +
              rate * (o->first[i] / correct1) / (sqrt(o->second[i] / correct2) + o->epsilon);
  }
}

double wl_outer_update(wl_outer *o, int64_t step, unsigned groups, double *gradient, double *phi) {
  bool active[WL_OUTER_GROUPS];
  for (int n = 0; n < WL_OUTER_GROUPS; n++) {
    const wl_outer_group *g = &o->group[n];
    active[n] = (groups >> n & 1) && is_active(g, step);
    if (!active[n] && g->size > 0)
      memset(gradient + g->offset, 0, (size_t)g->size * sizeof *gradient);
    if (active[n]) clip_group(g, gradient + g->offset);
  }
  const double total = wl_statistic_norm(gradient, o->count);
  clip(o, gradient, total);
  for (int n = 0; n < WL_OUTER_GROUPS; n++) {
    if (!active[n]) continue;
    const double rate = wl_schedule_rate(&o->schedule, o->group[n].rate, step);
    o->updates[n]++;
    if (o->group[n].kind == WL_OUTER_SGD) descend(o, &o->group[n], rate, gradient, phi);
    else adapt(o, n, rate, gradient, phi);
  }
  return total;
}
