/* trainer.c - creates and frees a trainer, which contains the state of the outer loop. */
#include <string.h>

#include "train/replay.h"
#include "train/schema.h"
#include "train/trainer_impl.h"

static int choose_threads(const wl_config *config, const wl_comm *comm) {
  const int64_t asked = wl_schema_run(config).threads;
  return asked > 0 ? (int)asked : wl_comm_cores(comm);
}

/* Estimates the relative cost of one inner step of a unit. The cost of one inner run is the cost of
 * the task's gradients plus the cost of the rule on all coordinates. The estimate is this cost
 * times the number of inner runs of the unit. */
static double cost_of(const wl_trainer *tr, const wl_task *task) {
  const double run = wl_task_cost(task) * (tr->setup.problem.spec.fresh ? 2.0 : 1.0) *
                         (tr->setup.problem.spec.second_order ? 3.0 : 1.0) +
                     tr->setup.problem.model->rule->cost * (double)task->n;
  return run * tr->setup.estimator->runs;
}

static wl_status create_plan(wl_trainer *tr) {
  double *proportion = NULL, *cost = NULL;
  wl_status status = WL_NEW(proportion, tr->setup.problem.n_tasks);
  if (status == WL_OK) status = WL_NEW(cost, tr->setup.problem.n_tasks);
  for (int i = 0; status == WL_OK && i < tr->setup.problem.n_tasks; i++) {
    proportion[i] = tr->setup.problem.tasks[i]->proportion;
    cost[i] = cost_of(tr, tr->setup.problem.tasks[i]);
  }
  const wl_map *episode = wl_config_map(tr->setup.config, "episode", 0);
  const wl_curriculum *c = tr->state->curriculum;
  const wl_plan_setting setting = {.seed = tr->setup.problem.seed,
                                   .units = wl_outer_read(tr->setup.config).units,
                                   .ranks = wl_comm_size(tr->setup.comm),
                                   .tasks = tr->setup.problem.n_tasks,
                                   .proportion = proportion,
                                   .cost = cost,
                                   .horizon = c ? c->length : tr->setup.problem.horizon,
                                   .n_horizon = c ? 2 : tr->setup.problem.n_horizon,
                                   .stage = c ? &c->stage : NULL,
                                   .restart = wl_episode_read(tr->setup.config).restart,
                                   .stagger = wl_episode_read(tr->setup.config).stagger};
  if (status == WL_OK && setting.restart > 0 && !setting.stagger)
    status = wl_map_fail(episode, "restart",
                         "with `restart`, the episodes of different units end at different meta-steps: set "
                         "`stagger: true`");
  if (status == WL_OK && setting.stagger && tr->setup.per_episode)
    status =
        wl_map_fail(episode, "stagger",
                    "staggered units end their episodes at different meta-steps, so a meta-step cannot consist "
                    "of whole episodes: set `outer.every: window` or `stagger: false`");
  if (status == WL_OK) status = wl_plan_create(&setting, &tr->state->plan);
  wl_free(proportion);
  wl_free(cost);
  return status;
}

static wl_status create_workspaces(wl_trainer *tr) {
  tr->setup.lanes = wl_trainer_lanes(tr);
  WL_TRY(WL_NEW(tr->ws, tr->setup.lanes * tr->setup.problem.n_tasks));
  for (int i = 0; wl_trainer_back_propagates(tr) && i < tr->setup.problem.n_tasks; i++)
    WL_TRY(wl_unroll_check_memory(tr->setup.problem.model, tr->setup.problem.tasks[i],
                                  &tr->setup.estimator->spec));
  return WL_NEW(tr->scratch, tr->setup.lanes * wl_estimator_scratch(tr->setup.estimator) + 1);
}

static wl_status create_state(wl_trainer *tr) {
  const wl_outer_keys outer = wl_outer_read(tr->setup.config);
  WL_TRY(wl_curriculum_create(tr->setup.config, &tr->setup.problem, &tr->state->curriculum));
  const wl_curriculum *c = tr->state->curriculum;
  if (tr->setup.problem.imitation)
    WL_TRY(wl_imitation_check_stages(tr->setup.problem.imitation, c ? c->stages : 1));
  WL_TRY(create_plan(tr));
  WL_TRY(WL_NEW(tr->state->unit, tr->state->plan->units));
  WL_TRY(WL_NEW(tr->tallies, tr->state->plan->units + 2));
  WL_TRY(WL_NEW(tr->state->phi, tr->setup.problem.model->phi.size));
  if (outer.average > 0) WL_TRY(WL_NEW(tr->state->average, tr->setup.problem.model->phi.size));
  WL_TRY(wl_outer_create(tr->setup.config, &tr->setup.problem.model->phi, &tr->state->outer));
  return wl_model_init(tr->setup.problem.model, tr->setup.problem.tasks[0], tr->setup.problem.seed,
                       tr->state->phi);
}

static wl_status build(wl_trainer *tr) {
  const wl_outer_keys outer = wl_outer_read(tr->setup.config);
  const wl_estimator_setting setting = {.seed = (uint64_t)wl_schema_run(tr->setup.config).seed,
                                        .units = outer.units,
                                        .whole_episodes = outer.every == WL_EVERY_EPISODE,
                                        .replays = wl_schema_replay(tr->setup.config).capacity > 0};
  WL_TRY(wl_problem_create(tr->setup.config, &tr->setup.problem));
  tr->setup.per_episode = outer.every == WL_EVERY_EPISODE;
  tr->setup.steps = outer.steps;
  tr->setup.patience = outer.patience;
  WL_TRY(wl_estimator_create(tr->setup.config, tr->setup.problem.model, &tr->setup.problem.spec,
                             &setting, &tr->setup.estimator));
  tr->setup.estimator->shape.restarts = wl_episode_read(tr->setup.config).restart > 0;
  WL_TRY(create_state(tr));
  WL_TRY(wl_reduction_create(&tr->setup.problem.model->phi, tr->setup.estimator->width,
                             &tr->reduction));
  WL_TRY(wl_start_copy_create(tr, &tr->start));
  WL_TRY(wl_replay_create(tr, &tr->state->replay));
  tr->interruption.comm = tr->setup.comm;
  tr->interruption.enabled = !wl_replay_lasts(tr->state->replay);
  return create_workspaces(tr);
}

bool wl_trainer_back_propagates(const wl_trainer *tr) {
  if (!tr->setup.estimator->ops->traces) return false;
  return !tr->state->replay || (tr->setup.problem.model->initialisation &&
                                tr->setup.problem.model->initialisation->adjoint);
}

wl_status wl_trainer_create(const wl_config *config, wl_comm *comm, wl_trainer **out) {
  wl_trainer *tr = NULL;
  WL_TRY(WL_NEW(tr, 1));
  tr->setup.config = config;
  tr->setup.comm = comm;
  tr->setup.threads = choose_threads(config, comm);
  tr->setup.bound = wl_comm_bind_threads(comm, tr->setup.threads);
  wl_status status = WL_NEW(tr->state, 1);
  if (status == WL_OK) status = build(tr);
  if (status != WL_OK) wl_trainer_destroy(&tr);
  *out = tr;
  return status;
}

static void destroy_state(wl_trainer *tr) {
  if (tr->state->plan) wl_start_copy_clear(tr, &tr->start);
  for (int64_t u = 0; tr->state->unit && u < tr->state->plan->units; u++)
    wl_unit_destroy(&tr->state->unit[u]);
  wl_replay_destroy(&tr->state->replay);
  wl_plan_destroy(&tr->state->plan);
  wl_curriculum_destroy(&tr->state->curriculum);
  wl_outer_destroy(&tr->state->outer);
  wl_free(tr->state->unit);
  wl_free(tr->state->phi);
  wl_free(tr->state->average);
  wl_free(tr->state);
}

void wl_trainer_destroy(wl_trainer **trainer) {
  wl_trainer *tr = *trainer;
  if (!tr) return;
  if (tr->state) destroy_state(tr);
  for (int i = 0; tr->ws && i < tr->setup.lanes * tr->setup.problem.n_tasks; i++)
    wl_unroll_ws_destroy(&tr->ws[i]);
  wl_reduction_clear(&tr->reduction);
  wl_estimator_destroy(&tr->setup.estimator);
  wl_problem_destroy(&tr->setup.problem);
  wl_free(tr->ws);
  wl_free(tr->scratch);
  wl_free(tr->tallies);
  wl_free(tr);
  *trainer = NULL;
}

const wl_trainer_setup *wl_setup_of(const wl_trainer *tr) { return &tr->setup; }
wl_trainer_state *wl_state_of(const wl_trainer *tr) { return tr->state; }
int64_t wl_trainer_sum_size(const wl_trainer *tr) { return tr->reduction.vector; }

double wl_trainer_workspace_bytes(const wl_trainer *tr) {
  double sum = 0.0;
  for (int i = 0; i < tr->setup.lanes * tr->setup.problem.n_tasks; i++)
    if (!tr->ws[i])
      sum += (double)wl_unroll_ws_bytes(
          tr->setup.problem.model, tr->setup.problem.tasks[i % tr->setup.problem.n_tasks],
          &tr->setup.estimator->spec, tr->setup.estimator->ops->traces,
          tr->setup.lanes > 1 ? 1 : tr->setup.threads);
  return sum;
}

void wl_trainer_keep_failure(wl_trainer *tr, wl_status status) {
  wl_failure_keep(&tr->pending, status);
}
wl_status wl_trainer_raise_failure(wl_trainer *tr) { return wl_failure_raise(&tr->pending); }
