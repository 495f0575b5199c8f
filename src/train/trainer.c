/* trainer.c - building and freeing the outer loop's state. */
#include "train/trainer.h"

#include <string.h>

#include "train/problem.h"
#include "train/replay.h"

enum { N_LOSSES = 4 }; /* behind each meta-gradient: meta, first, last, mean loss */

static int choose_threads(const wl_config *config, const wl_comm *comm) {
  const int64_t asked = wl_map_int(wl_config_map(config, "", 0), "threads");
  return asked > 0 ? (int)asked : wl_comm_cores(comm);
}

/* Takes over tasks, policy and model of the configuration's problem. */
static wl_status adopt_problem(wl_trainer *tr) {
  wl_problem p;
  WL_TRY(wl_problem_create(tr->config, &p));
  tr->seed = p.seed;
  tr->tasks = p.tasks;
  tr->n_tasks = p.n_tasks;
  tr->spec = p.spec;
  tr->model = p.model;
  tr->horizon = p.horizon;
  tr->n_horizon = p.n_horizon;
  return WL_NEW(tr->ws, tr->n_tasks);
}

/* Cost of a unit: task gradients and the rule on every coordinate. */
static double cost_of(const wl_trainer *tr, const wl_task *task) {
  return wl_task_cost(task) * (tr->spec.fresh ? 2.0 : 1.0) * (tr->spec.second_order ? 3.0 : 1.0) +
         tr->model->rule->cost * (double)task->n;
}

static wl_status create_plan(wl_trainer *tr) {
  double *proportion = NULL, *cost = NULL;
  wl_status status = WL_NEW(proportion, tr->n_tasks);
  if (status == WL_OK) status = WL_NEW(cost, tr->n_tasks);
  for (int i = 0; status == WL_OK && i < tr->n_tasks; i++) {
    proportion[i] = tr->tasks[i]->proportion;
    cost[i] = cost_of(tr, tr->tasks[i]);
  }
  const wl_map *episode = wl_config_map(tr->config, "episode", 0);
  const wl_plan_setting setting = {
      .seed = tr->seed,
      .units = wl_map_int(wl_config_map(tr->config, "outer", 0), "units"),
      .ranks = wl_comm_size(tr->comm),
      .tasks = tr->n_tasks,
      .proportion = proportion,
      .cost = cost,
      .horizon = tr->horizon,
      .n_horizon = tr->n_horizon,
      .stagger = wl_map_bool(episode, "stagger")};
  if (status == WL_OK && setting.stagger && tr->per_episode)
    status = wl_map_fail(episode, "stagger",
                         "staggered units end their episodes apart, so that no meta-step takes whole "
                         "episodes: use `outer.every: window`, or `stagger: false`");
  if (status == WL_OK) status = wl_plan_create(&setting, &tr->plan);
  wl_free(proportion);
  wl_free(cost);
  return status;
}

/* One quantum for each block of phi and for each of the losses behind it. */
static wl_status create_reduction(wl_trainer *tr) {
  const wl_layout *phi = &tr->model->phi;
  tr->vector = phi->size + N_LOSSES;
  tr->n_quanta = phi->count + N_LOSSES;
  WL_TRY(WL_NEW(tr->sum, tr->vector));
  WL_TRY(WL_NEW(tr->quanta, tr->n_quanta + 1));
  for (int i = 0; i < phi->count; i++) tr->quanta[i] = phi->blocks[i].offset;
  for (int i = 0; i <= N_LOSSES; i++) tr->quanta[phi->count + i] = phi->size + i;
  return WL_OK;
}

static wl_status build(wl_trainer *tr) {
  const wl_map *outer = wl_config_map(tr->config, "outer", 0);
  WL_TRY(adopt_problem(tr));
  tr->per_episode = strcmp(wl_map_string(outer, "every"), "episode") == 0;
  tr->steps = wl_map_int(outer, "steps");
  tr->patience = wl_map_int(outer, "patience");
  WL_TRY(create_plan(tr));
  WL_TRY(WL_NEW(tr->unit, tr->plan->units));
  WL_TRY(create_reduction(tr));
  WL_TRY(WL_NEW(tr->phi, tr->model->phi.size));
  WL_TRY(wl_outer_create(tr->config, &tr->model->phi, &tr->outer));
  WL_TRY(wl_replay_create(tr, &tr->replay));
  for (int i = 0; wl_trainer_back_propagates(tr) && i < tr->n_tasks; i++)
    WL_TRY(wl_unroll_check_memory(tr->model, tr->tasks[i], &tr->spec));
  return wl_problem_start(tr->config, tr->model, tr->tasks[0], tr->seed, tr->phi);
}

bool wl_trainer_back_propagates(const wl_trainer *tr) {
  return !tr->replay || (tr->model->initialisation && tr->model->initialisation->adjoint);
}

wl_status wl_trainer_create(const wl_config *config, wl_comm *comm, wl_trainer **out) {
  wl_trainer *tr = NULL;
  WL_TRY(WL_NEW(tr, 1));
  tr->config = config;
  tr->comm = comm;
  tr->threads = choose_threads(config, comm);
  tr->bound = wl_comm_bind_threads(comm, tr->threads);
  const wl_status status = build(tr);
  if (status != WL_OK) wl_trainer_destroy(&tr);
  *out = tr;
  return status;
}

void wl_trainer_destroy(wl_trainer **trainer) {
  wl_trainer *tr = *trainer;
  if (!tr) return;
  for (int64_t u = 0; tr->unit && u < tr->plan->units; u++) wl_unit_destroy(&tr->unit[u]);
  for (int i = 0; tr->ws && i < tr->n_tasks; i++) wl_unroll_ws_destroy(&tr->ws[i]);
  wl_replay_destroy(&tr->replay);
  wl_model_destroy(&tr->model);
  for (int i = 0; tr->tasks && i < tr->n_tasks; i++) wl_task_destroy(&tr->tasks[i]);
  wl_plan_destroy(&tr->plan);
  wl_outer_destroy(&tr->outer);
  void *const owned[] = {tr->unit,    tr->ws,      tr->tasks, tr->phi,
                         tr->vectors, tr->counted, tr->sum,   tr->quanta};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_free(tr);
  *trainer = NULL;
}
