/* recorder.c - stores each recorded window in a slot of fixed size. An observer fills the slot, and the slot is sent to
 * rank 0.
 *
 * A slot contains a wl_record and its arrays for up to K steps. */
#include "run/recorder.h"

#include "base/clock.h"
#include "base/failure.h"
#include "train/schema.h"

#include <math.h>
#include <string.h>

struct wl_recorder {
  wl_trajectory_setting setting;
  int64_t every, units, stride;
  int64_t *index; /* indices of the sampled coordinates in the first task [coordinates] */
  int64_t *here;  /* indices of the sampled coordinates in the current task [coordinates] */
  size_t slot_bytes;
  unsigned char *slots;   /* slots for the windows of this rank [capacity] */
  unsigned char *foreign; /* the slot that rank 0 has received last from another rank */
  int64_t used, capacity;
  wl_failure failure; /* first failure since the records were last sent */
  const wl_trainer *trainer;
  wl_trajectory *file; /* trajectory file; only on rank 0 */
};

/* Returns the record in a slot. The pointers of the record are set here, because another rank may
 * have sent the slot. */
static wl_record *record_in(const wl_recorder *r, unsigned char *slot) {
  wl_record *const record = (wl_record *)(void *)slot;
  wl_record_arrange(&r->setting, slot + sizeof *record, record);
  return record;
}

static unsigned char *slot_at(const wl_recorder *r, int64_t i) {
  return r->slots + (size_t)i * r->slot_bytes;
}

/* Chooses `count` evenly spaced coordinates out of n. The i-th of these coordinates has the index
 * floor(i n / count). */
static void spread(int64_t *index, int64_t count, int64_t n) {
  for (int64_t i = 0; i < count; i++) index[i] = i * n / count;
}

static wl_trajectory_setting read_setting(const wl_trainer *tr, const wl_trajectory_keys *keys) {
  const int64_t stride = keys->snapshot_stride;
  wl_trajectory_setting s = {.steps = wl_setup_of(tr)->problem.spec.steps,
                             .coordinates = keys->coordinates,
                             .compression = (int)keys->compression,
                             .half = keys->precision == WL_RECORDED_HALF};
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < wl_setup_of(tr)->problem.n_tasks; i++) {
    if (wl_setup_of(tr)->problem.tasks[i]->n < least) least = wl_setup_of(tr)->problem.tasks[i]->n;
    if (wl_setup_of(tr)->problem.tasks[i]->n > most) most = wl_setup_of(tr)->problem.tasks[i]->n;
  }
  if (s.coordinates > least) s.coordinates = least;
  s.hidden =
      keys->hidden && s.coordinates > 0 ? wl_setup_of(tr)->problem.model->rule->state_width : 0;
  s.snapshots = stride > 0 ? (s.steps + stride - 1) / stride : 0;
  s.n = stride > 0 ? most : 0;
  return s;
}

wl_status wl_recorder_create(const wl_trainer *tr, wl_recorder **out) {
  const wl_trajectory_keys keys = wl_schema_trajectory(wl_setup_of(tr)->config);
  wl_recorder *r = NULL;
  *out = NULL;
  if (keys.every == 0) return WL_OK;
  WL_TRY(WL_NEW(r, 1));
  r->trainer = tr;
  r->every = keys.every;
  r->units = keys.units;
  r->stride = keys.snapshot_stride;
  r->setting = read_setting(tr, &keys);
  r->slot_bytes = sizeof(wl_record) + wl_record_arrange(&r->setting, NULL, &(wl_record){0});
  wl_status status = WL_NEW(r->index, r->setting.coordinates + 1);
  if (status == WL_OK) status = WL_NEW(r->here, r->setting.coordinates + 1);
  if (status == WL_OK && wl_comm_rank(wl_setup_of(tr)->comm) == 0)
    status = wl_alloc((void **)&r->foreign, r->slot_bytes, 1);
  if (status == WL_OK)
    spread(r->index, r->setting.coordinates, wl_setup_of(tr)->problem.tasks[0]->n);
  r->setting.index = r->index;
  if (status != WL_OK) wl_recorder_destroy(&r);
  *out = r;
  return status;
}

void wl_recorder_destroy(wl_recorder **recorder) {
  if (!*recorder) return;
  wl_free((*recorder)->index);
  wl_free((*recorder)->here);
  wl_free((*recorder)->slots);
  wl_free((*recorder)->foreign);
  wl_free(*recorder);
  *recorder = NULL;
}

void wl_recorder_attach(wl_recorder *r, wl_trajectory *file) { r->file = file; }

wl_trajectory_setting wl_recorder_setting(const wl_recorder *r) { return r->setting; }

bool wl_recorder_wants(const wl_recorder *r, int64_t meta_step) {
  return r && meta_step % r->every == 0;
}

static double norm(const wl_real *x, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
  return sqrt(sum);
}

static void sample_row(wl_recorder *r, const wl_record *v, int64_t row, const wl_step_view *step) {
  const wl_trajectory_setting *s = &r->setting;
  for (int64_t i = 0; i < s->coordinates; i++) {
    const int64_t c = r->here[i];
    v->gradient[row * s->coordinates + i] = step->g[c];
    v->update[row * s->coordinates + i] = step->u[c];
    for (int64_t h = 0; h < s->hidden; h++)
      v->hidden[(row * s->coordinates + i) * s->hidden + h] = step->state[wl_rule_state_index(
          wl_setup_of(r->trainer)->problem.model->rule, v->n, c, h)];
  }
}

static void observe(void *context, const wl_step_view *step) {
  wl_recorder *r = context;
  wl_record *const v = record_in(r, slot_at(r, r->used));
  const int64_t row = v->steps++, n = v->n;
  v->loss[row] = step->loss;
  v->outer_loss[row] = step->outer_loss;
  v->gradient_norm[row] = norm(step->g, n);
  v->update_norm[row] = norm(step->u, n);
  sample_row(r, v, row, step);
  if (r->stride == 0 || (step->t + 1) % r->stride != 0 || v->snapshots >= r->setting.snapshots)
    return;
  const int64_t snapshot = v->snapshots++;
  v->snapshot_step[snapshot] = step->t + 1;
  memcpy(v->theta + snapshot * n, step->theta, (size_t)n * sizeof *v->theta);
}

/* Allocates memory for `more` further slots. The content of these slots is undefined. */
static wl_status grow(wl_recorder *r, int64_t more) {
  if (r->used + more <= r->capacity) return WL_OK;
  unsigned char *bigger = NULL;
  const int64_t capacity = 2 * r->capacity + 3 + more;
  WL_TRY(wl_alloc((void **)&bigger, (size_t)capacity, r->slot_bytes));
  if (r->used > 0) memcpy(bigger, r->slots, (size_t)r->used * r->slot_bytes);
  wl_free(r->slots);
  r->slots = bigger;
  r->capacity = capacity;
  return WL_OK;
}

static bool begin(void *context, const wl_unit *unit, wl_observer *observer) {
  wl_recorder *const r = context;
  const int64_t u = unit->episode.unit;
  if (u >= r->units || r->failure.code != WL_OK) return false;
  wl_failure_keep(&r->failure, grow(r, 1));
  if (r->failure.code != WL_OK) return false;
  unsigned char *const slot = slot_at(r, r->used);
  memset(slot, 0, r->slot_bytes);
  *(wl_record *)(void *)slot = (wl_record){.meta_step = wl_state_of(r->trainer)->meta_step,
                                           .unit = u,
                                           .episode = unit->episode.index,
                                           .t0 = unit->t,
                                           .task = unit->task_index,
                                           .n = unit->task->n};
  spread(r->here, r->setting.coordinates, unit->task->n);
  *observer = (wl_observer){.step = observe, .context = r};
  return true;
}

static void end(void *context) {
  wl_recorder *const r = context;
  r->used++;
}

static wl_status append(const wl_recorder *r, unsigned char *slot, double *seconds) {
  const double start = wl_seconds();
  const wl_status status = wl_trajectory_append(r->file, record_in(r, slot));
  *seconds += wl_seconds() - start;
  return status;
}

/* Returns the index of the first slot after `first` that belongs to another unit, or the number of
 * used slots. The slots of this rank are in order of unit. */
static int64_t end_of_unit(const wl_recorder *r, int64_t first, int64_t unit) {
  while (first < r->used && ((const wl_record *)(void *)slot_at(r, first))->unit == unit) first++;
  return first;
}

/* Rank 0 writes the records of one of its units to the file. */
static wl_status keep_unit(const wl_recorder *r, int64_t first, int64_t end, double *seconds) {
  for (int64_t i = first; i < end; i++) WL_TRY(append(r, slot_at(r, i), seconds));
  return WL_OK;
}

/* Rank 0 receives the records of another rank's unit. Even after a failure, rank 0 receives all
 * slots of the unit, because the sender waits until they are received. */
static wl_status receive_unit(const wl_recorder *r, wl_comm *comm, int from, double *seconds) {
  unsigned char *const slot = r->foreign;
  wl_status status = WL_OK;
  int64_t count = 0;
  WL_TRY(wl_comm_receive(comm, &count, sizeof count, from));
  for (int64_t i = 0; i < count; i++) {
    WL_TRY(wl_comm_receive(comm, slot, r->slot_bytes, from));
    if (status == WL_OK) status = append(r, slot, seconds);
  }
  return status;
}

static wl_status send_unit(const wl_recorder *r, wl_comm *comm, int64_t first, int64_t end) {
  const int64_t count = end - first;
  WL_TRY(wl_comm_send(comm, &count, sizeof count, 0));
  for (int64_t i = first; i < end; i++) WL_TRY(wl_comm_send(comm, slot_at(r, i), r->slot_bytes, 0));
  return WL_OK;
}

static wl_status ship(void *context, double *seconds) {
  wl_recorder *const r = context;
  const wl_trainer *tr = r->trainer;
  const int rank = wl_comm_rank(wl_setup_of(tr)->comm);
  for (int64_t u = 0, first = 0; u < r->units && u < wl_state_of(tr)->plan->units; u++) {
    const int owner = wl_state_of(tr)->plan->owner[u];
    const int64_t end = end_of_unit(r, first, u);
    wl_status moved = WL_OK;
    if (rank == 0 && owner == 0)
      moved = r->failure.code == WL_OK ? keep_unit(r, first, end, seconds) : WL_OK;
    else if (rank == 0) moved = receive_unit(r, wl_setup_of(tr)->comm, owner, seconds);
    else if (rank == owner) moved = send_unit(r, wl_setup_of(tr)->comm, first, end);
    wl_failure_keep(&r->failure, moved);
    first = end;
  }
  r->used = 0;
  return wl_failure_raise(&r->failure);
}

wl_watcher wl_recorder_watcher(wl_recorder *r) { return (wl_watcher){begin, end, ship, r}; }
