/* folded.c - a unit's work, measured once and from then on charged to a simulated clock.
 *
 * The linker sends the calls named in scale.cmake through this file. Three ways to run:
 *
 *   (neither)            everything is computed as in the real program: same bits as under any MPI
 *   WL_FOLD_MEASURE=FILE computed too, and what each kind of work took on this processor is written:
 *                        the median, and the spread by the median distance from it, so that what else
 *                        the processor did now and then does not count
 *   WL_FOLD=FILE         no unit is computed: its windows and starts take the seconds of FILE, each
 *                        times a random factor of that spread; all else is the real program, messages
 *                        and planning included
 *
 *   window <family>-<n> <seconds of an inner step> <relative deviation>
 *   start  <family>-<n> <seconds> <relative deviation>
 *   rest   -            <seconds of a meta-step outside those> <relative deviation>
 *
 * The nonblocking reduction is posted where the program waits for it, because SMPI's own sends from
 * everyone to everyone: what overlaps in reality does not do so here, and the figures are on the safe side. */
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

/* One kind of work: what it took. */
typedef struct kind {
  char what[NAME];
  double *samples; /* [SAMPLES] seconds, while measuring */
  int count;       /* of them; 1 for a line of the table */
  double usual, spread;
} kind;

static kind kinds[KINDS];
static int n_kinds;
static double inside;      /* seconds of windows and starts in this meta-step, while measuring */
static int64_t meta_steps; /* done */

static const char *table(void) { return getenv("WL_FOLD"); }
static const char *measured(void) { return getenv("WL_FOLD_MEASURE"); }

/* The processor's time, not that of whoever else runs on it. */
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

/* The first meta-step makes workspaces and warms caches: it counts for nothing. */
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

/* 1.4826: from the median distance to the deviation of a normal distribution. */
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

/* Near normal: the sum of twelve uniform numbers, by splitmix64 of the unit and step alone. */
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

/* ---- the wrapped calls ---- */

/* The type is the wrapped function's own: a change of its arguments is an error here. */
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

/* Planning grows with the number of ranks: it is done, and takes what it takes. */
REAL(void, wl_plan_begin, wl_plan *plan) {
  const double start = cpu_seconds();
  __real_wl_plan_begin(plan);
  if (table()) smpi_execute(cpu_seconds() - start);
}

/* What only a computed unit needs is not there, so that a thousand ranks fit into one machine. */
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

/* Nobody interrupts a simulation. A look at messages inside a window would let SMPI run another rank there. */
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

/* Simulated seconds, once there are ranks. */
REAL(double, wl_seconds, void) {
  int started = 0;
  MPI_Initialized(&started);
  return started ? MPI_Wtime() : 0.0;
}

/* ---- MPI where SMPI differs ---- */

/* SMPI promises no threads; MPI is called from a rank's one thread alone. */
REAL(int, MPI_Init_thread, int *argc, char ***argv, int required, int *provided) {
  const int code = __real_MPI_Init_thread(argc, argv, required, provided);
  *provided = required;
  return code;
}

/* One that was started: its arguments. */
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

/* All that were posted: ranks wait for them in one order. */
REAL(int, MPI_Wait, MPI_Request *request, MPI_Status *status) {
  int code = MPI_SUCCESS;
  for (int i = 0; i < n_waiting && code == MPI_SUCCESS; i++)
    code = MPI_Allreduce(MPI_IN_PLACE, waiting[i].values, waiting[i].count, waiting[i].type,
                         waiting[i].op, waiting[i].comm);
  n_waiting = 0;
  return code == MPI_SUCCESS ? __real_MPI_Wait(request, status) : code;
}
