/* vary.c - lists settings that differ from the trained setting, to test how a learned optimizer
 * generalises.
 *
 * Each axis except "horizon" and "steps" has a list of keys of task families. A variation changes
 * one key. The changed key is in the list of the axis, and the family has the key. If the key has
 * choices, the variation sets it to another choice. If the key is a number, the variation
 * multiplies it by a factor. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "evaluate/evaluate.h"
#include "task/dataset.h"

/* The values that the trained configuration has for the keys that can be varied. If the
 * family does not have a key, the member for this key has the value that it has in `absent`. */
typedef struct varied_keys {
  wl_ints widths, filters;
  int64_t dimension;
  int activation, distribution, frequency, surface, coupling;
  const char *data;
  double separation, curvature;
  wl_draw loss_scale;
} varied_keys;

static const varied_keys absent = {.activation = -1,
                                   .distribution = -1,
                                   .frequency = -1,
                                   .surface = -1,
                                   .coupling = -1,
                                   .separation = NAN,
                                   .curvature = NAN,
                                   .loss_scale = {.low = NAN}};

static const wl_option varied_options[] = {
    {"widths", WL_OPT_INTS, .slot = WL_SLOT(varied_keys, widths)},
    {"filters", WL_OPT_INTS, .slot = WL_SLOT(varied_keys, filters)},
    {"dimension", WL_OPT_INT, .slot = WL_SLOT(varied_keys, dimension)},
    {"activation", WL_OPT_CHOICE, .slot = WL_SLOT(varied_keys, activation)},
    {"distribution", WL_OPT_CHOICE, .slot = WL_SLOT(varied_keys, distribution)},
    {"frequency", WL_OPT_CHOICE, .slot = WL_SLOT(varied_keys, frequency)},
    {"surface", WL_OPT_CHOICE, .slot = WL_SLOT(varied_keys, surface)},
    {"coupling", WL_OPT_CHOICE, .slot = WL_SLOT(varied_keys, coupling)},
    {"data", WL_OPT_STRING, .slot = WL_SLOT(varied_keys, data)},
    {"separation", WL_OPT_REAL, .slot = WL_SLOT(varied_keys, separation)},
    {"curvature", WL_OPT_REAL, .slot = WL_SLOT(varied_keys, curvature)},
    {"loss_scale", WL_OPT_REAL, .slot = WL_SLOT(varied_keys, loss_scale)},
    {0}};

/* A list of variations, with the trained values from which variations are computed. */
typedef struct collection {
  const wl_map *task;
  varied_keys trained;
  int64_t horizon;   /* longest episode of the training, in inner steps */
  wl_variation *out; /* [WL_MAX_VARIATIONS] the list of variations */
  int count;
} collection;

/* Appends a variation that changes a key of the task. If `key` is NULL, the variation changes
 * only the horizon. Returns the variation, or NULL if the list is full. */
static wl_variation *append(collection *c, const char *name, const char *key) {
  if (c->count == WL_MAX_VARIATIONS) return NULL;
  wl_variation *v = &c->out[c->count++];
  *v = (wl_variation){.steps_factor = 1};
  snprintf(v->name, sizeof v->name, "%s", name);
  if (!key) return v;
  snprintf(v->path, sizeof v->path, "task.%s", key);
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

/* Appends variations with 1, 5 and 10 inner steps, which few-shot protocols report. Omits the
 * variation whose number of inner steps is equal to the number of inner steps in the training. */
static void vary_steps(collection *c) {
  static const int64_t numbers[] = {1, 5, 10};
  for (int i = 0; i < 3; i++) {
    char name[64];
    snprintf(name, sizeof name, "%lld inner step%s", (long long)numbers[i], &"s"[numbers[i] == 1]);
    wl_variation *v = numbers[i] != c->horizon ? append(c, name, NULL) : NULL;
    if (v) v->steps = numbers[i];
  }
}

/* Appends a variation of a key whose value is a list of integers. Each element is multiplied by
 * `factor`, and the last element is repeated `more` times. Does nothing if the trained list is
 * empty. */
static void vary_list(collection *c, const char *key, wl_ints trained, int64_t factor, int more) {
  const bool dense = strcmp(key, "widths") == 0;
  char name[64];
  const int layers = trained.count;
  if (layers == 0 || layers + more > WL_VARIED_INTS) return;
  if (more > 0) snprintf(name, sizeof name, "one %s more", dense ? "layer" : "convolution");
  else snprintf(name, sizeof name, "%s x %lld", dense ? "width" : "filters", (long long)factor);
  wl_variation *v = append(c, name, key);
  if (!v) return;
  for (int i = 0; i < layers + more; i++)
    v->ints[i] = factor * trained.at[i < layers ? i : layers - 1];
  v->override.kind = WL_OVERRIDE_INTS;
  v->override.ints = (wl_ints){v->ints, layers + more};
}

static void append_real(collection *c, const char *name, const char *key, double value) {
  wl_variation *v = append(c, name, key);
  if (!v) return;
  v->override.kind = WL_OVERRIDE_REAL;
  v->override.real = value;
}

/* Appends variations with twice as many units of dense layers, channels of convolutions or
 * dimensions of functions. */
static void vary_width(collection *c) {
  char name[64];
  vary_list(c, "widths", c->trained.widths, 2, 0);
  vary_list(c, "filters", c->trained.filters, 2, 0);
  if (c->trained.dimension == 0) return;
  snprintf(name, sizeof name, "dimension %lld", (long long)(2 * c->trained.dimension));
  append_real(c, name, "dimension", (double)(2 * c->trained.dimension));
}

static void vary_depth(collection *c) {
  vary_list(c, "widths", c->trained.widths, 1, 1);
  vary_list(c, "filters", c->trained.filters, 1, 1);
}

static void append_text(collection *c, const char *key, const char *word) {
  char name[64];
  snprintf(name, sizeof name, "%s %s", key, word);
  wl_variation *v = append(c, name, key);
  if (!v) return;
  snprintf(v->text, sizeof v->text, "%s", word);
  v->override.kind = WL_OVERRIDE_TEXT;
  v->override.text = v->text;
}

/* Appends a variation for each word of a list such as "a|b|c", except the trained word. The trained
 * word is `trained` or has the index `trained_index`. */
static void vary_words(collection *c, const char *key, const char *choices, const char *trained,
                       int trained_index) {
  char words[256], *rest;
  int i = 0;
  snprintf(words, sizeof words, "%s", choices);
  for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest), i++)
    if (i != trained_index && (!trained || strcmp(word, trained) != 0)) append_text(c, key, word);
}

/* Appends a variation for each choice of a key except the trained choice, if the family has the
 * key. */
static void vary_choice(collection *c, const char *key, int trained) {
  const wl_option *o = wl_map_options(c->task);
  while (trained >= 0 && o && o->key && strcmp(o->key, key) != 0) o++;
  if (trained >= 0 && o && o->key) vary_words(c, key, o->choices, NULL, trained);
}

static void vary_factors(collection *c, const char *key, const char *label, double trained,
                         const double factor[2]) {
  char name[64];
  for (int i = 0; i < 2 && !isnan(trained); i++) {
    snprintf(name, sizeof name, "%s x %g", label, factor[i]);
    append_real(c, name, key, factor[i] * trained);
  }
}

static void vary_activation(collection *c) { vary_choice(c, "activation", c->trained.activation); }

/* Appends variations of the distribution from which a family draws functions or samples. */
static void vary_data(collection *c) {
  const varied_keys *const k = &c->trained;
  vary_choice(c, "distribution", k->distribution);
  vary_choice(c, "frequency", k->frequency);
  vary_choice(c, "surface", k->surface);
  vary_choice(c, "coupling", k->coupling);
  if (k->data) vary_words(c, "data", WL_DATASET_NAMES, k->data, -1);
  vary_factors(c, "separation", "separation", k->separation, (const double[]){0.5, 2.0});
}

/* Appends variations in which the loss, or the largest curvature of the loss, is multiplied by 0.1
 * or 10. */
static void vary_scale(collection *c) {
  static const double scales[] = {0.1, 10.0};
  /* only a fixed loss_scale is multiplied, because a drawn loss_scale already varies */
  const wl_draw loss = c->trained.loss_scale;
  vary_factors(c, "loss_scale", "loss", loss.kind == WL_DRAW_FIXED ? loss.low : NAN, scales);
  vary_factors(c, "curvature", "curvature", c->trained.curvature, scales);
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
                  .horizon = wl_episode_longest(config),
                  .trained = absent,
                  .out = out};
  wl_map_read(c.task, varied_options, &c.trained);
  size_t i = 0;
  while (i < sizeof axes / sizeof *axes && strcmp(axes[i].name, axis) != 0) i++;
  if (i == sizeof axes / sizeof *axes)
    return WL_FAIL(
        WL_ERR_USAGE,
        "--vary %s: there is no such axis; accepted are horizon, steps, width, depth, activation, data, scale",
        axis);
  axes[i].vary(&c);
  note[0] = '\0';
  if (c.count == 0)
    snprintf(note, note_size, "the task family '%s' has no setting of the axis '%s' in this configuration",
             wl_map_variant(c.task), axis);
  *count = c.count;
  return WL_OK;
}
