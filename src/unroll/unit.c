/* unit.c - the list of a unit's fields and what walks it; the start of an episode. */
#include "unroll/unit.h"

#include <stddef.h>
#include <string.h>

#include "unroll/window_impl.h"

#define AT(member) offsetof(wl_unit, member)
const wl_unit_field wl_unit_fields[WL_UNIT_FIELDS] = {
    {"family", "index of the unit's task in the configuration", WL_INT64, WL_UNIT_ONE, AT(family), 0},
    {"episode", "number of its episode", WL_INT64, WL_UNIT_ONE, AT(episode.index), 0},
    {"inner_step", "inner steps done in it", WL_INT64, WL_UNIT_ONE, AT(t), 0},
    {"horizon", "inner steps of the whole episode", WL_INT64, WL_UNIT_ONE, AT(horizon), 0},
    {"start_loss", "outer loss at the episode's start", WL_FLOAT64, WL_UNIT_ONE, AT(start_loss), 0},
    {"stopped", "1: the episode became non-finite and is not run on", WL_UINT8, WL_UNIT_ONE,
     AT(stopped), 0},
    {"theta", "inner parameters, padded to blocks", WL_REAL_TYPE, WL_UNIT_THETA, AT(theta), 0},
    {"state", "state of the update rule", WL_REAL_TYPE, WL_UNIT_STATE, AT(state), 0},
};
_Static_assert(sizeof(bool) == 1, "`stopped` is stored as one byte");

int64_t wl_unit_field_count(const wl_unit_field *f, const wl_model *m, const wl_task *task,
                            unsigned parts) {
  if ((f->part & parts) != f->part) return 0;
  switch (f->extent) {
    case WL_UNIT_ONE: return 1;
    case WL_UNIT_THETA: return wl_pad(task->n);
    case WL_UNIT_STATE: return wl_rule_state_reals(m->rule, wl_task_theta(task));
    case WL_UNIT_PHI: return m->phi.size;
  }
  return 0;
}

static wl_real **array_of(const wl_unit_field *f, wl_unit *unit) {
  return (wl_real **)(void *)((char *)unit + f->at);
}

void *wl_unit_field_data(const wl_unit_field *f, wl_unit *unit) {
  return f->extent == WL_UNIT_ONE ? (void *)((char *)unit + f->at) : *array_of(f, unit);
}

int64_t wl_unit_bytes(const wl_model *m, const wl_task *task, unsigned parts) {
  int64_t bytes = 0;
  for (int i = 0; i < WL_UNIT_FIELDS; i++)
    bytes += wl_unit_field_count(&wl_unit_fields[i], m, task, parts) *
             (int64_t)wl_type_size(wl_unit_fields[i].type);
  return bytes;
}

static wl_status allocate(const wl_model *m, wl_unit *unit) {
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    const wl_unit_field *f = &wl_unit_fields[i];
    const int64_t count = wl_unit_field_count(f, m, unit->task, unit->parts);
    if (f->extent == WL_UNIT_ONE || (f->part & unit->parts) != f->part) continue;
    WL_TRY(wl_alloc((void **)array_of(f, unit), (size_t)count + 1, wl_type_size(f->type)));
  }
  return WL_OK;
}

wl_status wl_unit_create_with(const wl_model *m, const wl_task *task, unsigned parts,
                              wl_unit **out) {
  wl_unit *unit = NULL;
  WL_TRY(WL_NEW(unit, 1));
  unit->task = task;
  unit->parts = parts;
  const wl_status status = allocate(m, unit);
  if (status != WL_OK) wl_unit_destroy(&unit);
  *out = unit;
  return status;
}

wl_status wl_unit_create(const wl_model *m, const wl_task *task, wl_unit **out) {
  return wl_unit_create_with(m, task, WL_UNIT_PLAIN, out);
}

void wl_unit_destroy(wl_unit **unit) {
  if (!*unit) return;
  for (int i = 0; i < WL_UNIT_FIELDS; i++)
    if (wl_unit_fields[i].extent != WL_UNIT_ONE) wl_free(*array_of(&wl_unit_fields[i], *unit));
  wl_free(*unit);
  *unit = NULL;
}

void wl_unit_copy(const wl_model *m, wl_unit *from, wl_unit *to) {
  to->episode = from->episode;
  to->draw = from->draw;
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    const wl_unit_field *f = &wl_unit_fields[i];
    const int64_t count = wl_unit_field_count(f, m, from->task, from->parts);
    if (count > 0)
      memcpy(wl_unit_field_data(f, to), wl_unit_field_data(f, from),
             (size_t)count * wl_type_size(f->type));
  }
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
