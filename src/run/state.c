/* state.c - saves and loads the state of the outer loop. */
#define _GNU_SOURCE /* memmem */
#include "run/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "run/trained.h"
#include "train/replay.h"
#include "unroll/restart.h"

typedef struct field_list {
  wl_field *at; /* [count] */
  int count, room;
  wl_status failure; /* WL_OK if there was enough memory for all fields */
  wl_field spare;    /* after a failure, `add` returns this field, which is not in the list */
} field_list;

static wl_field *add(field_list *list, const char *name, wl_type type, int64_t length, void *data,
                     const char *meaning) {
  if (list->failure == WL_OK) list->failure = WL_GROW(list->at, list->count, list->room);
  wl_field *f = list->failure == WL_OK ? &list->at[list->count++] : &list->spare;
  *f = (wl_field){
      .type = type, .ndim = 1, .shape = {length}, .data = data, .in_digest = true, .units = "1"};
  snprintf(f->name, sizeof f->name, "%s", name);
  snprintf(f->long_name, sizeof f->long_name, "%s", meaning);
  return f;
}

/* Adds one field for each tensor of a flat vector over phi. */
static void add_blocks(field_list *list, const wl_layout *phi, const char *prefix, double *vector,
                       const char *meaning) {
  for (int i = 0; i < phi->count; i++) {
    const wl_tensor_entry *b = &phi->tensors[i];
    wl_field *f = add(list, "", WL_FLOAT64, b->size, vector + b->offset, meaning);
    snprintf(f->name, sizeof f->name, "%s/%s", prefix, b->name);
    f->ndim = b->ndim;
    memcpy(f->shape, b->shape, sizeof f->shape);
  }
}

/* Adds the tables of the replay buffer. Another function adds the stored points (replay.h). */
static void add_replay(field_list *list, wl_replay *replay) {
  const wl_replay_tables t = wl_replay_state(replay);
  add(list, "replay/episode", WL_INT64, t.batches, t.episode,
      "episode number of each stored meta-batch; -1 if the meta-batch is empty");
  add(list, "replay/count", WL_INT64, t.places, t.count,
      "number of stored points for each unit of each meta-batch");
  add(list, "replay/start_loss", WL_FLOAT64, t.places, t.start_loss,
      "outer loss at the start of each stored episode");
}

static void add_restarts(field_list *list, const wl_plan *plan) {
  add(list, "restart/origin", WL_INT64, plan->units, plan->origin,
      "number of the episode that determines each unit's task");
  add(list, "restart/stored", WL_INT64, plan->units, plan->stored,
      "inner step of the stored state of each unit; 0 if the unit has no stored state");
}

static void add_curriculum(field_list *list, const wl_layout *phi, wl_curriculum *c) {
  add_blocks(list, phi, "curriculum/best", c->best,
             "meta-parameters with the best evaluation in the current stage of the curriculum");
  add(list, "curriculum/stage", WL_INT64, 1, &c->stage,
      "number of the current stage of the curriculum; the first stage has the number 0");
  add(list, "curriculum/failures", WL_INT64, 1, &c->failures,
      "number of evaluations since the best evaluation of the stage");
  add(list, "curriculum/best_loss", WL_FLOAT64, 1, &c->best_loss,
      "loss of the best evaluation in the current stage; it is infinite before the first evaluation");
  add(list, "curriculum/exported", WL_INT64, 1, &c->exported,
      "1 if the current stage is the last stage; curriculum/best is then the result of the training")
      ->in_digest = false;
}

/* Lists the state that is the same on every rank. The caller frees list->at, also after a failure. */
static wl_status list_state(const wl_trainer *tr, field_list *list) {
  const wl_layout *phi = &wl_setup_of(tr)->problem.model->phi;
  add_blocks(list, phi, "phi", wl_state_of(tr)->phi, "meta-parameters");
  add_blocks(list, phi, "outer/first_moment", wl_state_of(tr)->outer->first,
             "outer optimizer: decayed mean of the meta-gradient");
  add_blocks(list, phi, "outer/second_moment", wl_state_of(tr)->outer->second,
             "outer optimizer: decayed mean of the squared meta-gradient");
  if (wl_state_of(tr)->average)
    add_blocks(list, phi, "average", wl_state_of(tr)->average, "exponential average of phi");
  add(list, "outer/updates", WL_INT64, WL_OUTER_GROUPS, wl_state_of(tr)->outer->updates,
      "number of updates applied to each of the groups rule, precondition, warp and initialisation");
  add(list, "progress/meta_step", WL_INT64, 1, &wl_state_of(tr)->meta_step,
      "number of meta-steps that the run has done");
  add(list, "progress/episode", WL_INT64, 1, &wl_state_of(tr)->plan->clock[0].episode,
      "episode number of unit 0");
  add(list, "progress/inner_step", WL_INT64, 1, &wl_state_of(tr)->plan->clock[0].t,
      "number of inner steps that unit 0 has done in its episode");
  add(list, "progress/skipped", WL_INT64, 1, &wl_state_of(tr)->skipped,
      "number of non-finite units that the run has left out so far");
  add(list, "progress/last_counted", WL_INT64, 1, &wl_state_of(tr)->last_counted,
      "number of the last meta-step with at least one finite unit; the first meta-step has the number 1")
      ->in_digest = false;
  add(list, "progress/episodes_without_finite_unit", WL_INT64, 1,
      &wl_state_of(tr)->episodes_without_finite_unit,
      "number of episodes that began after the last meta-step with a finite unit")
      ->in_digest = false;
  if (wl_state_of(tr)->plan->setting.restart > 0) add_restarts(list, wl_state_of(tr)->plan);
  if (wl_state_of(tr)->curriculum) add_curriculum(list, phi, wl_state_of(tr)->curriculum);
  if (wl_replay_lasts(wl_state_of(tr)->replay)) add_replay(list, wl_state_of(tr)->replay);
  return list->failure;
}

wl_status wl_state_digest(const wl_trainer *tr, wl_digest *out) {
  wl_digest digest = {0};
  field_list list = {0};
  const wl_status status = list_state(tr, &list);
  for (int i = 0; status == WL_OK && i < list.count; i++)
    if (list.at[i].in_digest)
      wl_digest_add(&digest, list.at[i].name, list.at[i].data,
                    (size_t)wl_field_count(&list.at[i]) * wl_type_size(list.at[i].type));
  wl_free(list.at);
  *out = digest;
  return status;
}

/* ---- units ---- */

/* The values of one field of the units: first all values of unit 0, then all values of unit 1, and
 * so on. Only rank 0 has these values. */
typedef struct unit_column {
  int64_t *offset; /* [units + 1] index of the first value of each unit */
  void *data;
} unit_column;

typedef struct unit_table {
  unit_column of[WL_UNIT_FIELDS];
} unit_table;

/* Returns true if a checkpoint at the end of a meta-step must contain state of units. A checkpoint
 * of staggered units always contains state of units, because the clocks (train/plan.h) of the units
 * differ. */
static bool carries_units(const wl_trainer *tr) {
  return wl_state_of(tr)->plan->setting.stagger || wl_plan_is_midway(wl_state_of(tr)->plan);
}

/* Returns true if a unit has more state than a clock. A unit has more state if it is within an
 * episode, or if it has stored a state from which it can restart. */
static bool has_state(const wl_trainer *tr, int64_t u) {
  const wl_plan *plan = wl_state_of(tr)->plan;
  return plan->clock[u].t > 0 || plan->stored[u] > 0;
}

static int64_t count_in(const wl_trainer *tr, int field, int64_t u) {
  const wl_unit_field *f = &wl_unit_fields[field];
  const wl_clock *c = &wl_state_of(tr)->plan->clock[u];
  if (!has_state(tr, u)) return wl_unit_field_is_inline(f);
  return wl_unit_field_count(f, wl_setup_of(tr)->problem.model,
                             wl_setup_of(tr)->problem.tasks[c->task_index],
                             &wl_setup_of(tr)->estimator->shape);
}

static wl_status size_column(const wl_trainer *tr, int field, unit_column *column) {
  const int64_t units = wl_state_of(tr)->plan->units;
  WL_TRY(WL_NEW(column->offset, units + 1));
  for (int64_t u = 0; u < units; u++)
    column->offset[u + 1] = column->offset[u] + count_in(tr, field, u);
  return WL_OK;
}

static void free_units(unit_table *table) {
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    wl_free(table->of[i].offset);
    wl_free(table->of[i].data);
  }
}

/* Allocates the columns of the table of units. Only rank 0 calls this function. */
static wl_status make_room_for_units(const wl_trainer *tr, unit_table *table) {
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    unit_column *column = &table->of[i];
    WL_TRY(size_column(tr, i, column));
    WL_TRY(wl_alloc(&column->data, (size_t)column->offset[wl_state_of(tr)->plan->units] + 1,
                    wl_type_size(wl_unit_fields[i].type)));
  }
  return WL_OK;
}

/* Returns the address in the table at which the values of a field of unit u start. */
static void *place_of(const unit_table *table, int field, int64_t u) {
  const unit_column *column = &table->of[field];
  return (char *)column->data +
         (size_t)column->offset[u] * wl_type_size(wl_unit_fields[field].type);
}

static size_t bytes_of(const wl_trainer *tr, int field, int64_t u) {
  return (size_t)count_in(tr, field, u) * wl_type_size(wl_unit_fields[field].type);
}

/* Sends one field of unit u to rank 0. On rank 0, `unit` is NULL for units of other ranks. */
static wl_status move_field(const wl_trainer *tr, int field, int64_t u, wl_unit *unit,
                            const unit_table *table) {
  const size_t bytes = bytes_of(tr, field, u);
  const bool first = wl_comm_rank(wl_setup_of(tr)->comm) == 0;
  if (bytes == 0) return WL_OK;
  if (first && !unit)
    return wl_comm_receive(wl_setup_of(tr)->comm, place_of(table, field, u), bytes,
                           wl_state_of(tr)->plan->owner[u]);
  const void *data = wl_unit_field_data(&wl_unit_fields[field], unit);
  if (!first) return wl_comm_send(wl_setup_of(tr)->comm, data, bytes, 0);
  memcpy(place_of(table, field, u), data, bytes);
  return WL_OK;
}

static wl_status gather_unit(const wl_trainer *tr, int64_t u, const unit_table *table) {
  const wl_clock *c = &wl_state_of(tr)->plan->clock[u];
  const int rank = wl_comm_rank(wl_setup_of(tr)->comm), owner = wl_state_of(tr)->plan->owner[u];
  const bool clock_only = !has_state(tr, u);
  wl_unit idle = {.number = c->episode, .horizon = c->horizon, .task_index = c->task_index};
  wl_unit *unit = clock_only ? &idle : rank == owner ? wl_state_of(tr)->unit[u] : NULL;
  if (rank != 0 && (rank != owner || clock_only)) return WL_OK;
  if (unit && c->t == 0) { /* the unit is between two episodes */
    unit->t = 0;
    unit->number = c->episode;
  }
  for (int i = 0; i < WL_UNIT_FIELDS; i++) WL_TRY(move_field(tr, i, u, unit, table));
  return WL_OK;
}

static wl_status gather_units(wl_trainer *tr, unit_table *table) {
  const bool first = wl_comm_rank(wl_setup_of(tr)->comm) == 0;
  WL_TRY(wl_comm_agree(wl_setup_of(tr)->comm, first ? make_room_for_units(tr, table) : WL_OK));
  for (int64_t u = 0; u < wl_state_of(tr)->plan->units; u++) WL_TRY(gather_unit(tr, u, table));
  return WL_OK;
}

/* Adds the offsets of all unit fields to the list. */
static void list_offsets(const wl_trainer *tr, const unit_table *table, field_list *list) {
  const int64_t units = wl_state_of(tr)->plan->units;
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    const wl_unit_field *f = &wl_unit_fields[i];
    char name[80];
    if (wl_unit_field_is_inline(f) || table->of[i].offset[units] == 0) continue;
    snprintf(name, sizeof name, "units/%s_offset", f->name);
    add(list, name, WL_INT64, units + 1, table->of[i].offset, "index of the first number of each unit")
        ->in_digest = false;
  }
}

static void list_units(const wl_trainer *tr, const unit_table *table, field_list *list) {
  const int64_t units = wl_state_of(tr)->plan->units;
  list_offsets(tr, table, list);
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    const wl_unit_field *f = &wl_unit_fields[i];
    const unit_column *column = &table->of[i];
    char name[80];
    if (column->offset[units] == 0) continue;
    snprintf(name, sizeof name, "units/%s", f->name);
    add(list, name, f->type, column->offset[units], column->data, f->meaning)->in_digest = false;
  }
}

/* Gathers the stored replay points of all units on rank 0, in order of unit. */
static wl_status gather_points(wl_trainer *tr, wl_real **points) {
  if (!wl_replay_lasts(wl_state_of(tr)->replay)) return WL_OK;
  wl_status room = WL_OK;
  if (wl_comm_rank(wl_setup_of(tr)->comm) == 0)
    room = WL_NEW(*points, wl_replay_points(wl_state_of(tr)->replay) *
                                   wl_replay_state(wl_state_of(tr)->replay).width +
                               1);
  WL_TRY(wl_comm_agree(wl_setup_of(tr)->comm, room));
  return wl_replay_gather(wl_state_of(tr)->replay, tr, *points);
}

static void list_points(const wl_trainer *tr, wl_real *points, field_list *list) {
  const int64_t count = wl_replay_points(wl_state_of(tr)->replay);
  if (count == 0) return;
  add(list, "replay/points", WL_REAL_TYPE, count * wl_replay_state(wl_state_of(tr)->replay).width,
      points, "theta and rule state at all stored points, in order")
      ->in_digest = false;
}

/* Reads this rank's part of the replay buffer. The run that wrote the file may have had another number of ranks. */
static wl_status read_points(wl_trainer *tr, const wl_file *file) {
  const wl_replay_tables t = wl_replay_state(wl_state_of(tr)->replay);
  wl_real *points = NULL;
  int64_t first = 0, largest = 1;
  for (int64_t p = 0; p < t.places; p++) largest = t.count[p] > largest ? t.count[p] : largest;
  WL_TRY(WL_NEW(points, largest * t.width));
  wl_status status = WL_OK;
  for (int64_t p = 0; status == WL_OK && p < t.places; p++) {
    const bool mine =
        wl_replay_new_owner(tr, p) == wl_comm_rank(wl_setup_of(tr)->comm) && t.count[p] > 0;
    if (mine)
      status = wl_file_read_range(file, "replay/points", WL_REAL_TYPE, first * t.width,
                                  t.count[p] * t.width, points);
    if (status == WL_OK) status = wl_replay_restore(wl_state_of(tr)->replay, tr, p, points);
    first += t.count[p];
  }
  wl_free(points);
  return status;
}

/* Attributes that identify the run that wrote a checkpoint. */
typedef struct provenance {
  char digest[17], steps[32], ranks[32];
  char *configuration;
  wl_attribute at[5];
  int count;
} provenance;

static wl_status describe(wl_trainer *tr, provenance *p) {
  wl_digest digest;
  WL_TRY(wl_state_digest(tr, &digest));
  WL_TRY(wl_config_to_yaml(wl_setup_of(tr)->config, &p->configuration));
  wl_digest_hex(digest, p->digest);
  snprintf(p->steps, sizeof p->steps, "%lld", (long long)wl_state_of(tr)->meta_step);
  snprintf(p->ranks, sizeof p->ranks, "%d rank%s x %d thread%s",
           wl_comm_size(wl_setup_of(tr)->comm), wl_comm_size(wl_setup_of(tr)->comm) == 1 ? "" : "s",
           wl_setup_of(tr)->threads, wl_setup_of(tr)->threads == 1 ? "" : "s");
  const wl_attribute all[] = {{"configuration", p->configuration},
                              {"digest", p->digest},
                              {"meta_steps", p->steps},
                              {"rank_layout", p->ranks},
                              {"precision", WL_REAL_NAME}};
  memcpy(p->at, all, sizeof all);
  p->count = 5;
  return WL_OK;
}

struct wl_snapshot {
  int64_t meta_step, last_counted;
  field_list list;
  char *copies; /* copies of the arrays that the trainer will change */
  unit_table units;
  wl_real *points;
  provenance provenance;
};

void wl_snapshot_destroy(wl_snapshot **snapshot) {
  wl_snapshot *const s = *snapshot;
  if (!s) return;
  free(s->provenance.configuration);
  free_units(&s->units);
  wl_free(s->points);
  wl_free(s->copies);
  wl_free(s->list.at);
  wl_free(s);
  *snapshot = NULL;
}

static size_t field_bytes(const wl_field *f) {
  return (size_t)wl_field_count(f) * wl_type_size(f->type);
}

/* Copies the data of all listed fields, and makes the fields point to the copies. */
static wl_status copy_fields(wl_snapshot *s) {
  size_t total = 0;
  for (int i = 0; i < s->list.count; i++) total += wl_pad((int64_t)field_bytes(&s->list.at[i]));
  WL_TRY(wl_alloc((void **)&s->copies, total, 1));
  char *at = s->copies;
  for (int i = 0; i < s->list.count; i++) {
    wl_field *const f = &s->list.at[i];
    const size_t bytes = field_bytes(f);
    if (bytes > 0) memcpy(at, f->data, bytes);
    f->data = at;
    at += wl_pad((int64_t)bytes);
  }
  return WL_OK;
}

/* On rank 0, makes the list of copied and gathered fields and the attributes of the run. */
static wl_status fill_snapshot(wl_trainer *tr, wl_snapshot *s) {
  s->meta_step = wl_state_of(tr)->meta_step;
  s->last_counted = wl_state_of(tr)->last_counted;
  WL_TRY(list_state(tr, &s->list));
  WL_TRY(copy_fields(s));
  if (carries_units(tr)) list_units(tr, &s->units, &s->list);
  if (wl_replay_lasts(wl_state_of(tr)->replay)) list_points(tr, s->points, &s->list);
  WL_TRY(s->list.failure);
  return describe(tr, &s->provenance);
}

wl_status wl_snapshot_take(wl_trainer *tr, wl_snapshot **out) {
  wl_snapshot *s = NULL;
  *out = NULL;
  wl_status status = wl_comm_agree(wl_setup_of(tr)->comm, WL_NEW(s, 1));
  if (status == WL_OK && carries_units(tr)) status = gather_units(tr, &s->units);
  if (status == WL_OK) status = gather_points(tr, &s->points);
  if (status == WL_OK && wl_comm_rank(wl_setup_of(tr)->comm) == 0) status = fill_snapshot(tr, s);
  status = wl_comm_agree(wl_setup_of(tr)->comm, status);
  if (status == WL_OK && wl_comm_rank(wl_setup_of(tr)->comm) == 0) *out = s;
  else wl_snapshot_destroy(&s);
  return status;
}

wl_status wl_snapshot_write(const wl_snapshot *s, const char *run, int keep) {
  return wl_checkpoint_save(
      run, &(wl_checkpoint){s->meta_step, keep, s->last_counted, s->list.at, s->list.count,
                            s->provenance.at, s->provenance.count});
}

int64_t wl_snapshot_bytes(const wl_snapshot *s) {
  size_t bytes = 0;
  for (int i = 0; i < s->list.count; i++) bytes += field_bytes(&s->list.at[i]);
  return (int64_t)bytes;
}

/* Checks the values of a clock, because the file is untrusted input. */
static wl_status check_clock(const wl_trainer *tr, int64_t u) {
  const wl_clock *c = &wl_state_of(tr)->plan->clock[u];
  const wl_curriculum *stages = wl_state_of(tr)->curriculum;
  const wl_problem *p = &wl_setup_of(tr)->problem;
  const bool restarts = wl_state_of(tr)->plan->setting.restart > 0;
  const int64_t shortest = stages ? stages->length[0] : p->horizon[0],
                longest = p->horizon[p->n_horizon - 1];
  if (c->episode >= 0 && c->task_index >= 0 && c->task_index < wl_setup_of(tr)->problem.n_tasks &&
      c->t >= 0 &&
      (c->t == 0 ||
       (c->t < c->horizon && c->horizon >= shortest && (restarts || c->horizon <= longest))))
    return WL_OK;
  return WL_FAIL(WL_ERR_DATA,
                 "the checkpoint's unit %lld is at step %lld of %lld in episode %lld of task %lld, "
                 "which does not exist in this configuration",
                 (long long)u, (long long)c->t, (long long)c->horizon, (long long)c->episode,
                 (long long)c->task_index);
}

/* Writes the name of the dataset for a field of a unit. Before schema version 3, the field `task` was named
 * `family`. */
static void name_in(const wl_file *file, const char *field, char name[80]) {
  const bool old = strcmp(field, "task") == 0 && !wl_file_has(file, "units/task");
  snprintf(name, 80, "units/%s", old ? "family" : field);
}

static wl_status read_clocks(wl_trainer *tr, const wl_file *file) {
  const int64_t units = wl_state_of(tr)->plan->units;
  static const char *const fields[] = {"task", "episode", "inner_step", "horizon"};
  int64_t *column = NULL;
  WL_TRY(WL_NEW(column, 4 * units));
  wl_status status = WL_OK;
  for (int i = 0; i < 4 && status == WL_OK; i++) {
    char name[80];
    name_in(file, fields[i], name);
    status = wl_file_read_range(file, name, WL_INT64, 0, units, column + i * units);
  }
  for (int64_t u = 0; u < units && status == WL_OK; u++) {
    wl_state_of(tr)->plan->clock[u] = (wl_clock){.task_index = column[u],
                                                 .episode = column[units + u],
                                                 .t = column[2 * units + u],
                                                 .horizon = column[3 * units + u]};
    status = check_clock(tr, u);
  }
  wl_free(column);
  return status;
}

static wl_status read_unit(wl_trainer *tr, const wl_file *file, const unit_table *table,
                           int64_t u) {
  wl_unit *unit = wl_state_of(tr)->unit[u];
  unit->episode = (wl_episode){wl_setup_of(tr)->problem.seed, WL_SPACE_TRAIN, 0, u};
  for (int i = 0; i < WL_UNIT_FIELDS; i++) {
    const wl_unit_field *f = &wl_unit_fields[i];
    char name[80];
    name_in(file, f->name, name);
    if (count_in(tr, i, u) > 0)
      WL_TRY(wl_file_read_range(file, name, f->type, table->of[i].offset[u], count_in(tr, i, u),
                                wl_unit_field_data(f, unit)));
  }
  const int64_t *origin = wl_state_of(tr)->plan->origin;
  unit->episode.index = unit->shape.restarts ? origin[u] : unit->number;
  unit->draw = wl_restart_draw(unit->number, unit->episode.index);
  return WL_OK;
}

/* Reads the state of this rank's units. The run that wrote the file may have had another number of ranks. */
static wl_status read_units(wl_trainer *tr, const wl_file *file, unit_table *table) {
  if (!wl_file_has(file, "units/inner_step"))
    return WL_FAIL(
        WL_ERR_DATA,
        "an earlier version of Warploom wrote the checkpoint within an episode and did not store the clocks of "
        "units: resume with that version up to the end of an episode");
  WL_TRY(read_clocks(tr, file));
  WL_TRY(wl_trainer_place_units(tr));
  for (int i = 0; i < WL_UNIT_FIELDS; i++) WL_TRY(size_column(tr, i, &table->of[i]));
  for (int64_t u = 0; u < wl_state_of(tr)->plan->units; u++)
    if (wl_state_of(tr)->unit[u] && has_state(tr, u))
      WL_TRY(read_unit(tr, file, table, u));
  return WL_OK;
}

/* Sets the clocks of all units to the clock of unit 0. This is correct if all units are between the same two
 * episodes. */
static void set_clocks(wl_plan *plan) {
  for (int64_t u = 1; u < plan->units; u++) plan->clock[u] = plan->clock[0];
}

/* Writes to `text` the options --set with which the user accepts changed files. Each line of `diff`
 * has the form "key: saved | now". A line whose key is a hash results in one option. */
static void accept_hashes(const char *diff, char *text, size_t size) {
  static const char word[] = "_hash: ", intro[] = "; to accept the changed file, add";
  size_t used = 0;
  text[0] = '\0';
  for (const char *line = diff; *line;) {
    const int length = (int)strcspn(line, "\n");
    const char *const key_end = memmem(line, (size_t)length, word, sizeof word - 1);
    const char *const now = memmem(line, (size_t)length, " | ", 3);
    if (key_end && now && now[3] != '(' && used < size) {
      const int key = (int)(key_end - line) + (int)sizeof word - 3;
      used += (size_t)snprintf(text + used, size - used, "%s --set %.*s=%.*s", used ? "" : intro, key,
                               line, (int)(line + length - now) - 3, now + 3);
    }
    line += length + (line[length] == '\n');
  }
}

/* Returns WL_ERR_CONFIG if the checkpoint belongs to another configuration. */
static wl_status same_run(const wl_trainer *tr, const wl_file *file, const wl_section *schema,
                          const char *path) {
  const wl_override any_hash = {.kind = WL_OVERRIDE_ANY_HASH};
  char *text = NULL, *diff = NULL;
  wl_config *saved = NULL;
  wl_status status = wl_file_attribute(file, "configuration", &text);
  if (status == WL_OK) status = wl_config_parse(text, path, schema, &any_hash, 1, &saved);
  if (status == WL_OK)
    status = wl_config_diff(saved, wl_setup_of(tr)->config, WL_KEY_FREE | WL_KEY_EXTENDS, &diff);
  if (status == WL_OK && diff[0]) {
    char accept[1024];
    accept_hashes(diff, accept, sizeof accept);
    status = WL_FAIL(
        WL_ERR_CONFIG,
        "%s belongs to another configuration (checkpoint | now): %.*s; resume with the "
        "configuration it was started with, or choose another output and start from it with "
        "`start`%s",
        path, (int)strcspn(diff, "\n"), diff, accept);
  }
  wl_config_destroy(&saved);
  free(text);
  free(diff);
  return status;
}

static wl_status check_digest(wl_trainer *tr, const wl_file *file, const char *path) {
  char *saved = NULL, now[17];
  wl_digest digest;
  WL_TRY(wl_state_digest(tr, &digest));
  WL_TRY(wl_file_attribute(file, "digest", &saved));
  wl_digest_hex(digest, now);
  const bool same = strcmp(saved, now) == 0;
  free(saved);
  return same ? WL_OK
              : WL_FAIL(WL_ERR_DATA,
                        "%s: the digest of its state does not match the digest that is stored in it", path);
}

/* Checks the number of the curriculum's stage and the inner steps of the units' stored states,
 * because the file is untrusted input. */
static wl_status check_stage(const wl_trainer *tr, const char *path) {
  const wl_curriculum *c = wl_state_of(tr)->curriculum;
  const wl_plan *plan = wl_state_of(tr)->plan;
  for (int64_t u = 0; u < plan->units; u++)
    if (plan->origin[u] < 0 || plan->stored[u] < 0)
      return WL_FAIL(WL_ERR_DATA, "%s: the stored state of unit %lld has a negative inner step", path,
                     (long long)u);
  if (!c || (c->stage >= 0 && c->stage < c->stages)) return WL_OK;
  return WL_FAIL(WL_ERR_DATA, "%s: the curriculum has %lld stages, so stage number %lld does not exist", path,
                 (long long)c->stages, (long long)c->stage);
}

static wl_status load_fields(wl_trainer *tr, const wl_file *file, const char *path) {
  field_list list = {0};
  unit_table units = {0};
  wl_status status = list_state(tr, &list);
  for (int i = 0; status == WL_OK && i < list.count; i++)
    if (list.at[i].in_digest ||
        wl_file_has(file, list.at[i].name)) /* an older file may lack fields, which are skipped */
      status = wl_file_read(file, &list.at[i]);
  wl_free(list.at);
  if (status == WL_OK) status = check_digest(tr, file, path);
  if (status == WL_OK) status = check_stage(tr, path);
  set_clocks(wl_state_of(tr)->plan);
  if (status == WL_OK && carries_units(tr)) status = read_units(tr, file, &units);
  if (status == WL_OK && wl_replay_lasts(wl_state_of(tr)->replay)) status = read_points(tr, file);
  free_units(&units);
  return status;
}

/* The result of the search for a checkpoint. Rank 0 sends this result to all ranks. */
typedef struct finding {
  int64_t step; /* meta-step of the checkpoint; -1 if the run has no checkpoint */
  char path[4096];
} finding;

/* Opens the newest valid checkpoint. Only rank 0 searches for this checkpoint, because the search
 * reads complete files. All ranks then open the file that rank 0 found. */
static wl_status open_newest(wl_comm *comm, const char *run, finding *found, wl_file **file) {
  const bool first = wl_comm_rank(comm) == 0;
  *found = (finding){.step = -1};
  wl_status status = WL_OK;
  if (first)
    status = wl_checkpoint_open_newest(run, file, &found->step);
  if (first && status == WL_OK)
    snprintf(found->path, sizeof found->path, "%s", wl_file_path(*file));
  if (status == WL_ERR_NO_INPUT) *found = (finding){.step = -1};
  if (status == WL_ERR_NO_INPUT) status = WL_OK;
  WL_TRY(wl_comm_agree(comm, status));
  WL_TRY(wl_comm_bcast(comm, found, sizeof *found, 0));
  if (!first && found->step >= 0) status = wl_file_open_again(found->path, "checkpoint", file);
  return wl_comm_agree(comm, status);
}

/* Returns an error if the ranks have loaded different states, for example because each rank reads
 * the disk of its own node. */
static wl_status same_state(wl_trainer *tr, wl_status mine) {
  wl_digest digest = {0};
  if (mine == WL_OK) mine = wl_state_digest(tr, &digest);
  WL_TRY(wl_comm_agree(wl_setup_of(tr)->comm, mine));
  return wl_comm_same(wl_setup_of(tr)->comm, "the newest valid checkpoint", digest.value);
}

wl_status wl_state_load(wl_trainer *tr, const char *run, const wl_section *schema, bool *resumed) {
  wl_file *file = NULL;
  finding found;
  wl_status status = open_newest(wl_setup_of(tr)->comm, run, &found, &file);
  *resumed = status == WL_OK && found.step >= 0;
  if (*resumed) {
    status = same_run(tr, file, schema, found.path);
    if (status == WL_OK) status = load_fields(tr, file, found.path);
    status = same_state(tr, status);
  }
  wl_file_close(&file);
  if (*resumed && status == WL_OK)
    wl_log_info("resuming from %s: meta-step %lld", found.path, (long long)found.step);
  return status;
}

wl_status wl_state_export(wl_trainer *tr, const char *path) {
  char hex[17];
  wl_digest digest;
  wl_status status = wl_state_digest(tr, &digest);
  if (status == WL_OK && wl_comm_rank(wl_setup_of(tr)->comm) == 0) {
    wl_digest_hex(digest, hex);
    status = wl_trained_write(path, wl_setup_of(tr)->config, &wl_setup_of(tr)->problem.model->phi,
                              wl_trainer_export(tr), hex, wl_state_of(tr)->meta_step);
  }
  return wl_comm_agree(wl_setup_of(tr)->comm, status);
}
