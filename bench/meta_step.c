/* meta_step.c - measures the time of complete meta-steps of a configuration. The script meta_step.py compares this
 * program with JAX and PyTorch.
 *
 *   [mpirun -n 2] bench_meta_step CONFIG [KEY=VALUE ...]
 *
 * Runs the same meta-steps as `warploom train`, but writes no files. A meta-step computes the windows of all units,
 * sums their contributions exactly, and updates phi by the outer optimizer. The program uses the protocol of
 * versus.py. After the first meta-step, the program prints `ready` and the version of Warploom. Then it answers these
 * words on standard input:
 *
 * - `go`: Runs meta-steps for about a second and prints the mean time of a meta-step in seconds.
 * - `memory`: Prints the peak memory of the first meta-step in bytes, minus the memory for the parameters and rule
 *   states of the units.
 * - `step`: Runs one meta-step and prints its time in seconds.
 * - `subnormals`: Prints how many numbers in the parameters and rule states of the units are subnormal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/float_state.h"
#include "train/schema.h"
#include "train/trainer.h"
#include "usage.h"

/* Returns the current time in seconds. If VERSUS_CLOCK is `cpu`, the time is the CPU time of this process, otherwise
 * it is wall time. */
static double seconds_now(void) {
  const char *const clock = getenv("VERSUS_CLOCK");
  struct timespec now;
  if (!clock || strcmp(clock, "cpu") != 0) return wl_seconds();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Runs `count` meta-steps and stores the mean time of a meta-step, in seconds, in *seconds. */
static wl_status run(wl_trainer *trainer, int64_t count, double *seconds) {
  const double start = seconds_now();
  for (int64_t i = 0; i < count; i++) {
    wl_meta_report report;
    wl_meta_outcome outcome;
    WL_TRY(wl_trainer_meta_step(trainer, &(wl_meta_request){0}, &outcome, &report));
  }
  *seconds = (seconds_now() - start) / (double)count;
  return WL_OK;
}

/* Returns how many bytes the parameters (theta) and rule states of this rank's units occupy. These arrays remain
 * allocated between meta-steps. */
static double unit_bytes(const wl_trainer *trainer) {
  const wl_trainer_state *s = wl_state_of(trainer);
  double bytes = 0;
  for (int64_t u = 0; u < s->plan->units; u++)
    if (s->unit[u])
      bytes += (double)wl_unit_bytes(wl_setup_of(trainer)->problem.model, s->unit[u]->task,
                                     &s->unit[u]->shape);
  return bytes;
}

static int64_t subnormals_in(const wl_real *values, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++) found += fpclassify(values[i]) == FP_SUBNORMAL;
  return found;
}

/* Returns how many numbers are subnormal in the parameters (theta) and rule states of this rank's units. */
static double subnormals(const wl_trainer *trainer) {
  const wl_trainer_state *s = wl_state_of(trainer);
  const wl_model *const model = wl_setup_of(trainer)->problem.model;
  int64_t found = 0;
  for (int64_t u = 0; u < s->plan->units; u++)
    for (int f = 0; s->unit[u] && f < WL_UNIT_FIELDS; f++) {
      const wl_unit_field *const field = &wl_unit_fields[f];
      if (field->extent != WL_UNIT_THETA && field->extent != WL_UNIT_STATE) continue;
      found +=
          subnormals_in(wl_unit_field_data(field, s->unit[u]),
                        wl_unit_field_count(field, model, s->unit[u]->task, &s->unit[u]->shape));
    }
  return (double)found;
}

/* Returns the value of the field `key` of /proc/self/status in bytes, or 0 if the system does not report this field.
 * The field VmRSS is the resident memory at present, and VmHWM is the peak of the resident memory since the last
 * reset. */
static double memory(const char *which) {
  char line[256];
  double bytes = 0;
  FILE *const file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, which, strlen(which)) == 0)
      bytes = 1024.0 * strtod(line + strlen(which) + 1, NULL);
  if (file) fclose(file);
  return bytes;
}

/* Resets the peak of the resident memory to its present value. */
static void mark_memory(void) {
  FILE *const file = fopen("/proc/self/clear_refs", "w");
  if (!file) return;
  fputs("5", file);
  fclose(file);
}

static wl_status first(wl_trainer *trainer, double *bytes) {
  double seconds = 0;
  mark_memory();
  const double before = memory("VmRSS");
  WL_TRY(run(trainer, 1, &seconds));
  *bytes = memory("VmHWM") - before - unit_bytes(trainer);
  if (wl_comm_rank(wl_setup_of(trainer)->comm) == 0)
    printf("ready warploom %s on %s, %s\n", wl_build_version(), wl_build_processor(),
           wl_build_blas());
  fflush(stdout);
  return WL_OK;
}

typedef enum request { END, GO, MEMORY, STEP, SUBNORMALS } request;

/* Reads the next request on rank 0 and sends it to every rank. */
static wl_status next_request(wl_comm *comm, request *out) {
  char line[32] = "";
  *out = END;
  if (wl_comm_rank(comm) == 0 && fgets(line, sizeof line, stdin))
    *out = strcmp(line, "memory\n") == 0       ? MEMORY
           : strcmp(line, "step\n") == 0       ? STEP
           : strcmp(line, "subnormals\n") == 0 ? SUBNORMALS
                                               : GO;
  return wl_comm_bcast(comm, out, sizeof *out, 0);
}

/* Runs meta-steps for about a second and stores the mean time of a meta-step, in seconds, in *seconds. The time of the
 * first meta-step determines how many more meta-steps are run. If the first meta-step takes less than a second, its
 * time is not part of the mean. */
static wl_status measure(wl_trainer *trainer, double *seconds) {
  WL_TRY(run(trainer, 1, seconds));
  double count = *seconds < 1.0 ? rint(1.0 / *seconds) : 0.0;
  WL_TRY(wl_comm_bcast(wl_setup_of(trainer)->comm, &count, sizeof count, 0));
  return count > 0 ? run(trainer, (int64_t)count, seconds) : WL_OK;
}

static wl_status answer(wl_trainer *trainer, double bytes) {
  request asked = END;
  WL_TRY(next_request(wl_setup_of(trainer)->comm, &asked));
  while (asked != END) {
    double value = bytes;
    if (asked == GO) WL_TRY(measure(trainer, &value));
    if (asked == STEP) WL_TRY(run(trainer, 1, &value));
    if (asked == SUBNORMALS) value = subnormals(trainer);
    if (wl_comm_rank(wl_setup_of(trainer)->comm) == 0) printf("%.9e\n", value);
    fflush(stdout);
    WL_TRY(next_request(wl_setup_of(trainer)->comm, &asked));
  }
  return WL_OK;
}

static wl_status serve(wl_comm *comm, int argc, char **argv) {
  wl_config *config = NULL;
  wl_trainer *trainer = NULL;
  double bytes = 0;
  wl_override *overrides = NULL;
  wl_status status = WL_NEW(overrides, argc);
  for (int i = 2; status == WL_OK && i < argc; i++)
    overrides[i - 2] = (wl_override){.kind = WL_OVERRIDE_LINE, .text = argv[i]};
  if (status == WL_OK) status = wl_config_read(argv[1], wl_schema(), overrides, argc - 2, &config);
  wl_free(overrides);
  if (status == WL_OK) status = wl_trainer_create(config, comm, &trainer);
  status = wl_comm_agree(comm, status);
  if (status == WL_OK) status = first(trainer, &bytes);
  if (status == WL_OK) status = answer(trainer, bytes);
  wl_trainer_destroy(&trainer);
  wl_config_destroy(&config);
  return status;
}

static const char usage[] =
    "usage: echo go | [mpirun -n 2] bench_meta_step CONFIG [KEY=VALUE ...]\n"
    "For each `go` on standard input, prints the seconds of a meta-step of the configuration without files. For\n"
    "`memory`, prints its bytes. bench/meta_step.py compares these figures with other programs.\n";

int main(int argc, char **argv) {
  wl_float_state of_the_system;
  wl_float_state_enter(&of_the_system); /* use the same floating-point state as warploom */
  wl_comm *comm = NULL;
  const bool asked = argc > 1 && strcmp(argv[1], "--help") == 0;
  if (asked || argc < 2) return print_usage(usage, asked);
  wl_status status = wl_comm_start(&argc, &argv, &comm);
  if (status == WL_OK) status = serve(comm, argc, argv);
  if (status != WL_OK) fprintf(stderr, "bench_meta_step: %s\n", wl_last_error());
  if (status != WL_OK && comm) wl_comm_abort(comm, (int)status);
  wl_comm_finish(&comm);
  return (int)status;
}
