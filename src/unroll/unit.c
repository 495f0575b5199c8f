/* unit.c - a unit of work: one episode in progress. */
#include <string.h>

#include "unroll/window_impl.h"

wl_status wl_unit_create(const wl_model *model, const wl_task *task, wl_unit **out) {
  wl_unit *unit = NULL;
  WL_TRY(WL_NEW(unit, 1));
  unit->task = task;
  const int64_t pad = wl_pad(task->n);
  wl_status status = WL_NEW(unit->theta, pad);
  if (status == WL_OK)
    status = WL_NEW(unit->state, wl_rule_state_reals(model->rule, wl_task_theta(task)) + 1);
  if (status != WL_OK) wl_unit_destroy(&unit);
  *out = unit;
  return status;
}

void wl_unit_destroy(wl_unit **unit) {
  if (!*unit) return;
  wl_free((*unit)->theta);
  wl_free((*unit)->state);
  wl_free(*unit);
  *unit = NULL;
}

wl_status wl_unit_start(wl_unroll_ws *ws, wl_unit *unit, const wl_episode *episode) {
  const wl_model *m = ws->model;
  const wl_window_plan *p = &ws->plan;
  unit->episode = *episode;
  unit->t = 0;
  unit->draw = 0;
  unit->stopped = false;
  unit->start_loss = 0.0;
  WL_TRY(wl_task_bind(unit->task, ws->task_ws, episode));
  memset(unit->theta, 0, (size_t)p->pad * sizeof(wl_real));
  memset(unit->state, 0, (size_t)p->state * sizeof(wl_real));
  if (!m->initialisation || m->initialisation->any_fresh)
    WL_TRY(wl_task_theta0(unit->task, ws->task_ws, unit->theta));
  if (m->initialisation)
    wl_initialisation_start(m->initialisation, ws->phi + m->theta0_at, unit->theta);
  return WL_OK;
}
