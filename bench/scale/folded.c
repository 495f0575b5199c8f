/* folded.c - measures the time of each kind of work of a unit. A simulated run then advances its clock by this time
 * instead of doing the work.
 *
 * The linker replaces the calls that scale.cmake lists by calls of the functions in this file. Environment variables
 * select one of three modes:
 *
 * - If no variable is set, the program computes everything as `warploom` does, with the same bits.
 * - WL_FOLD_MEASURE=FILE: The program computes everything, and writes the median and the relative spread of the times
 *   of each kind of work to FILE. The spread is the median absolute deviation, multiplied by 1.4826 and divided by
 *   the median. The median is insensitive to short periods in which the processor does other work.
 * - WL_FOLD=FILE: The program computes no units. Instead, each window and each start of a unit advances the simulated
 *   clock by the seconds in FILE, multiplied by a random factor with the spread in FILE. The program assigns units to
 *   ranks and sends messages as `warploom` does.
 *
 * FILE consists of lines of three types:
 *
 *   window <family>-<n> <seconds of an inner step> <relative deviation>
 *   start  <family>-<n> <seconds> <relative deviation>
 *   rest   -            <seconds of a meta-step outside windows and starts> <relative deviation>
 *
 * In SMPI, a nonblocking reduction sends from every rank to every rank. This file therefore replaces such a reduction
 * by a blocking reduction, which begins when the program waits for the result. The reduction then does not overlap
 * with computing, so the simulated efficiency is lower than the real efficiency. */
#include <math.h>
#include <mpi.h>
#include <smpi/smpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "task/dataset.h"
#include "train/trainer.h"

enum { KINDS = 64, NAME = 64, SAMPLES = 4096 };

/* Contains the measured times of one kind of work, such as the windows of one task. */
typedef struct kind {
  char what[NAME];
  double *samples; /* measured seconds, one number for each call; at most SAMPLES numbers */
  int count;       /* number of samples, or 1 if the times were read from FILE */
  double usual, spread;
} kind;

static kind kinds[KINDS];
static int n_kinds;
static double inside;      /* sum of the measured seconds of windows and starts in this meta-step */
static int64_t meta_steps; /* done */

static const char *table(void) { return getenv("WL_FOLD"); }
static const char *measured(void) { return getenv("WL_FOLD_MEASURE"); }

/* Returns the CPU time of the calling thread in seconds. This time excludes periods in which other threads or processes
 * use the core. */
static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the table ---- */

static kind *find(const char *what) {
  int i = 0;
  while (i < n_kinds && strcmp(kinds[i].what, what) != 0) i++;
  if (i == n_kinds && n_kinds < KINDS) snprintf(kinds[n_kinds++].what, NAME, "%s", what);
  return i < KINDS ? &kinds[i] : NULL;
}

static kind *find_for(const char *what, const wl_task *task) {
  char name[NAME];
  snprintf(name, sizeof name, "%s %s-%lld", what, task->family->name, (long long)task->n);
  return find(name);
}

/* Adds a measured time to the samples of one kind of work. The first meta-step is not counted, because it creates
 * workspaces and fills caches. */
static void note(kind *k, double seconds) {
  if (!k || meta_steps == 0 || k->count == SAMPLES) return;
  if (!k->samples) k->samples = calloc(SAMPLES, sizeof *k->samples);
  if (k->samples) k->samples[k->count++] = seconds;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, by_size);
  return values[count / 2];
}

/* The factor 1.4826 converts the median absolute deviation to the standard deviation of a normal distribution. */
static void summarise(kind *k) {
  k->usual = median(k->samples, k->count);
  for (int i = 0; i < k->count; i++) k->samples[i] = fabs(k->samples[i] - k->usual);
  k->spread = 1.4826 * median(k->samples, k->count) / k->usual;
}

static void write_table(const char *path) {
  FILE *const out = fopen(path, "w");
  if (!out) return;
  for (int i = 0; i < n_kinds; i++) {
    if (kinds[i].count == 0) continue;
    summarise(&kinds[i]);
    fprintf(out, "%s %.6e %.4f\n", kinds[i].what, kinds[i].usual, kinds[i].spread);
    free(kinds[i].samples);
  }
  fclose(out);
}

static void read_table(void) {
  char what[NAME / 4], whose[NAME / 2], name[NAME];
  double usual, spread;
  FILE *const in = n_kinds == 0 ? fopen(table(), "r") : NULL;
  while (in && fscanf(in, "%15s %31s %lf %lf", what, whose, &usual, &spread) == 4) {
    snprintf(name, sizeof name, "%s %s", what, whose);
    kind *const k = find(name);
    if (!k) break;
    k->count = 1;
    k->usual = usual;
    k->spread = spread;
  }
  if (in) fclose(in);
}

/* ---- charging ---- */

/* Returns a random number with approximately a standard normal distribution. The number depends only on the unit, its
 * episode and its step. The number is the sum of twelve uniform numbers from the generator splitmix64, minus 6. */
static double near_normal(const wl_unit *unit) {
  uint64_t x = (uint64_t)unit->episode.index * 0x9e3779b97f4a7c15u +
               (uint64_t)unit->episode.unit * 0xbf58476d1ce4e5b9u + (uint64_t)unit->t;
  double sum = -6.0;
  for (int i = 0; i < 12; i++) {
    uint64_t z = (x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    sum += (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
  return sum;
}

static wl_status charge(const char *what, const wl_unit *unit, double times) {
  read_table();
  const kind *const k = find_for(what, unit->task);
  if (!k || k->count == 0)
    return WL_FAIL(WL_ERR_CONFIG, "%s has no line '%s %s-%lld': measure the same tasks first",
                   table(), what, unit->task->family->name, (long long)unit->task->n);
  smpi_execute(times * k->usual * fmax(0.1, 1.0 + k->spread * near_normal(unit)));
  return WL_OK;
}

/* ---- the functions that replace calls of the program ---- */

/* The declaration uses the type of the replaced function, so the compiler reports an error if the arguments of that
 * function change. */
#define REAL(result, name, ...)                         \
  extern __typeof__(name) __real_##name, __wrap_##name; \
  result __wrap_##name(__VA_ARGS__)

REAL(wl_status, wl_window_run, wl_unroll_ws *ws, wl_unit *unit, int64_t steps,
     const wl_window_options *options, wl_window_result *result) {
  if (table()) {
    WL_TRY(charge("window", unit, (double)steps));
    if (options && options->phi_grad) options->phi_grad[0] += 1.0;
    unit->t += steps;
    *result = (wl_window_result){1.0, 1.0, 1.0, 1.0, steps, true};
    return WL_OK;
  }
  const double start = cpu_seconds();
  const wl_status status = __real_wl_window_run(ws, unit, steps, options, result);
  const double seconds = cpu_seconds() - start;
  inside += seconds;
  if (measured()) note(find_for("window", unit->task), seconds / (double)steps);
  return status;
}

REAL(wl_status, wl_unit_start, wl_unroll_ws *ws, wl_unit *unit, const wl_episode *episode) {
  if (table()) {
    unit->episode = *episode;
    unit->t = 0;
    return charge("start", unit, 1.0);
  }
  const double start = cpu_seconds();
  const wl_status status = __real_wl_unit_start(ws, unit, episode);
  inside += cpu_seconds() - start;
  if (measured()) note(find_for("start", unit->task), cpu_seconds() - start);
  return status;
}

REAL(wl_status, wl_trainer_meta_step, wl_trainer *tr, const wl_meta_request *request,
     wl_meta_outcome *outcome, wl_meta_report *report) {
  const double start = cpu_seconds();
  inside = 0.0;
  const wl_status status = __real_wl_trainer_meta_step(tr, request, outcome, report);
  if (measured()) note(find("rest -"), cpu_seconds() - start - inside);
  meta_steps++;
  return status;
}

REAL(double, wl_outer_update, wl_outer *outer, int64_t meta_step, unsigned groups, double *gradient,
     double *phi) {
  if (table()) {
    read_table();
    const kind *const rest = find("rest -");
    smpi_execute(rest ? rest->usual : 0.0);
  }
  return __real_wl_outer_update(outer, meta_step, groups, gradient, phi);
}

/* A simulated run assigns the units to ranks with the same code as a real run. The real time of this function is added to the simulated
 * clock, because this time grows with the number of ranks. */
REAL(void, wl_plan_begin, wl_plan *plan) {
  const double start = cpu_seconds();
  __real_wl_plan_begin(plan);
  if (table()) smpi_execute(cpu_seconds() - start);
}

/* A simulated run does not allocate the memory that only a computed unit requires. The memory of one machine then
 * suffices for a thousand ranks. */
REAL(wl_status, wl_unit_create_with, const wl_model *model, const wl_task *task,
     const wl_unit_shape *shape, wl_unit **out) {
  if (!table()) return __real_wl_unit_create_with(model, task, shape, out);
  WL_TRY(WL_NEW(*out, 1));
  (*out)->task = task;
  (*out)->shape = (wl_unit_shape){0};
  return WL_OK;
}

REAL(wl_status, wl_unroll_ws_create, const wl_model *model, const wl_task *task,
     const wl_window_spec *spec, bool with_gradient, int threads, wl_unroll_ws **out) {
  if (!table()) return __real_wl_unroll_ws_create(model, task, spec, with_gradient, threads, out);
  return wl_alloc((void **)out, 1, 1);
}

REAL(void, wl_unroll_ws_destroy, wl_unroll_ws **ws) {
  if (!table()) {
    __real_wl_unroll_ws_destroy(ws);
    return;
  }
  wl_free(*ws);
  *ws = NULL;
}

/* Windows in a simulated run do not check whether a signal has requested a stop. This check would call MPI, and SMPI
 * would then run another rank in the middle of the window. */
REAL(void, wl_unroll_set_interrupt, wl_unroll_ws *ws, wl_interrupt asked, void *context) {
  (void)ws, (void)asked, (void)context;
}

REAL(void, wl_unit_copy, const wl_model *model, wl_unit *from, wl_unit *to) {
  if (!table()) __real_wl_unit_copy(model, from, to);
}

REAL(void, wl_unroll_set_phi, wl_unroll_ws *ws, const double *phi) {
  if (!table()) __real_wl_unroll_set_phi(ws, phi);
}

REAL(wl_status, wl_dataset_open, const wl_dataset_keys *keys, const wl_dataset **out) {
  static const wl_dataset shape = {.channels = 1,
                                   .rows = 14,
                                   .columns = 14,
                                   .pixels = 196,
                                   .classes = 10,
                                   .split = {{.count = 4096}, {.count = 1024}}};
  if (!table() || strcmp(keys->data, "synthetic") != 0)
    return __real_wl_dataset_open(keys, out);
  *out = &shape;
  return WL_OK;
}

REAL(void, wl_dataset_close, const wl_dataset **dataset) {
  if (!table()) __real_wl_dataset_close(dataset);
}

REAL(void, wl_comm_finish, wl_comm **comm) {
  if (measured()) write_table(measured());
  __real_wl_comm_finish(comm);
}

/* Returns the simulated time in seconds, or 0 before MPI has been initialised. */
REAL(double, wl_seconds, void) {
  int started = 0;
  MPI_Initialized(&started);
  return started ? MPI_Wtime() : 0.0;
}

/* ---- MPI functions that behave differently under SMPI ---- */

/* SMPI does not support threads. Each rank therefore uses only one thread, which also calls MPI. The function reports
 * the requested thread level as available. */
REAL(int, MPI_Init_thread, int *argc, char ***argv, int required, int *provided) {
  const int code = __real_MPI_Init_thread(argc, argv, required, provided);
  *provided = required;
  return code;
}

/* Contains the arguments of a reduction that the program has started but not yet computed. */
typedef struct posted {
  void *values;
  int count;
  MPI_Datatype type;
  MPI_Op op;
  MPI_Comm comm;
} posted;
enum { POSTED = 64 };
static posted waiting[POSTED];
static int n_waiting;

REAL(int, MPI_Iallreduce, const void *from, void *to, int count, MPI_Datatype type, MPI_Op op,
     MPI_Comm comm, MPI_Request *request) {
  if (from != MPI_IN_PLACE || n_waiting == POSTED)
    return __real_MPI_Iallreduce(from, to, count, type, op, comm, request);
  waiting[n_waiting++] = (posted){to, count, type, op, comm};
  *request = MPI_REQUEST_NULL;
  return MPI_SUCCESS;
}

/* Computes all reductions that the program has started. All ranks call MPI_Wait for the reductions in the same
 * order. */
REAL(int, MPI_Wait, MPI_Request *request, MPI_Status *status) {
  int code = MPI_SUCCESS;
  for (int i = 0; i < n_waiting && code == MPI_SUCCESS; i++)
    code = MPI_Allreduce(MPI_IN_PLACE, waiting[i].values, waiting[i].count, waiting[i].type,
                         waiting[i].op, waiting[i].comm);
  n_waiting = 0;
  return code == MPI_SUCCESS ? __real_MPI_Wait(request, status) : code;
}
