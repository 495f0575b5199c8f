/* replay.c - stores points of episodes in the replay buffer, and replays windows that start at
 * these points. The header replay.h describes the algorithm.
 *
 * The buffer is a ring of `batches` meta-batches, each with one episode of every unit. A place is
 * one pair (meta-batch, unit). A place has up to `capacity` points. Point j of a place is (theta,
 * s) at the inner step j * stride of the episode. The file replay_store.c stores the points. */
#include "train/replay.h"

#include <string.h>

#include "train/replay_store.h"
#include "train/schema.h"
#include "train/trainer_impl.h"

/* Upper bound of the number of passes in a run. The bound is needed because the upper 32 bits of a
 * draw number contain the number of the pass (run_point). */
static const double MOST_PASSES = 2147483647.0;

struct wl_replay {
  int64_t stride, epochs, batch;
  /* settings of the replayed windows, from the sections `window` and `replay` */
  wl_window_spec spec;
  int64_t batches, units, capacity;
  /* number of elements of theta in a point, and number of elements of the rule's state in a
   * point */
  int64_t n, state;
  wl_replay_store *store;
  /* first failure to store a point of this meta-step; wl_replay_share reports this failure on all
   * ranks */
  wl_failure failure;
  /* [batches] index of the episode that each meta-batch stores for every unit; -1 if the meta-batch
   * is empty */
  int64_t *episode;
  /* [batches][units] number of points of each place; equal on every rank after wl_replay_share */
  int64_t *count;
  int64_t *first;     /* [batches * units + 1] number of points in all places before each place */
  double *start_loss; /* [batches][units] */
  int64_t *owner;     /* [batches][units] rank that stores the points of each place */
  int64_t current;    /* index of the meta-batch that the current episode fills */
  wl_unroll_ws *ws;
  wl_unit *unit;
  wl_reduction reduction;
};

/* ---- Creation -------------------------------------------------------------------------------- */

static void read_options(const wl_trainer *tr, const wl_replay_keys *keys, wl_replay *r) {
  r->stride = keys->stride;
  r->epochs = keys->epochs;
  r->batch = keys->batch;
  r->batches = keys->keep;
  r->units = tr->state->plan->units;
  r->capacity =
      (tr->setup.problem.horizon[tr->setup.problem.n_horizon - 1] + r->stride - 1) / r->stride;
  r->n = tr->setup.problem.tasks[0]->n;
  r->state = wl_model_state(tr->setup.problem.model, wl_task_theta(tr->setup.problem.tasks[0]));
  r->spec = tr->setup.problem.spec;
  r->spec.steps = keys->steps;
  r->spec.weights = WL_WEIGHTS_LAST;
  r->spec.fresh = true;
  r->spec.replayed = true;
}

/* Returns an error if the settings of replay contradict settings of other sections. The table of
 * keys cannot express such conditions between sections. */
static wl_status check_options(const wl_trainer *tr) {
  if (!tr->setup.per_episode)
    return wl_map_fail(
        wl_config_map(tr->setup.config, "outer", 0), "every",
        "replay stores the points of whole episodes: set `every: episode`, or `replay.capacity: 0`");
  if (tr->setup.problem.n_tasks > 1)
    return wl_map_fail(wl_config_map(tr->setup.config, "task", 1), "family",
                       "replay needs a single task, but this configuration has a mixture of %d tasks",
                       tr->setup.problem.n_tasks);
  const wl_map *map = wl_config_map(tr->setup.config, "replay", 0);
  if ((double)tr->setup.steps * (double)wl_schema_replay(tr->setup.config).epochs >= MOST_PASSES)
    return wl_map_fail(map, "epochs",
                       "outer.steps times replay.epochs must be below %.0f, because the random numbers of each "
                       "pass need a separate pass number",
                       MOST_PASSES);
  return WL_OK;
}

static wl_status create_store(const wl_trainer *tr, const wl_replay_keys *keys, wl_replay *r) {
  const wl_replay_shape shape = {
      .places = r->batches * r->units,
      .points = r->capacity,
      .horizon = tr->setup.problem.horizon[tr->setup.problem.n_horizon - 1],
      .width = r->n + r->state,
      .n = r->n,
      .map = wl_config_map(tr->setup.config, "replay", 0)};
  return wl_replay_store_create(keys, &shape, &r->store);
}

static wl_status allocate(const wl_trainer *tr, wl_replay *r) {
  const int64_t places = r->batches * r->units;
  WL_TRY(WL_NEW(r->episode, r->batches));
  WL_TRY(WL_NEW(r->count, places));
  WL_TRY(WL_NEW(r->first, places + 1));
  WL_TRY(WL_NEW(r->start_loss, places));
  WL_TRY(WL_NEW(r->owner, places));
  WL_TRY(wl_reduction_create(&tr->setup.problem.model->phi, tr->setup.problem.model->phi.size,
                             &r->reduction));
  WL_TRY(wl_reduction_reserve(&r->reduction, r->batch));
  for (int64_t b = 0; b < r->batches; b++) r->episode[b] = -1;
  WL_TRY(wl_unit_create(tr->setup.problem.model, tr->setup.problem.tasks[0], &r->unit));
  return wl_unroll_ws_create(tr->setup.problem.model, tr->setup.problem.tasks[0], &r->spec, true,
                             tr->setup.threads, &r->ws);
}

wl_status wl_replay_create(const wl_trainer *tr, wl_replay **out) {
  wl_replay *r = NULL;
  *out = NULL;
  const wl_replay_keys keys = wl_schema_replay(tr->setup.config);
  if (!(keys.capacity > 0)) return WL_OK;
  WL_TRY(WL_NEW(r, 1));
  read_options(tr, &keys, r);
  wl_status status = check_options(tr);
  if (status == WL_OK) status = create_store(tr, &keys, r);
  if (status == WL_OK) status = allocate(tr, r);
  if (status != WL_OK) wl_replay_destroy(&r);
  *out = r;
  return status;
}

void wl_replay_destroy(wl_replay **replay) {
  wl_replay *r = *replay;
  if (!r) return;
  wl_replay_store_destroy(&r->store);
  wl_reduction_clear(&r->reduction);
  void *const owned[] = {r->episode, r->count, r->first, r->start_loss, r->owner};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_unit_destroy(&r->unit);
  wl_unroll_ws_destroy(&r->ws);
  wl_free(r);
  *replay = NULL;
}

/* ---- Points ---------------------------------------------------------------------------------- */

/* Makes the rank `owner` the owner of a place. Allocates memory for the points of the place on this
 * rank only if this rank is the owner. */
static wl_status own_place(wl_replay *r, int64_t place, int owner, int rank) {
  r->owner[place] = owner;
  return wl_replay_store_own(r->store, place, owner == rank);
}

wl_status wl_replay_open(wl_replay *r, const wl_trainer *tr) {
  /* if the training uses replay, all units begin and end their episodes together */
  const int64_t episode = tr->state->plan->clock[0].episode;
  r->current = episode % r->batches;
  r->episode[r->current] = episode;
  r->failure.code = WL_OK;
  for (int64_t u = 0; u < r->units; u++) {
    const int64_t place = r->current * r->units + u;
    r->count[place] = 0;
    r->start_loss[place] = 0.0;
    WL_TRY(own_place(r, place, tr->state->plan->owner[u], wl_comm_rank(tr->setup.comm)));
  }
  return WL_OK;
}

void wl_replay_keep(wl_replay *r, const wl_trainer *tr, int64_t u, const wl_unit *unit) {
  const int64_t place = r->current * r->units + u;
  if (unit->t % r->stride != 0 || unit->t >= tr->state->plan->clock[u].horizon ||
      r->failure.code != WL_OK)
    return;
  wl_failure_keep(&r->failure, wl_replay_store_put(r->store, place, unit->t / r->stride,
                                                   unit->theta, unit->state));
  r->count[place] = unit->t / r->stride + 1;
}

/* Sums the tables of all ranks element by element, as 64-bit integers. The sum is exact,
 * because each element is written by one rank and has only zero bits on all other ranks. */
wl_status wl_replay_share(wl_replay *r, wl_trainer *tr) {
  const int64_t first = r->current * r->units;
  WL_TRY(wl_comm_agree(tr->setup.comm, wl_failure_raise(&r->failure)));
  for (int64_t u = 0; u < r->units; u++) {
    const wl_unit *unit = tr->state->unit[u];
    if (!unit) continue;
    if (unit->stopped) r->count[first + u] = 0;
    else r->start_loss[first + u] = unit->start_loss;
  }
  WL_TRY(wl_comm_sum_int64(tr->setup.comm, r->count + first, (size_t)r->units));
  return wl_comm_sum_int64(tr->setup.comm, (int64_t *)(void *)(r->start_loss + first),
                           (size_t)r->units);
}

/* ---- Passes ---------------------------------------------------------------------------------- */

/* Computes r->first, which contains for each place the number of points in all earlier places. */
static void find_places(wl_replay *r) {
  for (int64_t p = 0; p < r->batches * r->units; p++) r->first[p + 1] = r->first[p] + r->count[p];
}

/* Finds point number `index` of the whole buffer: sets *place to the place that contains the point,
 * and *point to the number of the point in this place. */
static void locate(const wl_replay *r, int64_t index, int64_t *place, int64_t *point) {
  int64_t low = 0, high = r->batches * r->units;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    if (r->first[middle] <= index) low = middle;
    else high = middle;
  }
  *place = low;
  *point = index - r->first[low];
}

/* A window to replay. The window starts at point number `point` of the place `place`, in pass
 * number `pass`. The pass is part of the random stream, so different passes draw different
 * minibatches. */
typedef struct wl_replay_point {
  int64_t place, point, pass;
} wl_replay_point;

static wl_status run_point(wl_replay *r, wl_trainer *tr, wl_replay_point at, double *vector,
                           bool *finite) {
  const int64_t place = at.place, point = at.point;
  const int64_t episode = r->episode[place / r->units];
  const int64_t length = wl_plan_horizon(&tr->state->plan->setting, episode, 0);
  wl_unit *unit = r->unit;
  wl_window_result result;
  unit->episode = (wl_episode){tr->setup.problem.seed, WL_SPACE_TRAIN, episode, place % r->units};
  unit->t = point * r->stride;
  unit->horizon = length;
  unit->draw = (at.pass + 1) << 32;
  unit->start_loss = r->start_loss[place];
  unit->stopped = false;
  WL_TRY(wl_replay_store_get(r->store, place, point, unit->theta, unit->state));
  const int64_t left = length - unit->t, steps = left < r->spec.steps ? left : r->spec.steps;
  memset(vector, 0, (size_t)r->reduction.vector * sizeof *vector);
  WL_TRY(wl_window_run(r->ws, unit, steps, &(wl_window_options){.phi_grad = vector}, &result));
  *finite = result.finite;
  vector[r->reduction.width + WL_SUM_META_LOSS] = result.meta_loss;
  return WL_OK;
}

/* A mini-batch of windows. The mean meta-gradient of the windows of a mini-batch determines one
 * update of phi. */
typedef struct wl_replay_batch {
  /* [count] for each window, the index in the whole buffer of the point at which the window
   * starts */
  const int64_t *order;
  int64_t count, pass;
} wl_replay_batch;

static wl_status run_points(wl_replay *r, wl_trainer *tr, const wl_replay_batch *b, int64_t *own) {
  *own = 0;
  wl_unroll_set_phi(r->ws, tr->state->phi);
  for (int64_t i = 0; i < b->count; i++) {
    int64_t place, point;
    locate(r, b->order[i], &place, &point);
    if (!wl_replay_store_owns(r->store, place)) continue;
    WL_TRY(run_point(r, tr, (wl_replay_point){place, point, b->pass},
                     wl_reduction_vector(&r->reduction, *own), &r->reduction.counted[*own]));
    (*own)++;
  }
  return WL_OK;
}

/* Runs one mini-batch of windows and updates all groups of phi except the initialisation. If a rank
 * must end the meta-step early, sets *left to true and does not update phi. */
static wl_status run_batch(wl_replay *r, wl_trainer *tr, const wl_replay_batch *b,
                           wl_meta_report *report, bool *left) {
  int64_t own = 0;
  const wl_status status = run_points(r, tr, b, &own);
  double flags[2] = {status != WL_OK, wl_interruption_asked(&tr->interruption)};
  wl_exact_sum sum = wl_reduction_sum(&r->reduction, status == WL_OK ? own : 0, b->count);
  sum.flags = flags;
  sum.n_flags = 2;
  WL_TRY(wl_comm_exact_sum(tr->setup.comm, &sum));
  if (flags[0] > 0) return wl_comm_agree(tr->setup.comm, status);
  *left = flags[1] > 0;
  if (*left) return WL_OK;
  const int64_t counted = sum.n_counted;
  tr->state->skipped += b->count - counted;
  wl_trainer_update(tr, &r->reduction, counted, WL_OUTER_ALL & ~(1u << WL_OUTER_INITIALISATION),
                    report);
  if (counted > 0)
    report->meta_loss = r->reduction.sum[r->reduction.width + WL_SUM_META_LOSS] / (double)counted;
  return WL_OK;
}

/* Runs one pass: runs one window from every point of the buffer, in a newly drawn order of the
 * points. */
static wl_status run_pass(wl_replay *r, wl_trainer *tr, int64_t epoch, int64_t *order,
                          wl_meta_report *report, bool *left) {
  const int64_t total = r->first[r->batches * r->units];
  const wl_stream stream = {tr->setup.problem.seed,         WL_FOR_REPLAY,   WL_SPACE_TRAIN,
                            (uint64_t)tr->state->meta_step, (uint64_t)epoch, 0};
  wl_rng_permutation(stream, total, order);
  for (int64_t i = 0; i < total && !*left; i += r->batch) {
    const wl_replay_batch b = {order + i, total - i < r->batch ? total - i : r->batch,
                               tr->state->meta_step * r->epochs + epoch};
    WL_TRY(run_batch(r, tr, &b, report, left));
  }
  return WL_OK;
}

wl_status wl_replay_run(wl_replay *r, wl_trainer *tr, wl_meta_report *report, bool *left) {
  const int64_t total = wl_replay_points(r);
  int64_t *order = NULL;
  find_places(r);
  wl_status status = wl_comm_agree(tr->setup.comm, WL_NEW(order, total + 1));
  for (int64_t e = 0; status == WL_OK && !*left && e < r->epochs; e++)
    status = run_pass(r, tr, e, order, report, left);
  wl_free(order);
  return status;
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

bool wl_replay_lasts(const wl_replay *r) { return r && r->batches > 1; }

wl_replay_tables wl_replay_state(wl_replay *r) {
  return (wl_replay_tables){.places = r->batches * r->units,
                            .batches = r->batches,
                            .width = r->n + r->state,
                            .episode = r->episode,
                            .count = r->count,
                            .start_loss = r->start_loss};
}

int64_t wl_replay_points(const wl_replay *r) {
  int64_t total = 0;
  for (int64_t p = 0; p < r->batches * r->units; p++) total += r->count[p];
  return total;
}

static wl_status fetch_place(const wl_replay *r, int64_t place, wl_real *points) {
  const int64_t width = r->n + r->state;
  for (int64_t j = 0; j < r->count[place]; j++)
    WL_TRY(wl_replay_store_get(r->store, place, j, points + j * width, points + j * width + r->n));
  return WL_OK;
}

/* A rank that cannot read the points of a place still sends a message, because rank 0 waits for
 * this message. The last statement of the function reports the failure on all ranks. */
wl_status wl_replay_gather(wl_replay *r, const wl_trainer *tr, wl_real *points) {
  const int rank = wl_comm_rank(tr->setup.comm);
  const int64_t width = r->n + r->state;
  wl_real *parcel = NULL;
  wl_status read = WL_OK;
  wl_status status =
      wl_comm_agree(tr->setup.comm, WL_NEW(parcel, rank == 0 ? 1 : r->capacity * width));
  if (status != WL_OK) {
    wl_free(parcel);
    return status;
  }
  for (int64_t p = 0; status == WL_OK && p < r->batches * r->units; p++) {
    const size_t bytes = (size_t)(r->count[p] * width) * sizeof(wl_real);
    const bool mine = wl_replay_store_owns(r->store, p);
    if (mine && read == WL_OK) read = fetch_place(r, p, rank == 0 ? points : parcel);
    if (mine && rank != 0 && bytes > 0) status = wl_comm_send(tr->setup.comm, parcel, bytes, 0);
    if (!mine && rank == 0 && bytes > 0)
      status = wl_comm_receive(tr->setup.comm, points, bytes, (int)r->owner[p]);
    if (rank == 0) points += r->count[p] * width;
  }
  wl_free(parcel);
  return wl_comm_agree(tr->setup.comm, status != WL_OK ? status : read);
}

int wl_replay_new_owner(const wl_trainer *tr, int64_t place) {
  return (int)(place % wl_comm_size(tr->setup.comm));
}

wl_status wl_replay_restore(wl_replay *r, const wl_trainer *tr, int64_t place,
                            const wl_real *points) {
  const int64_t width = r->n + r->state;
  WL_CHECK(r->count[place] <= r->capacity);
  WL_TRY(own_place(r, place, wl_replay_new_owner(tr, place), wl_comm_rank(tr->setup.comm)));
  for (int64_t j = 0; wl_replay_store_owns(r->store, place) && j < r->count[place]; j++)
    WL_TRY(wl_replay_store_put(r->store, place, j, points + j * width, points + j * width + r->n));
  return WL_OK;
}

double wl_replay_reals(const wl_replay *r) {
  return (double)(r->batches * r->units) * (double)r->capacity * (double)(r->n + r->state);
}

double wl_replay_memory(const wl_replay *r, const wl_trainer *tr) {
  const int64_t places = r->batches * r->units, size = wl_comm_size(tr->setup.comm);
  return wl_replay_store_bytes(r->store, (places + size - 1) / size);
}
