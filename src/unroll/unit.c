/* unit.c - lists the fields of a unit, creates and copies units with this list, and starts
 * episodes. */
#include "unroll/unit.h"

#include <stddef.h>
#include <string.h>

#include "unroll/window_impl.h"

#define AT(member) offsetof(wl_unit, member)
const wl_unit_field wl_unit_fields[WL_UNIT_FIELDS] = {
    {"task", "task index of the unit", WL_INT64, WL_UNIT_ONE, WL_UNIT_ITSELF,
     AT(task_index)},
    {"episode", "number of the unit's episode", WL_INT64, WL_UNIT_ONE, WL_UNIT_ITSELF, AT(number)},
    {"inner_step", "number of inner steps of the unit's episode that are done", WL_INT64, WL_UNIT_ONE,
     WL_UNIT_ITSELF, AT(t)},
    {"horizon", "number of inner steps of the whole episode", WL_INT64, WL_UNIT_ONE, WL_UNIT_ITSELF,
     AT(horizon)},
    {"start_loss", "outer loss at the start of the unit's episode", WL_FLOAT64, WL_UNIT_ONE, WL_UNIT_ITSELF,
     AT(start_loss)},
    {"stopped", "1 if the episode was stopped because it became non-finite", WL_UINT8, WL_UNIT_ONE,
     WL_UNIT_ITSELF, AT(stopped)},
    {"other_start_loss", "value of start_loss for each of the particles 1, 2, ...", WL_FLOAT64, WL_UNIT_ONE, WL_UNIT_OTHERS,
     AT(other_start_loss)},
    {"other_stopped", "value of stopped for each of the particles 1, 2, ...", WL_UINT8, WL_UNIT_ONE, WL_UNIT_OTHERS,
     AT(other_stopped)},
    {"difference", "difference between the losses of each antithetic pair at the end of the last window, for "
                   "telescoping losses",
     WL_FLOAT64, WL_UNIT_ONE, WL_UNIT_DIFFERENCES, AT(difference)},
    {"theta", "inner parameters theta, padded to whole blocks", WL_REAL_TYPE, WL_UNIT_THETA, WL_UNIT_ITSELF,
     AT(theta)},
    {"state", "state of the update rule, followed by the state of the preconditioner", WL_REAL_TYPE, WL_UNIT_STATE,
     WL_UNIT_ITSELF, AT(state)},
    {"other_theta", "inner parameters theta of each of the particles 1, 2, ...", WL_REAL_TYPE, WL_UNIT_THETA, WL_UNIT_OTHERS,
     AT(other_theta)},
    {"other_state", "state of rule and preconditioner of each of the particles 1, 2, ...", WL_REAL_TYPE, WL_UNIT_STATE, WL_UNIT_OTHERS,
     AT(other_state)},
    {"accumulator", "for pes, sum of the perturbations of each antithetic pair since the start of the episode", WL_FLOAT64, WL_UNIT_PHI,
     WL_UNIT_ACCUMULATORS, AT(accumulator)},
    {"imitates", "1 if the episode imitates the teacher", WL_UINT8, WL_UNIT_ONE, WL_UNIT_TEACHERS,
     AT(imitates)},
    {"teacher_state", "state of the teacher for each particle", WL_REAL_TYPE, WL_UNIT_TEACHER_STATE,
     WL_UNIT_PUPILS, AT(teacher_state)},
    {"score", "score, largest score and last loss of each particle, followed by the mean of the largest scores",
     WL_FLOAT64, WL_UNIT_ONE, WL_UNIT_STORED_SCORES, AT(score)},
    {"stored_theta", "inner parameters theta of the stored state", WL_REAL_TYPE, WL_UNIT_THETA, WL_UNIT_STORED,
     AT(stored_theta)},
    {"stored_state", "state of rule and preconditioner of the stored state", WL_REAL_TYPE, WL_UNIT_STATE, WL_UNIT_STORED,
     AT(stored_state)},
    {"stored_teacher_state", "state of the teacher in the stored state", WL_REAL_TYPE, WL_UNIT_TEACHER_STATE,
     WL_UNIT_STORED_TEACHERS, AT(stored_teacher_state)},
};
_Static_assert(sizeof(bool) == 1, "the field `stopped` is stored as one byte, so a bool must have the size 1");

bool wl_unit_field_is_inline(const wl_unit_field *f) {
  return f->extent == WL_UNIT_ONE && f->times == WL_UNIT_ITSELF;
}

static int64_t times_of(const wl_unit_field *f, const wl_unit_shape *shape) {
  switch (f->times) {
    case WL_UNIT_ITSELF: return 1;
    case WL_UNIT_OTHERS: return shape->particles > 1 ? shape->particles - 1 : 0;
    case WL_UNIT_ACCUMULATORS: return shape->accumulators;
    case WL_UNIT_DIFFERENCES: return shape->differences;
    case WL_UNIT_TEACHERS: return shape->teacher != NULL;
    case WL_UNIT_PUPILS: return shape->teacher ? shape->particles : 0;
    case WL_UNIT_STORED: return shape->restarts;
    case WL_UNIT_STORED_TEACHERS: return shape->restarts && shape->teacher;
    case WL_UNIT_STORED_SCORES:
      return shape->restarts ? WL_UNIT_SCORES * shape->particles + 1 : 0;
  }
  return 0;
}

static int64_t teacher_reals(const wl_unit_shape *shape, const wl_task *task) {
  return shape->teacher ? wl_rule_state_reals(shape->teacher, wl_task_theta(task)) : 0;
}

static int64_t extent_of(const wl_unit_field *f, const wl_model *m, const wl_task *task,
                         const wl_unit_shape *shape) {
  switch (f->extent) {
    case WL_UNIT_ONE: return 1;
    case WL_UNIT_THETA: return wl_pad(task->n);
    case WL_UNIT_STATE: return wl_model_state(m, wl_task_theta(task));
    case WL_UNIT_PHI: return m->phi.size;
    case WL_UNIT_TEACHER_STATE: return teacher_reals(shape, task);
  }
  return 0;
}

int64_t wl_unit_field_count(const wl_unit_field *f, const wl_model *m, const wl_task *task,
                            const wl_unit_shape *shape) {
  return times_of(f, shape) * extent_of(f, m, task, shape);
}

static void **array_of(const wl_unit_field *f, wl_unit *unit) {
  return (void **)(void *)((char *)unit + f->at);
}

void *wl_unit_field_data(const wl_unit_field *f, wl_unit *unit) {
  return wl_unit_field_is_inline(f) ? (void *)((char *)unit + f->at) : *array_of(f, unit);
}

int64_t wl_unit_bytes(const wl_model *m, const wl_task *task, const wl_unit_shape *shape) {
  int64_t bytes = 0;
  for (int i = 0; i < WL_UNIT_FIELDS; i++)
    bytes += wl_unit_field_count(&wl_unit_fields[i], m, task, shape) *
             (int64_t)wl_type_size(wl_unit_fields[i].type);
  return bytes;
}

static wl_status allocate(const wl_model *m, wl_unit *unit) {
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    const wl_unit_field *f = &wl_unit_fields[i];
    const int64_t count = wl_unit_field_count(f, m, unit->task, &unit->shape);
    if (wl_unit_field_is_inline(f) || times_of(f, &unit->shape) == 0) continue;
    WL_TRY(wl_alloc(array_of(f, unit), (size_t)count + 1, wl_type_size(f->type)));
  }
  return WL_OK;
}

wl_status wl_unit_create_with(const wl_model *m, const wl_task *task, const wl_unit_shape *shape,
                              wl_unit **out) {
  wl_unit *unit = NULL;
  WL_TRY(WL_NEW(unit, 1));
  unit->task = task;
  unit->shape = *shape;
  const wl_status status = allocate(m, unit);
  if (status != WL_OK) wl_unit_destroy(&unit);
  *out = unit;
  return status;
}

wl_status wl_unit_create(const wl_model *m, const wl_task *task, wl_unit **out) {
  return wl_unit_create_with(m, task, &(wl_unit_shape){.particles = 1}, out);
}

void wl_unit_destroy(wl_unit **unit) {
  if (!*unit) return;
  for (int i = 0; i < WL_UNIT_FIELDS; i++)
    if (!wl_unit_field_is_inline(&wl_unit_fields[i])) wl_free(*array_of(&wl_unit_fields[i], *unit));
  wl_free(*unit);
  *unit = NULL;
}

void wl_unit_copy(const wl_model *m, wl_unit *from, wl_unit *to) {
  to->episode = from->episode;
  to->draw = from->draw;
  to->first = from->first;
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    const wl_unit_field *f = &wl_unit_fields[i];
    const int64_t count = wl_unit_field_count(f, m, from->task, &from->shape);
    if (count > 0)
      memcpy(wl_unit_field_data(f, to), wl_unit_field_data(f, from),
             (size_t)count * wl_type_size(f->type));
  }
}

wl_unit wl_unit_particle(const wl_model *m, const wl_unit *unit, int p) {
  wl_unit particle = *unit;
  if (p == 0) return particle;
  if (unit->shape.restarts) particle.score += p * WL_UNIT_SCORES;
  if (unit->shape.teacher) particle.teacher_state += p * teacher_reals(&unit->shape, unit->task);
  particle.theta = unit->other_theta + (p - 1) * wl_pad(unit->task->n);
  particle.state = unit->other_state + (p - 1) * wl_model_state(m, wl_task_theta(unit->task));
  particle.start_loss = unit->other_start_loss[p - 1];
  particle.stopped = unit->other_stopped[p - 1];
  return particle;
}

void wl_unit_keep_particle(wl_unit *unit, int p, const wl_unit *particle) {
  *(p == 0 ? &unit->start_loss : &unit->other_start_loss[p - 1]) = particle->start_loss;
  *(p == 0 ? &unit->stopped : &unit->other_stopped[p - 1]) = particle->stopped;
}

void wl_unit_copy_particle(const wl_model *m, wl_unit *unit, int from, int to) {
  const wl_unit source = wl_unit_particle(m, unit, from), target = wl_unit_particle(m, unit, to);
  memcpy(target.theta, source.theta, (size_t)wl_pad(unit->task->n) * sizeof *target.theta);
  memcpy(target.state, source.state,
         (size_t)wl_model_state(m, wl_task_theta(unit->task)) * sizeof *target.state);
  if (unit->shape.teacher)
    memcpy(target.teacher_state, source.teacher_state,
           (size_t)teacher_reals(&unit->shape, unit->task) * sizeof *target.teacher_state);
  wl_unit_keep_particle(unit, to, &source);
}

wl_status wl_unit_start(wl_unroll_ws *ws, wl_unit *unit, const wl_episode *episode) {
  const wl_model *m = ws->model;
  const wl_window_plan *p = &ws->plan;
  unit->episode = *episode;
  unit->number = episode->index;
  unit->t = unit->first = 0;
  unit->draw = 0;
  unit->stopped = false;
  unit->start_loss = 0.0;
  WL_TRY(wl_task_bind(unit->task, ws->task_ws, episode));
  memset(unit->theta, 0, (size_t)p->pad * sizeof(wl_real));
  memset(unit->state, 0, (size_t)p->kept.state * sizeof(wl_real));
  if (unit->shape.teacher)
    memset(unit->teacher_state, 0,
           (size_t)teacher_reals(&unit->shape, unit->task) * sizeof *unit->teacher_state);
  if (!m->initialisation || m->initialisation->any_fresh)
    WL_TRY(wl_task_theta0(unit->task, ws->task_ws, unit->theta));
  if (m->initialisation)
    wl_initialisation_start(m->initialisation, ws->phi + m->theta0_at, unit->theta);
  return WL_OK;
}
