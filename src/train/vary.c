/* vary.c - the settings beside the trained one that show where a learned optimizer stops working. */
#include <stdio.h>
#include <string.h>

#include "train/evaluate.h"

static bool has_key(const wl_map *map, const wl_variant *variants, const char *key) {
  for (const wl_variant *v = variants; v->name; v++) {
    if (strcmp(v->name, wl_map_variant(map)) != 0) continue;
    for (const wl_option *o = v->options; o && o->key; o++)
      if (strcmp(o->key, key) == 0) return true;
  }
  return false;
}

static void append(wl_variation *out, int *count, const char *name, const char *override,
                   int64_t factor) {
  wl_variation *v = &out[(*count)++];
  snprintf(v->name, sizeof v->name, "%s", name);
  snprintf(v->override, sizeof v->override, "%s", override);
  v->steps_factor = factor;
}

static void vary_horizon(wl_variation *out, int *count) {
  append(out, count, "horizon x 2", "", 2);
  append(out, count, "horizon x 5", "", 5);
}

/* Hidden layers twice as wide; for quadratics twice the dimension. */
static bool vary_width(const wl_map *task, wl_variation *out, int *count) {
  char text[128] = "task.widths=[", name[64];
  if (has_key(task, wl_task_variants(), "widths")) {
    int layers;
    const int64_t *widths = wl_map_ints(task, "widths", &layers);
    for (int i = 0; i < layers; i++)
      snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? ", " : "",
               (long long)(2 * widths[i]));
    snprintf(text + strlen(text), sizeof text - strlen(text), "]");
    append(out, count, "width x 2", text, 1);
    return true;
  }
  if (!has_key(task, wl_task_variants(), "dimension")) return false;
  snprintf(name, sizeof name, "dimension %lld", (long long)(2 * wl_map_int(task, "dimension")));
  snprintf(text, sizeof text, "task.dimension=%lld",
           (long long)(2 * wl_map_int(task, "dimension")));
  append(out, count, name, text, 1);
  return true;
}

static bool vary_depth(const wl_map *task, wl_variation *out, int *count) {
  if (!has_key(task, wl_task_variants(), "widths")) return false;
  char text[128] = "task.widths=[";
  int layers;
  const int64_t *widths = wl_map_ints(task, "widths", &layers);
  if (layers == 0) return false;
  for (int i = 0; i < layers; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%lld, ", (long long)widths[i]);
  snprintf(text + strlen(text), sizeof text - strlen(text), "%lld]", (long long)widths[layers - 1]);
  append(out, count, "one layer more", text, 1);
  return true;
}

/* Every other member of a choice key. */
static bool vary_choice(const wl_map *task, const char *key, const char *label,
                        const char *const *choices, wl_variation *out, int *count) {
  if (!has_key(task, wl_task_variants(), key)) return false;
  for (int i = 0; choices[i] && *count < WL_MAX_VARIATIONS; i++) {
    char name[64], text[128];
    if (strcmp(choices[i], wl_map_string(task, key)) == 0) continue;
    snprintf(name, sizeof name, "%s %s", label, choices[i]);
    snprintf(text, sizeof text, "task.%s=%s", key, choices[i]);
    append(out, count, name, text, 1);
  }
  return true;
}

static bool vary_data(const wl_map *task, wl_variation *out, int *count) {
  static const char *const distributions[] = {"gaussian", "uniform", NULL};
  static const char *const data[] = {"synthetic", "fashion-mnist", NULL};
  return vary_choice(task, "distribution", "distribution", distributions, out, count) ||
         vary_choice(task, "data", "data", data, out, count);
}

static bool vary_scale(const wl_map *task, wl_variation *out, int *count) {
  if (!has_key(task, wl_task_variants(), "loss_scale")) return false;
  append(out, count, "loss x 0.1", "task.loss_scale=0.1", 1);
  append(out, count, "loss x 10", "task.loss_scale=10", 1);
  return true;
}

/* Of a mixture the first family is varied: "task.widths=.." is "task.0.widths=.." there. */
static void name_first(wl_variation *v, int count) {
  for (int i = 0; i < count; i++) {
    char key[sizeof v->override];
    if (strncmp(v[i].override, "task.", 5) != 0) continue;
    snprintf(key, sizeof key, "%s", v[i].override + 5);
    snprintf(v[i].override, sizeof v[i].override, "task.0.%.*s", (int)(sizeof v->override - 8),
             key);
  }
}

wl_status wl_variations(const wl_config *config, const char *axis,
                        wl_variation out[WL_MAX_VARIATIONS], int *count, char *note,
                        size_t note_size) {
  static const char *const activations[] = {"sigmoid", "tanh", "relu", "elu", NULL};
  const wl_map *task = wl_config_map(config, "task", 0);
  bool applies = true;
  *count = 0;
  note[0] = '\0';
  if (strcmp(axis, "horizon") == 0) vary_horizon(out, count);
  else if (strcmp(axis, "width") == 0) applies = vary_width(task, out, count);
  else if (strcmp(axis, "depth") == 0) applies = vary_depth(task, out, count);
  else if (strcmp(axis, "activation") == 0)
    applies = vary_choice(task, "activation", "activation", activations, out, count);
  else if (strcmp(axis, "data") == 0) applies = vary_data(task, out, count);
  else if (strcmp(axis, "scale") == 0) applies = vary_scale(task, out, count);
  else
    return WL_FAIL(
        WL_ERR_USAGE,
        "--vary %s: unknown; accepted are horizon, width, depth, activation, data, scale", axis);
  if (wl_config_count(config, "task") > 1) name_first(out, *count);
  if (!applies)
    snprintf(note, note_size, "the task family '%s' has no %s to vary", wl_map_variant(task), axis);
  return WL_OK;
}
