/* optimizer_step.c - computes one step of a run. The preconditioner P computes g~ = P g from the
 * gradient g. The rule computes its update u and its next state s from g~, theta, s and t. The step
 * then adds rate (u - weight_decay theta) to theta. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/optimizer_impl.h"
#include "base/float_state.h"

/* The caller's arrays of a step: one array for each tensor of the run, or one array for all tensors. */
typedef struct parts {
  const char *function; /* name of the called function, for messages */
  int count;
  const wl_tensor_step *part; /* [count] */
  bool whole;                 /* part[0] contains all tensors, one after the other */
} parts;

/* The position of one of the caller's arrays (parts) in the arrays of the run. `columns` is 0 if
 * the caller's array has the same order of axes as the run. If `columns` is positive, the caller's
 * array is the transpose of a matrix of the run. */
typedef struct place {
  int64_t offset, size, rows, columns;
} place;

static place place_of(const wl_optimizer_run *run, const parts *given, int i) {
  if (given->whole) return (place){.size = run->n};
  const wl_tensor_entry *const t = &run->layout.tensors[i];
  const bool exchanged = given->part[i].transposed && t->ndim == 2;
  return (place){t->offset, t->size, t->shape[0], exchanged ? t->shape[1] : 0};
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* A matrix that the caller stores with exchanged axes is copied in rectangles. The gradient and
 * theta use rectangles of EDGE rows and EDGE columns. The update uses rectangles of HIGH rows and
 * EDGE columns. Each column of a rectangle of the update occupies whole cache lines of theta.
 * Rectangles of other sizes were slower in measurements. */
enum { QUAD = 4, EDGE = 8, HIGH = 16 };
typedef float quad
    __attribute__((vector_size(QUAD * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef wl_real real_quad
    __attribute__((vector_size(QUAD * sizeof(wl_real)), aligned(sizeof(wl_real)), may_alias));

/* Exchanges the axes of a 4 x 4 matrix. */
static void exchange(quad v[QUAD]) {
  const quad ab0 = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5),
             ab2 = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
  const quad cd0 = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5),
             cd2 = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
  v[0] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
  v[1] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
  v[2] = __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5);
  v[3] = __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7);
}

/* Copies a rectangle of `theirs` [columns][rows] into `ours` [rows][columns]. */
static void take_block(const place *at, const float *theirs, wl_real *ours) {
  for (int j = 0; j < EDGE; j += QUAD)
    for (int i = 0; i < EDGE; i += QUAD) {
      quad v[QUAD];
      for (int k = 0; k < QUAD; k++) v[k] = *(const quad *)&theirs[(j + k) * at->rows + i];
      exchange(v);
      for (int k = 0; k < QUAD; k++)
        *(real_quad *)&ours[(i + k) * at->columns + j] = __builtin_convertvector(v[k], real_quad);
    }
}

/* Copies the caller's array of one part into the run's array `to`. */
static void take_part(const place *at, const float *from, wl_real *to) {
  const int64_t rows = at->rows, columns = at->columns;
  to += at->offset;
  if (columns == 0) {
    for (int64_t i = 0; i < at->size; i++) to[i] = from[i];
    return;
  }
  for (int64_t i = 0; i < rows; i += EDGE)
    for (int64_t j = 0; j < columns; j += EDGE)
      if (i + EDGE <= rows && j + EDGE <= columns)
        take_block(at, &from[j * rows + i], &to[i * columns + j]);
      else
        for (int64_t k = i; k < least(i + EDGE, rows); k++)
          for (int64_t l = j; l < least(j + EDGE, columns); l++)
            to[k * columns + l] = from[l * rows + k];
}

static float stepped(float theta, float u, const wl_tensor_step *part) {
  return theta + part->rate * (u - part->weight_decay * theta);
}

/* Adds a rectangle of the update u [rows][columns] to `theta` [columns][rows]. */
static void add_block(const place *at, const wl_tensor_step *part, const wl_real *u, float *theta) {
  float block[EDGE][HIGH];
  for (int j = 0; j < EDGE; j += QUAD)
    for (int i = 0; i < HIGH; i += QUAD) {
      quad v[QUAD];
      for (int k = 0; k < QUAD; k++)
        v[k] = __builtin_convertvector(*(const real_quad *)&u[(i + k) * at->columns + j], quad);
      exchange(v);
      for (int k = 0; k < QUAD; k++) *(quad *)&block[j + k][i] = v[k];
    }
  for (int j = 0; j < EDGE; j++) {
    float *const row = &theta[j * at->rows];
    for (int i = 0; i < HIGH; i++) row[i] = stepped(row[i], block[j][i], part);
  }
}

/* Adds the update to one part: theta += rate (u - weight_decay theta). */
static void add_part(const place *at, const wl_tensor_step *part, const wl_real *u) {
  const int64_t rows = at->rows, columns = at->columns;
  float *const theta = part->theta;
  u += at->offset;
  if (columns == 0) {
    for (int64_t i = 0; i < at->size; i++) theta[i] = stepped(theta[i], (float)u[i], part);
    return;
  }
  for (int64_t i = 0; i < rows; i += HIGH)
    for (int64_t j = 0; j < columns; j += EDGE)
      if (i + HIGH <= rows && j + EDGE <= columns)
        add_block(at, part, &u[i * columns + j], &theta[j * rows + i]);
      else
        for (int64_t k = i; k < least(i + HIGH, rows); k++)
          for (int64_t l = j; l < least(j + EDGE, columns); l++)
            theta[l * rows + k] = stepped(theta[l * rows + k], (float)u[k * columns + l], part);
}

/* Returns the index of the first element that is not finite, or n if all elements are finite. The
 * difference x - x is 0 only for finite x. The compiler can vectorise the first loop. */
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

/* Copies the gradients to the run. The padding of g is zero from its allocation on, because no
 * function writes to it. */
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
  return WL_FAIL(WL_ERR_USAGE, "%s: rate %g and weight decay %g of tensor %d must be finite",
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
        "wl_optimizer_step: n is %lld, but the run was started over %lld parameters (0 means that there is no run); "
        "call wl_optimizer_start first",
        (long long)n, (long long)o->run.n);
  const wl_tensor_step all = {.gradient = gradient, .theta = theta, .rate = 1};
  return step_parts(o, &(parts){"wl_optimizer_step", 1, &all, true});
}

wl_status wl_optimizer_step_tensors(wl_optimizer *o, int count, const wl_tensor_step *tensors) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_step_tensors"));
  if (!tensors || count != o->run.layout.count || o->run.n == 0)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_step_tensors: %d tensors are given, but the run has %d tensors (0 means that there is "
                   "no run); call wl_optimizer_start_tensors first",
                   tensors ? count : 0, o->run.layout.count);
  return step_parts(o, &(parts){"wl_optimizer_step_tensors", count, tensors, false});
}
