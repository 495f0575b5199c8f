/* state.c - saving and loading the outer loop's state. */
#include "train/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "train/replay.h"
#include "train/trained.h"

typedef struct field_list {
  /* [capacity + 1]: what does not fit goes into the last, and is found by check_list */
  wl_field *at;
  int count, capacity;
} field_list;

static wl_field *add(field_list *list, const char *name, wl_type type, int64_t length, void *data,
                     const char *meaning) {
  wl_field *f = &list->at[list->count < list->capacity ? list->count : list->capacity];
  list->count++;
  *f = (wl_field){
      .type = type, .ndim = 1, .shape = {length}, .data = data, .in_digest = true, .units = "1"};
  snprintf(f->name, sizeof f->name, "%s", name);
  snprintf(f->long_name, sizeof f->long_name, "%s", meaning);
  return f;
}

static wl_status check_list(const field_list *list) {
  WL_CHECK(list->count <= list->capacity);
  return WL_OK;
}

/* One field for each block of a flat vector over phi. */
static void add_blocks(field_list *list, const wl_layout *phi, const char *prefix, double *vector,
                       const char *meaning) {
  for (int i = 0; i < phi->count; i++) {
    const wl_block *b = &phi->blocks[i];
    wl_field *f = add(list, "", WL_FLOAT64, b->size, vector + b->offset, meaning);
    snprintf(f->name, sizeof f->name, "%s/%s", prefix, b->name);
    f->ndim = b->ndim;
    memcpy(f->shape, b->shape, sizeof f->shape);
  }
}

/* What the replay buffer holds, but for the points themselves. */
static void add_replay(field_list *list, wl_replay *replay) {
  const wl_replay_tables t = wl_replay_state(replay);
  add(list, "replay/episode", WL_INT64, t.batches, t.episode,
      "number of each kept meta-batch of episodes, -1: none");
  add(list, "replay/count", WL_INT64, t.places, t.count,
      "points kept of each unit of each meta-batch");
  add(list, "replay/start_loss", WL_FLOAT64, t.places, t.start_loss,
      "outer loss at the episode's start");
}

/* The list: what is the same on every rank. */
static wl_status list_state(wl_trainer *tr, field_list *list) {
  const wl_layout *phi = &tr->model->phi;
  list->capacity = 3 * phi->count + 24;
  WL_TRY(WL_NEW(list->at, list->capacity + 1));
  add_blocks(list, phi, "phi", tr->phi, "meta-parameters");
  add_blocks(list, phi, "outer/first_moment", tr->outer->first,
             "outer optimizer: decayed mean of the meta-gradient");
  add_blocks(list, phi, "outer/second_moment", tr->outer->second,
             "outer optimizer: decayed mean of its square");
  add(list, "outer/updates", WL_INT64, WL_OUTER_GROUPS, tr->outer->updates,
      "updates applied to rule, precondition, warp, initialisation");
  add(list, "progress/meta_step", WL_INT64, 1, &tr->meta_step, "meta-steps done");
  add(list, "progress/episode", WL_INT64, 1, &tr->episode, "number of the episode under way");
  add(list, "progress/inner_step", WL_INT64, 1, &tr->t, "inner steps done in that episode");
  add(list, "progress/skipped", WL_INT64, 1, &tr->skipped, "units left out so far as non-finite");
  add(list, "progress/sound", WL_INT64, 1, &tr->sound,
      "meta-steps done when units were counted last")
      ->in_digest = false;
  add(list, "progress/barren", WL_INT64, 1, &tr->barren,
      "episodes begun since then without a counted unit")
      ->in_digest = false;
  if (wl_replay_lasts(tr->replay)) add_replay(list, tr->replay);
  return check_list(list);
}

wl_status wl_trainer_digest(wl_trainer *tr, wl_digest *out) {
  wl_digest digest = {0};
  field_list list = {0};
  WL_TRY(list_state(tr, &list));
  for (int i = 0; i < list.count; i++)
    if (list.at[i].in_digest)
      wl_digest_add(&digest, list.at[i].name, list.at[i].data,
                    (size_t)wl_field_count(&list.at[i]) * wl_type_size(list.at[i].type));
  wl_free(list.at);
  *out = digest;
  return WL_OK;
}

/* Units in the middle of an episode: ragged over units, `offset` in padded coordinates. */
typedef struct unit_arrays {
  int64_t *offset;        /* [units + 1] */
  int64_t *state_offset;  /* [units + 1] */
  int64_t *family;        /* [units] */
  double *start_loss;     /* [units] */
  uint8_t *stopped;       /* [units] */
  wl_real *theta, *state; /* rank 0, when saving: of all units */
} unit_arrays;

static wl_status size_units(const wl_trainer *tr, unit_arrays *a) {
  const int64_t units = tr->plan->units;
  WL_TRY(WL_NEW(a->offset, units + 1));
  WL_TRY(WL_NEW(a->state_offset, units + 1));
  WL_TRY(WL_NEW(a->family, units));
  WL_TRY(WL_NEW(a->start_loss, units));
  WL_TRY(WL_NEW(a->stopped, units));
  for (int64_t u = 0; u < units; u++) {
    a->family[u] = tr->plan->task[u];
    const wl_task *const task = tr->tasks[a->family[u]];
    a->offset[u + 1] = a->offset[u] + wl_pad(task->n);
    a->state_offset[u + 1] =
        a->state_offset[u] + wl_rule_state_reals(tr->model->rule, wl_task_theta(task));
  }
  return WL_OK;
}

static void free_units(unit_arrays *a) {
  void *const owned[] = {a->offset,  a->state_offset, a->family, a->start_loss,
                         a->stopped, a->theta,        a->state};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
}

/* A unit's numbers on their way to rank 0. */
static wl_status send_unit(wl_comm *comm, const wl_unit *unit, int64_t pad, int64_t state) {
  const double flags[] = {unit->start_loss, unit->stopped};
  WL_TRY(wl_comm_send(comm, flags, sizeof flags, 0));
  WL_TRY(wl_comm_send(comm, unit->theta, (size_t)pad * sizeof(wl_real), 0));
  return state > 0 ? wl_comm_send(comm, unit->state, (size_t)state * sizeof(wl_real), 0) : WL_OK;
}

static int64_t pad_of(const unit_arrays *a, int64_t u) { return a->offset[u + 1] - a->offset[u]; }
static int64_t state_of(const unit_arrays *a, int64_t u) {
  return a->state_offset[u + 1] - a->state_offset[u];
}

static wl_status receive_unit(wl_comm *comm, int from, unit_arrays *a, int64_t u) {
  const int64_t pad = pad_of(a, u), state = state_of(a, u);
  double flags[2];
  WL_TRY(wl_comm_receive(comm, flags, sizeof flags, from));
  a->start_loss[u] = flags[0];
  a->stopped[u] = flags[1] != 0.0;
  WL_TRY(wl_comm_receive(comm, a->theta + a->offset[u], (size_t)pad * sizeof(wl_real), from));
  return state > 0 ? wl_comm_receive(comm, a->state + a->state_offset[u],
                                     (size_t)state * sizeof(wl_real), from)
                   : WL_OK;
}

static void copy_unit(const wl_unit *unit, unit_arrays *a, int64_t u) {
  a->start_loss[u] = unit->start_loss;
  a->stopped[u] = unit->stopped;
  memcpy(a->theta + a->offset[u], unit->theta, (size_t)pad_of(a, u) * sizeof(wl_real));
  memcpy(a->state + a->state_offset[u], unit->state, (size_t)state_of(a, u) * sizeof(wl_real));
}

static wl_status gather_units(wl_trainer *tr, unit_arrays *a) {
  const int64_t units = tr->plan->units;
  const int rank = wl_comm_rank(tr->comm);
  wl_status room = size_units(tr, a);
  if (room == WL_OK && rank == 0) room = WL_NEW(a->theta, a->offset[units]);
  if (room == WL_OK && rank == 0) room = WL_NEW(a->state, a->state_offset[units] + 1);
  WL_TRY(wl_comm_agree(tr->comm, room));
  for (int64_t u = 0; u < units; u++) {
    const int owner = tr->plan->owner[u];
    if (rank == 0 && owner == 0) copy_unit(tr->unit[u], a, u);
    else if (rank == 0) WL_TRY(receive_unit(tr->comm, owner, a, u));
    else if (rank == owner) WL_TRY(send_unit(tr->comm, tr->unit[u], pad_of(a, u), state_of(a, u)));
  }
  return WL_OK;
}

static void list_units(const wl_trainer *tr, unit_arrays *a, field_list *list) {
  const int64_t units = tr->plan->units;
  add(list, "units/offset", WL_INT64, units + 1, a->offset,
      "where each unit's padded coordinates begin in theta")
      ->in_digest = false;
  add(list, "units/family", WL_INT64, units, a->family,
      "index of the unit's task in the configuration")
      ->in_digest = false;
  add(list, "units/start_loss", WL_FLOAT64, units, a->start_loss,
      "outer loss at the episode's start")
      ->in_digest = false;
  add(list, "units/stopped", WL_UINT8, units, a->stopped,
      "1: the episode became non-finite and is not run on")
      ->in_digest = false;
  add(list, "units/theta", WL_REAL_TYPE, a->offset[units], a->theta,
      "inner parameters of each unit, padded to blocks")
      ->in_digest = false;
  if (a->state_offset[units] == 0) return;
  add(list, "units/state_offset", WL_INT64, units + 1, a->state_offset,
      "where each unit's rule state begins in state")
      ->in_digest = false;
  add(list, "units/state", WL_REAL_TYPE, a->state_offset[units], a->state,
      "rule state of each unit: blocks of [width][16 coordinates], or a tensorwise rule's fields")
      ->in_digest = false;
}

/* The kept points of all units, one after the other, at rank 0. */
static wl_status gather_points(wl_trainer *tr, wl_real **points) {
  if (!wl_replay_lasts(tr->replay)) return WL_OK;
  wl_status room = WL_OK;
  if (wl_comm_rank(tr->comm) == 0)
    room = WL_NEW(*points, wl_replay_points(tr->replay) * wl_replay_state(tr->replay).width + 1);
  WL_TRY(wl_comm_agree(tr->comm, room));
  return wl_replay_gather(tr->replay, tr, *points);
}

static void list_points(const wl_trainer *tr, wl_real *points, field_list *list) {
  const int64_t count = wl_replay_points(tr->replay);
  if (count == 0) return;
  add(list, "replay/points", WL_REAL_TYPE, count * wl_replay_state(tr->replay).width, points,
      "theta and rule state at the kept points, one after the other")
      ->in_digest = false;
}

/* This rank's share of the buffer, whichever rank wrote it. */
static wl_status read_points(wl_trainer *tr, const wl_file *file) {
  const wl_replay_tables t = wl_replay_state(tr->replay);
  wl_real *points = NULL;
  int64_t first = 0, largest = 1;
  for (int64_t p = 0; p < t.places; p++) largest = t.count[p] > largest ? t.count[p] : largest;
  WL_TRY(WL_NEW(points, largest * t.width));
  wl_status status = WL_OK;
  for (int64_t p = 0; status == WL_OK && p < t.places; p++) {
    const bool mine = wl_replay_new_owner(tr, p) == wl_comm_rank(tr->comm) && t.count[p] > 0;
    if (mine)
      status = wl_file_read_range(file, "replay/points", WL_REAL_TYPE, first * t.width,
                                  t.count[p] * t.width, points);
    if (status == WL_OK) status = wl_replay_restore(tr->replay, tr, p, points);
    first += t.count[p];
  }
  wl_free(points);
  return status;
}

/* Attributes that say what the numbers belong to. */
typedef struct provenance {
  char digest[17], steps[32], ranks[32];
  char *configuration;
  wl_attribute at[5];
  int count;
} provenance;

static wl_status describe(wl_trainer *tr, provenance *p) {
  wl_digest digest;
  WL_TRY(wl_trainer_digest(tr, &digest));
  WL_TRY(wl_config_to_yaml(tr->config, &p->configuration));
  wl_digest_hex(digest, p->digest);
  snprintf(p->steps, sizeof p->steps, "%lld", (long long)tr->meta_step);
  snprintf(p->ranks, sizeof p->ranks, "%d ranks x %d threads", wl_comm_size(tr->comm), tr->threads);
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
  int64_t meta_step, sound;
  field_list list;
  char *copies; /* of what the trainer will change */
  unit_arrays units;
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

/* Makes the fields listed so far point to copies of their data. */
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

/* Rank 0: the list of fields over copies and what was gathered, and what they belong to. */
static wl_status fill_snapshot(wl_trainer *tr, wl_snapshot *s) {
  s->meta_step = tr->meta_step;
  s->sound = tr->sound;
  WL_TRY(list_state(tr, &s->list));
  WL_TRY(copy_fields(s));
  if (tr->t > 0) list_units(tr, &s->units, &s->list);
  if (wl_replay_lasts(tr->replay)) list_points(tr, s->points, &s->list);
  WL_TRY(check_list(&s->list));
  return describe(tr, &s->provenance);
}

wl_status wl_snapshot_take(wl_trainer *tr, wl_snapshot **out) {
  wl_snapshot *s = NULL;
  *out = NULL;
  wl_status status = wl_comm_agree(tr->comm, WL_NEW(s, 1));
  if (status == WL_OK && tr->t > 0) status = gather_units(tr, &s->units);
  if (status == WL_OK) status = gather_points(tr, &s->points);
  if (status == WL_OK && wl_comm_rank(tr->comm) == 0) status = fill_snapshot(tr, s);
  status = wl_comm_agree(tr->comm, status);
  if (status == WL_OK && wl_comm_rank(tr->comm) == 0) *out = s;
  else wl_snapshot_destroy(&s);
  return status;
}

wl_status wl_snapshot_write(const wl_snapshot *s, const char *run, int keep) {
  return wl_checkpoint_save(run, s->meta_step, keep, s->sound, s->list.at, s->list.count,
                            s->provenance.at, s->provenance.count);
}

int64_t wl_snapshot_bytes(const wl_snapshot *s) {
  size_t bytes = 0;
  for (int i = 0; i < s->list.count; i++) bytes += field_bytes(&s->list.at[i]);
  return (int64_t)bytes;
}

static wl_status read_unit(wl_trainer *tr, const wl_file *file, const unit_arrays *a, int64_t u) {
  const int64_t pad = pad_of(a, u), state = state_of(a, u);
  wl_unit *unit = tr->unit[u];
  unit->episode = (wl_episode){tr->seed, WL_SPACE_TRAIN, tr->episode, u};
  unit->t = tr->t;
  unit->horizon = tr->length;
  unit->start_loss = a->start_loss[u];
  unit->stopped = a->stopped[u];
  WL_TRY(wl_file_read_range(file, "units/theta", WL_REAL_TYPE, a->offset[u], pad, unit->theta));
  return state > 0 ? wl_file_read_range(file, "units/state", WL_REAL_TYPE, a->state_offset[u],
                                        state, unit->state)
                   : WL_OK;
}

/* This rank's share of the units of an unfinished episode, whichever rank wrote them. */
static wl_status read_units(wl_trainer *tr, const wl_file *file, unit_arrays *a) {
  const int64_t units = tr->plan->units;
  WL_TRY(wl_trainer_open_episode(tr));
  WL_TRY(size_units(tr, a));
  WL_TRY(wl_file_read_range(file, "units/start_loss", WL_FLOAT64, 0, units, a->start_loss));
  WL_TRY(wl_file_read_range(file, "units/stopped", WL_UINT8, 0, units, a->stopped));
  for (int64_t u = 0; u < units; u++)
    if (tr->unit[u]) WL_TRY(read_unit(tr, file, a, u));
  return WL_OK;
}

/* Keys that a resumed run may change: they do not touch what is computed, but that the end of a
 * cosine schedule moves with outer.steps. */
static bool may_change(const char *line) {
  static const char *const free_keys[] = {
      "output:",         "threads:",       "checkpoint.",     "trajectory.",   "outer.steps:",
      "outer.patience:", "window.memory:", "window.storage:", "replay.spill:", NULL};
  for (int i = 0; free_keys[i]; i++)
    if (strncmp(line, free_keys[i], strlen(free_keys[i])) == 0) return true;
  return false;
}

/* WL_ERR_CONFIG when the checkpoint belongs to another configuration. */
static wl_status same_run(const wl_trainer *tr, const wl_file *file, const wl_section *schema,
                          const char *path) {
  char *text = NULL, *diff = NULL, *line, *rest;
  wl_config *saved = NULL;
  wl_status status = wl_file_attribute(file, "configuration", &text);
  if (status == WL_OK) status = wl_config_parse(text, path, schema, NULL, 0, &saved);
  if (status == WL_OK) status = wl_config_diff(saved, tr->config, &diff);
  for (line = status == WL_OK ? strtok_r(diff, "\n", &rest) : NULL; line && status == WL_OK;
       line = strtok_r(NULL, "\n", &rest))
    if (!may_change(line))
      status = WL_FAIL(
          WL_ERR_CONFIG,
          "%s belongs to another configuration (checkpoint | now): %s; resume with the "
          "configuration it was started with, or choose another output, and there go on from it by "
          "`start`",
          path, line);
  wl_config_destroy(&saved);
  free(text);
  free(diff);
  return status;
}

static wl_status check_digest(wl_trainer *tr, const wl_file *file, const char *path) {
  char *saved = NULL, now[17];
  wl_digest digest;
  WL_TRY(wl_trainer_digest(tr, &digest));
  WL_TRY(wl_file_attribute(file, "digest", &saved));
  wl_digest_hex(digest, now);
  const bool same = strcmp(saved, now) == 0;
  free(saved);
  return same ? WL_OK
              : WL_FAIL(WL_ERR_DATA,
                        "%s: the digest of its state does not match the one it carries", path);
}

static wl_status load_fields(wl_trainer *tr, const wl_file *file, const char *path) {
  field_list list = {0};
  unit_arrays units = {0};
  wl_status status = list_state(tr, &list);
  for (int i = 0; status == WL_OK && i < list.count; i++)
    if (list.at[i].in_digest ||
        wl_file_has(file, list.at[i].name)) /* older files lack the others */
      status = wl_file_read(file, &list.at[i]);
  wl_free(list.at);
  if (status == WL_OK) status = check_digest(tr, file, path);
  if (status == WL_OK && tr->t > 0) status = read_units(tr, file, &units);
  if (status == WL_OK && wl_replay_lasts(tr->replay)) status = read_points(tr, file);
  free_units(&units);
  return status;
}

/* What rank 0 found for all. */
typedef struct finding {
  int64_t step; /* -1: nothing to resume */
  char path[4096];
} finding;

/* Rank 0 looks for the newest whole checkpoint, which takes reading all of it; the others open that one. */
static wl_status open_newest(wl_comm *comm, const char *run, finding *found, wl_file **file) {
  const bool first = wl_comm_rank(comm) == 0;
  *found = (finding){.step = -1};
  wl_status status = WL_OK;
  if (first)
    status = wl_checkpoint_open_newest(run, file, &found->step, found->path, sizeof found->path);
  if (status == WL_ERR_NO_INPUT) status = WL_OK;
  WL_TRY(wl_comm_agree(comm, status));
  WL_TRY(wl_comm_bcast(comm, found, sizeof *found, 0));
  if (!first && found->step >= 0) status = wl_file_open_again(found->path, "checkpoint", file);
  return wl_comm_agree(comm, status);
}

/* Ranks that see different disks must not go on from different states. */
static wl_status same_state(wl_trainer *tr, wl_status mine) {
  wl_digest digest = {0};
  if (mine == WL_OK) mine = wl_trainer_digest(tr, &digest);
  WL_TRY(wl_comm_agree(tr->comm, mine));
  return wl_comm_same(tr->comm, "the newest valid checkpoint", digest.value);
}

wl_status wl_state_load(wl_trainer *tr, const char *run, const wl_section *schema, bool *resumed) {
  wl_file *file = NULL;
  finding found;
  wl_status status = open_newest(tr->comm, run, &found, &file);
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
  wl_status status = wl_trainer_digest(tr, &digest);
  if (status == WL_OK && wl_comm_rank(tr->comm) == 0) {
    wl_digest_hex(digest, hex);
    status = wl_trained_write(path, tr->config, &tr->model->phi, tr->phi, hex, tr->meta_step);
  }
  return wl_comm_agree(tr->comm, status);
}
