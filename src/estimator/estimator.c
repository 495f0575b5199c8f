/* estimator.c - creates an estimator from the configuration, and contains the table of all
 * estimators. */
#include "estimator/estimator.h"

#include <stdio.h>
#include <string.h>

#define WL_ESTIMATOR(name) extern const wl_estimator_ops wl_estimator_##name;
#include "estimator/estimators.def"
#undef WL_ESTIMATOR

#define WL_ESTIMATOR(name) &wl_estimator_##name,
const wl_estimator_ops *const wl_estimators[] = {
#include "estimator/estimators.def"
    NULL};
#undef WL_ESTIMATOR

enum { N_ESTIMATORS = sizeof wl_estimators / sizeof *wl_estimators };

const wl_variant *wl_estimator_variants(void) {
  static wl_variant variants[N_ESTIMATORS];
  for (int i = 0; wl_estimators[i]; i++)
    variants[i] =
        (wl_variant){wl_estimators[i]->name, wl_estimators[i]->summary, wl_estimators[i]->options};
  return variants;
}

static const wl_estimator_ops *find(const char *name) {
  int i = 0;
  while (strcmp(wl_estimators[i]->name, name) != 0) i++;
  /* the loop ends, because the configuration accepts only names in the table */
  return wl_estimators[i];
}

typedef struct name_list {
  char text[128];
} name_list;

static void add_name(name_list *names, const char *name) {
  char *text = names->text;
  snprintf(text + strlen(text), sizeof names->text - strlen(text), "%s%s", text[0] ? ", " : "", name);
}

wl_status wl_estimator_need_adjoint(const wl_config *config, const wl_model *model) {
  const wl_rule *rule = model->rule;
  name_list names = {""};
  if (!rule->forward_only || !wl_model_needs_adjoint(model)) return WL_OK;
  for (int i = 0; wl_estimators[i]; i++)
    if (!wl_estimators[i]->traces) add_name(&names, wl_estimators[i]->name);
  return wl_map_fail(
      wl_config_map(config, "rule", 0), "name",
      "the rule '%s' has no adjoint (%s), so back-propagation through this rule is impossible; "
      "choose one of the forward-only estimators (%s)",
      rule->ops->name, rule->forward_only, names.text);
}

static wl_status refuse_imitation(const wl_estimator *e) {
  name_list names = {""};
  for (int i = 0; wl_estimators[i]; i++)
    if (wl_estimators[i]->imitates) add_name(&names, wl_estimators[i]->name);
  return wl_map_fail(e->map, "name",
                     "the estimator %s cannot imitate a teacher: use one of the estimators %s, or remove the "
                     "section `imitation`",
                     e->ops->name, names.text);
}

/* Returns WL_ERR_CONFIG if the estimator does not support the configuration. */
static wl_status check(const wl_config *config, const wl_window_spec *spec,
                       const wl_estimator_setting *setting, const wl_estimator *e) {
  const wl_map *outer = wl_config_map(config, "outer", 0);
  const wl_initialisation *init = e->model->initialisation;
  const bool pairs = e->runs > 1;
  if (e->ops->traces) WL_TRY(wl_estimator_need_adjoint(config, e->model));
  if (!e->ops->traces && spec->second_order)
    return wl_map_fail(wl_config_map(config, "window", 0), "order",
                       "the estimator %s does not differentiate inner steps: set `order: first`, or use the "
                       "estimator bptt",
                       e->ops->name);
  if (e->ops->whole_episodes && !setting->whole_episodes)
    return wl_map_fail(
        outer, "every",
        "the estimator %s needs all windows of an episode in one meta-step: set `every: episode`",
        e->ops->name);
  if (pairs && init && init->path)
    return wl_map_fail(
        e->map, "name",
        "leap and reptile learn theta_0 from a single path of inner steps, but the estimator %s "
        "runs several paths: use `initialisation: {name: maml}`, or the estimator bptt",
        e->ops->name);
  if (e->spec.imitation && !e->ops->imitates) return refuse_imitation(e);
  if (e->spec.imitation && (setting->replays || (init && init->path)))
    return wl_map_fail(
        e->map, "name",
        "leap, reptile and replay learn from steps of the update rule, but imitation also makes "
        "steps of a teacher: remove the section `imitation`");
  if (pairs && setting->replays)
    return wl_map_fail(
        e->map, "name",
        "replayed windows need back-propagation: use the estimator bptt, or set `replay.capacity: "
        "0`");
  if (e->ops->combine && setting->units < 2)
    return wl_map_fail(outer, "units",
                       "the estimator %s computes variances over units: set at least 2 units",
                       e->ops->name);
  return WL_OK;
}

/* For each task, finds the entry of the configuration's list `task` to which the task belongs. An
 * entry with choices contains one task for each combination of choices. The tasks of an entry have
 * consecutive indices. */
static wl_status number_entries(const wl_config *config, wl_estimator *e) {
  const int tasks = wl_config_count(config, "task");
  WL_TRY(WL_NEW(e->entry, tasks));
  for (int i = 0; i < tasks; e->n_entries++) {
    const int end = i + wl_map_combinations(wl_config_map(config, "task", i));
    for (; i < end && i < tasks; i++) e->entry[i] = e->n_entries;
  }
  return WL_OK;
}

wl_status wl_estimator_create(const wl_config *config, const wl_model *model,
                              const wl_window_spec *spec, const wl_estimator_setting *setting,
                              wl_estimator **out) {
  const wl_map *map = wl_config_map(config, "estimator", 0);
  wl_estimator *e = NULL;
  WL_TRY(WL_NEW(e, 1));
  *e = (wl_estimator){.ops = find(wl_map_variant(map)),
                      .model = model,
                      .map = map,
                      .seed = setting->seed,
                      .spec = *spec,
                      .shape = {.particles = 1},
                      .width = model->phi.size};
  if (e->ops->options) wl_map_read(map, e->ops->options, &e->es);
  wl_status status = number_entries(config, e);
  if (status == WL_OK) status = e->ops->create(map, e);
  if (status == WL_OK) status = check(config, spec, setting, e);
  if (e->spec.imitation) e->shape.teacher = wl_imitation_teacher(e->spec.imitation);
  if (status != WL_OK) wl_estimator_destroy(&e);
  *out = e;
  return status;
}

void wl_estimator_destroy(wl_estimator **estimator) {
  if (!*estimator) return;
  wl_free((*estimator)->weights);
  wl_free((*estimator)->entry);
  wl_free(*estimator);
  *estimator = NULL;
}

/* The scratch memory contains the perturbed phi, eps and the losses of a window (antithetic.c). */
int64_t wl_estimator_scratch(const wl_estimator *e) {
  return e->runs > 1 ? 2 * e->model->phi.size + e->spec.steps + 1 : 0;
}

void wl_estimator_combine(const wl_estimator *e, const double *sum, int64_t counted,
                          double *gradient) {
  if (e->ops->combine) {
    e->ops->combine(e, sum, counted, gradient);
    return;
  }
  for (int64_t i = 0; i < e->model->phi.size; i++) gradient[i] = sum[i] / (double)counted;
}
