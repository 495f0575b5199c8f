/* optimizer_step.c - one step: g~ = P g, (u, s) = rule(g~, theta, s, t), theta += rate (u - weight_decay theta). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/optimizer_impl.h"
#include "base/float_state.h"

/* The caller's arrays of a step: one array for each tensor of the run, or one array for all tensors. */
typedef struct parts {
  const char *function; /* for messages */
  int count;
  const wl_tensor_step *part; /* [count] */
  bool whole;                 /* part[0] holds all tensors, one after the other */
} parts;

/* The place of a part in the run. `columns` is 0 unless the part is a matrix that the caller holds with exchanged
 * axes. */
typedef struct place {
  int64_t offset, size, rows, columns;
} place;

static place place_of(const wl_optimizer_run *run, const parts *given, int i) {
  if (given->whole) return (place){.size = run->n};
  const wl_tensor_entry *const t = &run->layout.tensors[i];
  const bool exchanged = given->part[i].transposed && t->ndim == 2;
  return (place){t->offset, t->size, t->shape[0], exchanged ? t->shape[1] : 0};
}

enum { HIGH = 16, WIDE = 64 }; /* size of a tile */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* A tile of a matrix that the caller holds with exchanged axes: rows [i, i_end), columns [j, j_end). */
typedef struct tile {
  int64_t i, i_end, j, j_end;
} tile;

/* Returns the tile after `t`, row by row of tiles. After the last tile, i is the number of rows. */
static tile tile_after(const place *at, const tile *t) {
  const int64_t j = t->j_end < at->columns ? t->j_end : 0, i = j > 0 ? t->i : t->i_end;
  return (tile){i, least(i + HIGH, at->rows), j, least(j + WIDE, at->columns)};
}

/* Prefetches the elements of tile `t` in `theirs` [columns][rows] and in `ours` [rows][columns]. The lines of a tile
 * are too far apart for the processor's prefetcher. */
static void fetch(const place *at, const tile *t, const float *theirs, const wl_real *ours) {
  enum { LINE = 16 };
  for (int64_t j = t->j; t->i < at->rows && j < t->j_end; j++)
    for (int64_t i = t->i; i < t->i_end; i += LINE) __builtin_prefetch(&theirs[j * at->rows + i]);
  for (int64_t i = t->i; i < t->i_end; i++)
    for (int64_t j = t->j; j < t->j_end; j += LINE) __builtin_prefetch(&ours[i * at->columns + j]);
}

/* Copies a part of the caller into the run's array `to`. */
static void take_part(const place *at, const float *from, wl_real *to) {
  to += at->offset;
  if (at->columns == 0) {
    for (int64_t i = 0; i < at->size; i++) to[i] = from[i];
    return;
  }
  tile next = tile_after(at, &(tile){0});
  while (next.i < at->rows) {
    const tile t = next;
    next = tile_after(at, &t);
    fetch(at, &next, from, to);
    for (int64_t i = t.i; i < t.i_end; i++)
      for (int64_t j = t.j; j < t.j_end; j++) to[i * at->columns + j] = from[j * at->rows + i];
  }
}

/* Adds the update to one part: theta += rate (u - weight_decay theta). */
static void add_part(const place *at, const wl_tensor_step *part, const wl_real *u) {
  const float rate = part->rate, decay = part->weight_decay;
  float *const theta = part->theta;
  u += at->offset;
  if (at->columns == 0) {
    for (int64_t i = 0; i < at->size; i++) theta[i] += rate * ((float)u[i] - decay * theta[i]);
    return;
  }
  tile next = tile_after(at, &(tile){0});
  while (next.i < at->rows) {
    const tile t = next;
    next = tile_after(at, &t);
    fetch(at, &next, theta, u);
    for (int64_t j = t.j; j < t.j_end; j++)
      for (int64_t i = t.i; i < t.i_end; i++) {
        float *const x = &theta[j * at->rows + i];
        *x += rate * ((float)u[i * at->columns + j] - decay * *x);
      }
  }
}

/* Returns the index of the first element that is not finite, or n. x - x is 0 for finite x only; the first loop is
 * vectorised. */
static int64_t first_nonfinite(int64_t n, const wl_real *x) {
  enum { CHUNK = 4096 };
  for (int64_t first = 0; first < n; first += CHUNK) {
    const int64_t end = least(first + CHUNK, n);
    int bad = 0;
    for (int64_t i = first; i < end; i++) bad |= !(x[i] - x[i] == 0);
    for (int64_t i = first; bad && i < end; i++)
      if (!isfinite(x[i])) return i;
  }
  return n;
}

/* Copies the gradients to the run. The padding of g is zero after its allocation and never changes. */
static wl_status take_gradients(wl_optimizer_run *run, const parts *given) {
  for (int i = 0; i < given->count; i++) {
    const place at = place_of(run, given, i);
    take_part(&at, given->part[i].gradient, run->g);
  }
  const int64_t bad = first_nonfinite(run->n, run->g);
  if (bad == run->n) return WL_OK;
  int tensor = 0;
  while (tensor + 1 < run->layout.count && run->layout.tensors[tensor + 1].offset <= bad) tensor++;
  char name[64];
  if (given->whole) snprintf(name, sizeof name, "gradient[%lld]", (long long)bad);
  else snprintf(name, sizeof name, "the gradient of tensor %d", tensor);
  return WL_FAIL(WL_ERR_DATA, "%s: %s is not finite at step %lld; nothing was changed",
                 given->function, name, (long long)run->t);
}

static void compute_update(const wl_optimizer *o, wl_optimizer_run *run) {
  const wl_real *input = run->g;
  if (o->precondition) {
    const wl_gradient in = {.t = run->t,
                            .n = run->n,
                            .g = run->g,
                            .theta = run->theta,
                            .factor = run->factor,
                            .before = run->before};
    wl_precondition_find_factor(o->precondition, &in, run->factor, run->scratch);
    wl_precondition_apply(o->precondition, o->precondition_phi, &in, run->pg, run->scratch);
    if (o->precondition->reads_before)
      memcpy(run->before, run->pg, (size_t)run->n * sizeof *run->before);
    input = run->pg;
  }
  const wl_inner_step step = {.t = run->t,
                              .horizon = run->horizon,
                              .loss = run->loss,
                              .blocks = run->blocks,
                              .g = input,
                              .theta = run->theta,
                              .s_in = run->state,
                              .s_out = run->state,
                              .u = run->u};
  wl_rule_step(o->rule, run->rule_ws, &step);
  run->loss = NAN;
}

static wl_status check_update(wl_optimizer_run *run, const parts *given) {
  const int64_t bad = first_nonfinite(run->n, run->u);
  if (bad == run->n) return WL_OK;
  const long long t = (long long)run->t;
  wl_optimizer_run_clear(run);
  return WL_FAIL(WL_ERR_DATA,
                 "%s: the update of parameter %lld is not finite at step %lld; theta was not "
                 "changed, and the run has ended",
                 given->function, (long long)bad, t);
}

static wl_status take_step(wl_optimizer *o, const parts *given) {
  wl_optimizer_run *run = &o->run;
  WL_TRY(take_gradients(run, given));
  for (int i = 0; run->theta && i < given->count; i++) {
    const place at = place_of(run, given, i);
    take_part(&at, given->part[i].theta, run->theta);
  }
  compute_update(o, run);
  WL_TRY(check_update(run, given));
  for (int i = 0; i < given->count; i++) {
    const place at = place_of(run, given, i);
    add_part(&at, &given->part[i], run->u);
  }
  run->t++;
  return WL_OK;
}

static bool overlap(const float *a, const float *b, int64_t n) {
  const uintptr_t first = (uintptr_t)a, second = (uintptr_t)b, bytes = (uintptr_t)n * sizeof *a;
  return first < second ? second - first < bytes : first - second < bytes;
}

static wl_status check_part(const wl_optimizer_run *run, const parts *given, int i) {
  const wl_tensor_step *const part = &given->part[i];
  WL_TRY(wl_optimizer_check_array(part->gradient, given->function, "gradient"));
  WL_TRY(wl_optimizer_check_array(part->theta, given->function, "theta"));
  if (overlap(part->gradient, part->theta, place_of(run, given, i).size))
    return WL_FAIL(WL_ERR_USAGE, "%s: `gradient` and `theta` overlap; give two arrays",
                   given->function);
  if (isfinite(part->rate) && isfinite(part->weight_decay)) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "%s: rate %g and weight decay %g of tensor %d: give finite numbers",
                 given->function, (double)part->rate, (double)part->weight_decay, i);
}

static wl_status step_parts(wl_optimizer *o, const parts *given) {
  wl_float_state callers;
  for (int i = 0; i < given->count; i++) WL_TRY(check_part(&o->run, given, i));
  wl_float_state_enter(&callers);
  const wl_status status = take_step(o, given);
  wl_float_state_leave(&callers);
  return status;
}

wl_status wl_optimizer_step(wl_optimizer *o, int64_t n, const float *gradient, float *theta) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_step"));
  if (o->run.n == 0 || n != o->run.n)
    return WL_FAIL(
        WL_ERR_USAGE,
        "wl_optimizer_step: n is %lld, but the run was started over %lld parameters (0: no run); "
        "call wl_optimizer_start first",
        (long long)n, (long long)o->run.n);
  const wl_tensor_step all = {.gradient = gradient, .theta = theta, .rate = 1};
  return step_parts(o, &(parts){"wl_optimizer_step", 1, &all, true});
}

wl_status wl_optimizer_step_tensors(wl_optimizer *o, int count, const wl_tensor_step *tensors) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_step_tensors"));
  if (!tensors || count != o->run.layout.count || o->run.n == 0)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_step_tensors: %d tensors, but the run was started over %d (0: no "
                   "run); call wl_optimizer_start_tensors first",
                   tensors ? count : 0, o->run.layout.count);
  return step_parts(o, &(parts){"wl_optimizer_step_tensors", count, tensors, false});
}
