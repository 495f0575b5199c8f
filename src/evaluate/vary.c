/* vary.c - settings that differ from the trained one, to test how a learned optimizer generalises.
 *
 * Each axis is a list of keys of task families. One key that the family has is varied at a time: a choice
 * takes each other value, a number is multiplied. */
#include <stdio.h>
#include <string.h>

#include "evaluate/evaluate.h"
#include "task/dataset.h"

/* A list of variations under construction. */
typedef struct collection {
  const wl_map *task;
  bool mixture;      /* only its first task is varied */
  int64_t horizon;   /* trained */
  wl_variation *out; /* [WL_MAX_VARIATIONS] */
  int count;
} collection;

static const wl_option *find_option(const wl_map *task, const char *key) {
  for (const wl_option *o = wl_task_common_options; o->key; o++)
    if (strcmp(o->key, key) == 0) return o;
  for (const wl_option *o = wl_map_options(task); o && o->key; o++)
    if (strcmp(o->key, key) == 0) return o;
  return NULL;
}

/* Appends a variation of a key of the (first) task; key NULL: of the horizon alone. Returns NULL if the
 * list is full. */
static wl_variation *append(collection *c, const char *name, const char *key) {
  if (c->count == WL_MAX_VARIATIONS) return NULL;
  wl_variation *v = &c->out[c->count++];
  *v = (wl_variation){.steps_factor = 1};
  snprintf(v->name, sizeof v->name, "%s", name);
  if (!key) return v;
  snprintf(v->path, sizeof v->path, c->mixture ? "task.0.%s" : "task.%s", key);
  v->override.path = v->path;
  return v;
}

static void vary_horizon(collection *c) {
  static const int factors[] = {2, 5};
  for (int i = 0; i < 2; i++) {
    char name[64];
    snprintf(name, sizeof name, "horizon x %d", factors[i]);
    wl_variation *v = append(c, name, NULL);
    if (v) v->steps_factor = factors[i];
  }
}

/* 1, 5 and 10 inner steps, as few-shot protocols report, except the trained number. */
static void vary_steps(collection *c) {
  static const int64_t numbers[] = {1, 5, 10};
  for (int i = 0; i < 3; i++) {
    char name[64];
    snprintf(name, sizeof name, "%lld inner step%s", (long long)numbers[i], &"s"[numbers[i] == 1]);
    wl_variation *v = numbers[i] != c->horizon ? append(c, name, NULL) : NULL;
    if (v) v->steps = numbers[i];
  }
}

/* Multiplies every element of a list of integers by `factor` and appends `more` copies of the last one; does
 * nothing for an empty list. */
static void vary_list(collection *c, const char *key, int64_t factor, int more, const char *name) {
  int layers;
  if (!find_option(c->task, key)) return;
  const int64_t *list = wl_map_ints(c->task, key, &layers);
  if (layers == 0 || layers + more > WL_VARIED_INTS) return;
  wl_variation *v = append(c, name, key);
  if (!v) return;
  for (int i = 0; i < layers + more; i++) v->ints[i] = factor * list[i < layers ? i : layers - 1];
  v->override.kind = WL_OVERRIDE_INTS;
  v->override.ints = (wl_ints){v->ints, layers + more};
}

static void append_real(collection *c, const char *name, const char *key, double value) {
  wl_variation *v = append(c, name, key);
  if (!v) return;
  v->override.kind = WL_OVERRIDE_REAL;
  v->override.real = value;
}

/* Doubles the units of dense layers, the channels of convolutions, the dimension of functions. */
static void vary_width(collection *c) {
  char name[64];
  vary_list(c, "widths", 2, 0, "width x 2");
  vary_list(c, "filters", 2, 0, "filters x 2");
  if (!find_option(c->task, "dimension")) return;
  const int64_t dimension = 2 * wl_map_int(c->task, "dimension");
  snprintf(name, sizeof name, "dimension %lld", (long long)dimension);
  append_real(c, name, "dimension", (double)dimension);
}

static void vary_depth(collection *c) {
  vary_list(c, "widths", 1, 1, "one layer more");
  vary_list(c, "filters", 1, 1, "one convolution more");
}

/* Appends a variation for every member of "a|b|c" that differs from the trained value. */
static void vary_choice(collection *c, const char *key, const char *choices) {
  char words[256], name[64], *rest;
  snprintf(words, sizeof words, "%s", choices);
  for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest)) {
    if (strcmp(word, wl_map_string(c->task, key)) == 0) continue;
    snprintf(name, sizeof name, "%s %s", key, word);
    wl_variation *v = append(c, name, key);
    if (!v) return;
    snprintf(v->text, sizeof v->text, "%s", word);
    v->override.kind = WL_OVERRIDE_TEXT;
    v->override.text = v->text;
  }
}

static void vary_factors(collection *c, const char *key, const char *label,
                         const double factor[2]) {
  char name[64];
  for (int i = 0; i < 2 && find_option(c->task, key); i++) {
    snprintf(name, sizeof name, "%s x %g", label, factor[i]);
    append_real(c, name, key, factor[i] * wl_map_real(c->task, key));
  }
}

static void vary_activation(collection *c) {
  const wl_option *o = find_option(c->task, "activation");
  if (o) vary_choice(c, "activation", o->choices);
}

/* Varies the distribution of a family's functions or samples. */
static void vary_data(collection *c) {
  static const char *const keys[] = {"distribution", "frequency", "surface", "coupling"};
  static const double separations[] = {0.5, 2.0};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const wl_option *o = find_option(c->task, keys[i]);
    if (o) vary_choice(c, keys[i], o->choices);
  }
  if (find_option(c->task, "data")) vary_choice(c, "data", WL_DATASET_NAMES);
  vary_factors(c, "separation", "separation", separations);
}

/* Multiplies the loss, or its largest curvature. */
static void vary_scale(collection *c) {
  static const double scales[] = {0.1, 10.0};
  vary_factors(c, "loss_scale", "loss", scales);
  vary_factors(c, "curvature", "curvature", scales);
}

static const struct {
  const char *name;
  void (*vary)(collection *c);
} axes[] = {{"horizon", vary_horizon}, {"steps", vary_steps},           {"width", vary_width},
            {"depth", vary_depth},     {"activation", vary_activation}, {"data", vary_data},
            {"scale", vary_scale}};

wl_status wl_variations(const wl_config *config, const char *axis,
                        wl_variation out[WL_MAX_VARIATIONS], int *count, char *note,
                        size_t note_size) {
  collection c = {.task = wl_config_map(config, "task", 0),
                  .mixture = wl_config_written(config, "task") > 1,
                  .horizon = wl_episode_longest(config),
                  .out = out};
  size_t i = 0;
  while (i < sizeof axes / sizeof *axes && strcmp(axes[i].name, axis) != 0) i++;
  if (i == sizeof axes / sizeof *axes)
    return WL_FAIL(
        WL_ERR_USAGE,
        "--vary %s: unknown; accepted are horizon, steps, width, depth, activation, data, scale",
        axis);
  axes[i].vary(&c);
  note[0] = '\0';
  if (c.count == 0)
    snprintf(note, note_size, "the task family '%s' has no %s to vary in this configuration",
             wl_map_variant(c.task), axis);
  *count = c.count;
  return WL_OK;
}
