/* model.c - creates the parts of a model that are meta-trained, and the layout of the
 * meta-parameters phi. */
#include "unroll/model.h"

#include <string.h>

#include "base/plugin_open.h"

/* Returns an error if the tasks are a mixture and the model has a part whose shape depends on a
 * network. */
static wl_status check_mixture(const wl_config *config, const wl_task *const *tasks, int count) {
  if (count == 1) return WL_OK;
  const wl_map *precondition = wl_config_map(config, "precondition", 0),
               *initialisation = wl_config_map(config, "initialisation", 0);
  if (strcmp(wl_map_variant(precondition), "none") != 0)
    return wl_map_fail(precondition, "name",
                       "the shape of a preconditioner depends on one network; use a single task, not a mixture "
                       "of %d tasks",
                       count);
  if (strcmp(wl_map_variant(initialisation), "none") != 0)
    return wl_map_fail(initialisation, "name",
                       "the shape of a learned initialisation depends on one network; use a single task, not a "
                       "mixture of %d tasks",
                       count);
  for (int i = 0; i < count; i++)
    if (wl_tape_phi_layout(tasks[i]->tape)->size > 0)
      return wl_map_fail(wl_config_map(config, "task", i), "warp",
                         "the shape of warp layers depends on one network; use this task alone, not in a "
                         "mixture of %d tasks",
                         count);
  return WL_OK;
}

/* Returns an error if theta_0 is learned and the augmentations of a task change theta_0. */
static wl_status check_start(const wl_config *config, const wl_task *const *tasks, int count,
                             const wl_initialisation *initialisation) {
  for (int i = 0; i < count; i++)
    if (initialisation && wl_task_moves_start(tasks[i]))
      return wl_map_fail(wl_config_map(config, "initialisation", 0), "name",
                         "task.reparametrise and task.scale_jitter change theta_0, but a learned "
                         "initialisation replaces theta_0; remove these keys or the learned initialisation");
  return WL_OK;
}

static wl_status create_parts(const wl_config *config, const wl_task *const *tasks, int count,
                              wl_model *m) {
  const wl_layout *theta = wl_task_theta(tasks[0]);
  const wl_rule_setting setting = {theta, wl_episode_longest(config), count > 1};
  WL_TRY(check_mixture(config, tasks, count));
  WL_TRY(wl_rule_create(wl_config_map(config, "rule", 0), &setting, &m->rule));
  WL_TRY(wl_precondition_create(config, theta, &m->precondition));
  WL_TRY(wl_initialisation_create(wl_config_map(config, "initialisation", 0), theta,
                                  &m->initialisation));
  return check_start(config, tasks, count, m->initialisation);
}

static wl_status lay_out(wl_model *m, const wl_task *task) {
  const wl_layout none = {0};
  const wl_layout *warp = task ? wl_tape_phi_layout(task->tape) : &none;
  WL_TRY(wl_layout_append(&m->phi, &m->rule->phi, &m->rule_at));
  WL_TRY(wl_layout_append(&m->phi, m->precondition ? &m->precondition->phi : &none,
                          &m->precondition_at));
  WL_TRY(wl_layout_append(&m->phi, warp, &m->warp_at));
  m->warp_size = warp->size;
  return wl_layout_append(&m->phi, m->initialisation ? &m->initialisation->phi : &none,
                          &m->theta0_at);
}

wl_status wl_model_create(const wl_config *config, const wl_task *const *tasks, int count,
                          wl_model **out) {
  wl_model *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  wl_status status = create_parts(config, tasks, count, m);
  if (status == WL_OK) status = lay_out(m, tasks[0]);
  if (status != WL_OK) wl_model_destroy(&m);
  *out = m;
  return status;
}

int64_t wl_model_state(const wl_model *m, const wl_layout *theta) {
  return wl_rule_state_reals(m->rule, theta) + wl_precondition_state(m->precondition, theta->size);
}

bool wl_model_needs_adjoint(const wl_model *m) {
  return m->rule->phi.size > 0 || (m->precondition && m->precondition->phi.size > 0) ||
         m->warp_size > 0 || (m->initialisation && m->initialisation->adjoint);
}

wl_status wl_model_create_fixed(wl_rule *rule, const wl_config *config, const wl_task *task,
                                wl_model **out) {
  wl_model *m = NULL;
  *out = NULL;
  wl_status status = WL_NEW(m, 1);
  if (status != WL_OK) {
    wl_rule_destroy(&rule);
    return status;
  }
  m->rule = rule;
  if (config)
    status = wl_initialisation_create(wl_config_map(config, "initialisation", 0),
                                      wl_task_theta(task), &m->initialisation);
  if (status == WL_OK) status = lay_out(m, config ? task : NULL);
  if (status != WL_OK) wl_model_destroy(&m);
  *out = m;
  return status;
}

void wl_model_destroy(wl_model **model) {
  if (!*model) return;
  wl_rule_destroy(&(*model)->rule);
  wl_precondition_destroy(&(*model)->precondition);
  wl_initialisation_destroy(&(*model)->initialisation);
  wl_layout_clear(&(*model)->phi);
  wl_free(*model);
  *model = NULL;
}

/* Sets the learned theta_0 to initial parameters that the task family draws. */
static wl_status init_theta0(const wl_initialisation *init, const wl_task *task, uint64_t seed,
                             wl_real *theta0) {
  const wl_episode first = {seed, WL_SPACE_TRAIN, INT64_MAX, 0};
  wl_task_ws *ws = NULL;
  wl_real *theta = NULL;
  WL_TRY(WL_NEW(theta, task->n));
  wl_status status = wl_task_ws_create(task, false, &ws);
  if (status == WL_OK) status = wl_task_bind(task, ws, &first);
  if (status == WL_OK) status = wl_task_theta0(task, ws, theta);
  if (status == WL_OK) wl_initialisation_extract(init, theta, theta0);
  wl_free(theta);
  wl_task_ws_destroy(&ws);
  return status;
}

static wl_status init_parts(const wl_model *m, const wl_task *task, uint64_t seed, wl_real *phi) {
  wl_plugin_enter(m->rule->ops, "init");
  if (m->rule->phi.size > 0) m->rule->ops->init(m->rule, seed, phi + m->rule_at);
  if (m->precondition) wl_precondition_init(m->precondition, seed, phi + m->precondition_at);
  if (m->warp_size > 0) wl_task_phi0(task, seed, phi + m->warp_at);
  return m->initialisation ? init_theta0(m->initialisation, task, seed, phi + m->theta0_at) : WL_OK;
}

wl_status wl_model_init(const wl_model *model, const wl_task *task, uint64_t seed, double *phi) {
  wl_real *draft = NULL;
  WL_TRY(WL_NEW(draft, model->phi.size + 1));
  const wl_status status = init_parts(model, task, seed, draft);
  for (int64_t i = 0; i < model->phi.size; i++) phi[i] = draft[i];
  wl_free(draft);
  return status;
}
