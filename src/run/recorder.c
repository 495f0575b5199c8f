/* recorder.c - stores each recorded window in a slot of fixed size. An observer fills the slot, and the slot is sent to
 * rank 0.
 *
 * A slot holds a header and, at fixed offsets, the arrays of wl_record for up to K steps. */
#include "run/recorder.h"

#include "base/clock.h"
#include "base/failure.h"
#include "train/schema.h"

#include <math.h>
#include <string.h>

typedef struct slot_header {
  int64_t meta_step, unit, episode, t0, steps, snapshots, n, task;
} slot_header;

struct wl_recorder {
  wl_trajectory_setting setting;
  int64_t every, units, stride;
  int64_t *index; /* [coordinates] indices of the sampled coordinates in the first task */
  int64_t *here;  /* [coordinates] indices of the sampled coordinates in the current task */
  size_t slot_bytes;
  unsigned char *slots;   /* [capacity] slots for the windows of this rank */
  unsigned char *foreign; /* on rank 0: one slot that was received from another rank */
  int64_t used, capacity;
  wl_failure failure; /* first failure since the records were last sent */
  const wl_trainer *trainer;
  wl_trajectory *file; /* rank 0 */
};

/* The arrays of a slot, in order. Every array is aligned to 8 bytes, and the size of wl_real arrays is rounded up to a
 * multiple of 8. */
typedef struct slot_view {
  slot_header *header;
  double *loss, *outer_loss, *gradient_norm, *update_norm;
  int64_t *snapshot_step;
  wl_real *gradient, *update, *hidden, *theta;
} slot_view;

static size_t reals(int64_t count) { return ((size_t)count * sizeof(wl_real) + 7) / 8 * 8; }

static size_t slot_bytes(const wl_trajectory_setting *s) {
  const int64_t sampled = s->steps * s->coordinates;
  return sizeof(slot_header) + 4 * (size_t)s->steps * sizeof(double) +
         (size_t)s->snapshots * sizeof(int64_t) + 2 * reals(sampled) + reals(sampled * s->hidden) +
         reals(s->snapshots * s->n);
}

/* Finds the arrays of the slot at `base`. */
static slot_view view_slot(const wl_trajectory_setting *s, unsigned char *base) {
  slot_view v = {(slot_header *)(void *)base, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};
  const size_t column = (size_t)s->steps * sizeof(double);
  size_t at = sizeof(slot_header);
  double **const columns[] = {&v.loss, &v.outer_loss, &v.gradient_norm, &v.update_norm};
  for (int i = 0; i < 4; i++, at += column) *columns[i] = (double *)(void *)(base + at);
  v.snapshot_step = (int64_t *)(void *)(base + at);
  at += (size_t)s->snapshots * sizeof(int64_t);
  const struct {
    wl_real **array;
    int64_t count;
  } tail[] = {{&v.gradient, s->steps * s->coordinates},
              {&v.update, s->steps * s->coordinates},
              {&v.hidden, s->steps * s->coordinates * s->hidden},
              {&v.theta, s->snapshots * s->n}};
  for (int i = 0; i < 4; at += reals(tail[i].count), i++)
    *tail[i].array = (wl_real *)(void *)(base + at);
  return v;
}

/* Chooses `count` evenly spaced coordinates out of n: coordinate i of C is number floor(i n / C). */
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
  r->slot_bytes = slot_bytes(&r->setting);
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

static void sample_row(wl_recorder *r, const slot_view *v, int64_t row, const wl_step_view *step) {
  const wl_trajectory_setting *s = &r->setting;
  for (int64_t i = 0; i < s->coordinates; i++) {
    const int64_t c = r->here[i];
    v->gradient[row * s->coordinates + i] = step->g[c];
    v->update[row * s->coordinates + i] = step->u[c];
    for (int64_t h = 0; h < s->hidden; h++)
      v->hidden[(row * s->coordinates + i) * s->hidden + h] = step->state[wl_rule_state_index(
          wl_setup_of(r->trainer)->problem.model->rule, v->header->n, c, h)];
  }
}

static void observe(void *context, const wl_step_view *step) {
  wl_recorder *r = context;
  const slot_view v = view_slot(&r->setting, r->slots + (size_t)r->used * r->slot_bytes);
  const int64_t row = v.header->steps++, n = v.header->n;
  v.loss[row] = step->loss;
  v.outer_loss[row] = step->outer_loss;
  v.gradient_norm[row] = norm(step->g, n);
  v.update_norm[row] = norm(step->u, n);
  sample_row(r, &v, row, step);
  if (r->stride == 0 || (step->t + 1) % r->stride != 0 ||
      v.header->snapshots >= r->setting.snapshots)
    return;
  const int64_t snapshot = v.header->snapshots++;
  v.snapshot_step[snapshot] = step->t + 1;
  memcpy(v.theta + snapshot * n, step->theta, (size_t)n * sizeof *v.theta);
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
  const slot_view v = view_slot(&r->setting, r->slots + (size_t)r->used * r->slot_bytes);
  memset(v.header, 0, r->slot_bytes);
  *v.header = (slot_header){wl_state_of(r->trainer)->meta_step,
                            u,
                            unit->episode.index,
                            unit->t,
                            0,
                            0,
                            unit->task->n,
                            unit->task_index};
  spread(r->here, r->setting.coordinates, unit->task->n);
  *observer = (wl_observer){.step = observe, .context = r};
  return true;
}

static void end(void *context) {
  wl_recorder *const r = context;
  r->used++;
}

static wl_status append(const wl_recorder *r, unsigned char *slot, double *seconds) {
  const slot_view v = view_slot(&r->setting, slot);
  const slot_header *h = v.header;
  const wl_record record = {h->meta_step,
                            h->unit,
                            h->episode,
                            h->t0,
                            h->steps,
                            h->task,
                            v.loss,
                            v.outer_loss,
                            v.gradient_norm,
                            v.update_norm,
                            v.gradient,
                            v.update,
                            r->setting.hidden > 0 ? v.hidden : NULL,
                            v.theta,
                            v.snapshot_step,
                            h->snapshots,
                            h->n};
  const double start = wl_seconds();
  const wl_status status = wl_trajectory_append(r->file, &record);
  *seconds += wl_seconds() - start;
  return status;
}

static unsigned char *slot_at(const wl_recorder *r, int64_t i) {
  return r->slots + (size_t)i * r->slot_bytes;
}

/* Returns the index after the last slot of a unit in [first, end). The slots of this rank are in order of unit. */
static int64_t end_of_unit(const wl_recorder *r, int64_t first, int64_t unit) {
  while (first < r->used && ((const slot_header *)(void *)slot_at(r, first))->unit == unit) first++;
  return first;
}

/* Rank 0 writes the records of one of its units to the file. */
static wl_status keep_unit(const wl_recorder *r, int64_t first, int64_t end, double *seconds) {
  for (int64_t i = first; i < end; i++) WL_TRY(append(r, slot_at(r, i), seconds));
  return WL_OK;
}

/* Rank 0 receives the records of another rank's unit. Even after a failure, rank 0 receives all slots of the unit,
 * because the sender waits for it. */
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
