/* problem.c - reads a configuration and creates its tasks, its model and the settings of its
 * windows. */
#include "train/problem.h"

#include "train/schema.h"

static wl_status create_tasks(const wl_config *config, wl_problem *p) {
  p->n_tasks = wl_config_count(config, "task");
  WL_TRY(WL_NEW(p->tasks, p->n_tasks));
  double proportions = 0;
  for (int i = 0; i < p->n_tasks; i++) {
    WL_TRY(wl_task_create(wl_config_map(config, "task", i), p->seed, &p->tasks[i]));
    proportions += p->tasks[i]->proportion;
  }
  if (proportions > 0) return WL_OK;
  return wl_map_fail(wl_config_map(config, "task", p->n_tasks - 1), "proportion",
                     "the proportion of every family is 0, so no task can be drawn; give at least one family a "
                     "larger proportion");
}

static wl_status read_horizon(const wl_config *config, wl_problem *p) {
  const wl_map *map = wl_config_map(config, "episode", 0);
  const wl_ints steps = wl_episode_read(config).steps;
  p->horizon = steps.at;
  p->n_horizon = steps.count;
  if (p->n_horizon == 1 || (p->n_horizon == 2 && p->horizon[0] <= p->horizon[1])) return WL_OK;
  return wl_map_fail(map, "steps", "give one number of steps, or a range [low, high] with low at most high");
}

static wl_status create_imitation(const wl_config *config, wl_problem *p) {
  const wl_rule_setting setting = {.theta = wl_task_theta(p->tasks[0]),
                                   .episode_steps = p->horizon[p->n_horizon - 1],
                                   .mixture = p->n_tasks > 1};
  WL_TRY(wl_imitation_create(config, &setting, &p->imitation));
  p->spec.imitation = p->imitation;
  if (!p->imitation || !p->spec.second_order) return WL_OK;
  return wl_map_fail(wl_config_map(config, "window", 0), "order",
                     "imitation is only possible in first order, because imitation treats the teacher's updates "
                     "as constants: set `order: first`, or remove the section `imitation`");
}

/* Returns an error if `order: second` is set and a task family does not record the operators of its
 * loss on the tape. Second order needs Hessian-vector products, which are computed from the
 * tape. */
static wl_status check_order(const wl_config *config, const wl_problem *p) {
  for (int i = 0; p->spec.second_order && i < p->n_tasks; i++)
    if (p->tasks[i]->family->loss)
      return wl_map_fail(wl_config_map(config, "window", 0), "order",
                         "the task family '%s' has only first derivatives: set `order: first`",
                         p->tasks[i]->family->name);
  return WL_OK;
}

static wl_status build(const wl_config *config, wl_problem *p) {
  p->seed = (uint64_t)wl_schema_run(config).seed;
  /* the horizon must be known before the model is created, because the number of meta-parameters
   * may depend on the longest episode */
  WL_TRY(read_horizon(config, p));
  WL_TRY(wl_schema_window(config, &p->spec));
  WL_TRY(create_tasks(config, p));
  WL_TRY(create_imitation(config, p));
  WL_TRY(check_order(config, p));
  WL_TRY(wl_model_create(config, (const wl_task *const *)p->tasks, p->n_tasks, &p->model));
  if (p->model->phi.size > 0) return WL_OK;
  return wl_map_fail(
      wl_config_map(config, "rule", 0), "name",
      "there is nothing to learn: the rule '%s' has no meta-parameters; choose `rule: {name: lstm}`, or learn "
      "scalars of the rule (`learn:`), a preconditioner or the initialisation",
      p->model->rule->ops->name);
}

wl_status wl_problem_create(const wl_config *config, wl_problem *out) {
  *out = (wl_problem){0};
  const wl_status status = build(config, out);
  if (status != WL_OK) wl_problem_destroy(out);
  return status;
}

void wl_problem_destroy(wl_problem *p) {
  wl_model_destroy(&p->model);
  wl_imitation_destroy(&p->imitation);
  for (int i = 0; p->tasks && i < p->n_tasks; i++) wl_task_destroy(&p->tasks[i]);
  wl_free(p->tasks);
  *p = (wl_problem){0};
}
