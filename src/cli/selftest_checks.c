/* selftest_checks.c - implements the checks of `warploom selftest`. Each check runs this program on
 * small jobs, as a user does, and compares results:
 *
 * - Initial states: on every machine, the digest of the state at the start of a training must equal
 *   the recorded digest.
 * - Invariances: a run on 2 threads, a run on 2 ranks and a run that was stopped and resumed must
 *   end with the same digest as an uninterrupted run on 1 rank and 1 thread.
 * - Kernels, for each instruction set of the processor: the meta-loss and the norm of the
 *   meta-gradient must agree with the float64 program. Meta-gradients must agree with central
 *   differences.
 * - Files: checkpoint, trained optimizer and evaluation must be readable, and a damaged byte must
 *   be detected. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "cli/child.h"
#include "cli/float64_program.h"
#include "cli/selftest_impl.h"

enum { DIGEST_SIZE = WL_SELFTEST_DIGEST, LINE_SIZE = 4096, ARGUMENTS = 64, LIMIT = 120, STEPS = 3 };

/* The configuration of a small training, which takes less than a second. */
typedef struct job {
  const char *name, *text;
  /* recorded digest of the initial state; NULL if the digest is not recorded */
  const char *initial;
} job;

static const job jobs[] = {
    {"LSTM",
     "seed: 11\n"
     "task: {family: mlp, data: synthetic, side: 8, widths: [8], activation: tanh, batch: 16}\n"
     "rule: {name: lstm, hidden: [20, 20], preprocessing: log, output_scale: 0.1, through_inputs: true}\n"
     "episode: {steps: 20}\n"
     "window: {steps: 10, order: second}\n"
     "outer: {steps: 3, units: 4, learning_rate: 1e-3}\n"
     "trajectory: {every: 0}\n",
     "9a035f0bfc318089"},
    {"Meta-SGD, warp layers",
     "seed: 12\n"
     "task: {family: sinusoid, frequency: fixed, shots: 5, widths: [16, 16], activation: tanh, warp: [scale, "
     "linear]}\n"
     "rule: {name: sgd, rate: 1}\n"
     "precondition: {name: diagonal, initial_range: [1e-3, 1e-2]}\n"
     "initialisation: {name: maml}\n"
     "episode: {steps: 3}\n"
     "window: {steps: 3, weights: last, batch: fresh, order: second}\n"
     "outer: {steps: 3, units: 5, every: episode, learning_rate: 1e-3}\n"
     "trajectory: {every: 0}\n",
     "0ba59c6d2442f85a"},
    {"controller, NRES",
     "seed: 13\n"
     "task: {family: mlp, data: digits, widths: [8], activation: relu, batch: 16}\n"
     "rule: {name: controller}\n"
     "episode: {steps: [20, 40], stagger: true}\n"
     "window: {steps: 10}\n"
     "estimator: {name: nres, sigma: 0.03}\n"
     "outer: {steps: 3, units: 4, learning_rate: 1e-3}\n"
     "trajectory: {every: 0}\n",
     NULL}};
enum { JOBS = sizeof jobs / sizeof *jobs };
_Static_assert((int)JOBS <= (int)WL_SELFTEST_JOBS, "wl_selftest must have space for the digest of each job");

/* ---- Processes ---------------------------------------------------------------------------------- */

static wl_verdict fail(wl_selftest *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static wl_verdict fail(wl_selftest *s, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(s->detail, sizeof s->detail, format, arguments);
  va_end(arguments);
  return WL_FAILED;
}

/* Finds the last line of a file that contains `word`, and copies this line without its newline to
 * line [LINE_SIZE]. Returns false if no line contains `word`. */
static bool last_line(const char *path, const char *word, char *line) {
  char next[LINE_SIZE];
  bool found = false;
  FILE *const file = fopen(path, "r");
  if (!file) return false;
  while (fgets(next, sizeof next, file)) {
    next[strcspn(next, "\n")] = '\0';
    if (!next[0] || !strstr(next, word)) continue;
    memcpy(line, next, sizeof next);
    found = true;
  }
  fclose(file);
  return found;
}

typedef struct process {
  bool launched; /* true if the launcher starts the program with two ranks */
  int expected;  /* exit code with which the process must end */
  char output[PATH_MAX + 32], errors[PATH_MAX + 32];
} process;

static wl_verdict explain(wl_selftest *s, const process *p, const char *command, int code) {
  char line[LINE_SIZE] = "";
  if (code == WL_CHILD_LATE)
    return fail(s, "the subcommand %s did not end within %d s; see its messages in %s", command, LIMIT, p->errors);
  if (!last_line(p->errors, "error", line)) last_line(p->errors, "", line);
  return fail(s, "the subcommand %s ended with exit code %d instead of %d: %.200s; see its messages in %s", command, code, p->expected,
              line, p->errors);
}

/* Runs `program` with the given words, whose last is NULL, and checks the exit code. */
static wl_verdict run(wl_selftest *s, process *p, const char *program, ...) {
  char *argv[ARGUMENTS];
  int count = 0, code = 0;
  for (char *const *word = s->launcher; p->launched && *word; word++) argv[count++] = *word;
  const int command = count + 1;
  argv[count++] = (char *)program;
  va_list words;
  va_start(words, program);
  do argv[count] = va_arg(words, char *);
  while (argv[count++] && count < ARGUMENTS);
  va_end(words);
  snprintf(p->output, sizeof p->output, "%s/%02d.out", s->folder, ++s->processes);
  snprintf(p->errors, sizeof p->errors, "%s/%02d.err", s->folder, s->processes);
  const wl_child child = {.argv = argv, .output = p->output, .errors = p->errors, .seconds = LIMIT};
  if (wl_child_run(&child, &code) != WL_OK) return fail(s, "%s", wl_last_error());
  return code == p->expected ? WL_PASSED : explain(s, p, argv[command], code);
}

/* ---- Trainings ---------------------------------------------------------------------------------- */

/* Describes how a job is trained. */
typedef struct training {
  const char *program;
  const char *name;   /* name of the run directory in the folder for temporary files */
  /* number of threads of a rank, and number of meta-steps (outer.steps); a negative number means
   * the constant STEPS */
  int threads, steps;
  int stop_after;     /* value of --stop-after; 0 means that the training runs to its end */
  bool resume, launched;
} training;

static void path_in(const wl_selftest *s, char path[PATH_MAX], const char *name) {
  snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 128, s->folder, name);
}

static wl_verdict write_configuration(wl_selftest *s, const job *j, char path[PATH_MAX]) {
  char name[32];
  snprintf(name, sizeof name, "job-%d.yaml", (int)(j - jobs));
  path_in(s, path, name);
  FILE *const file = fopen(path, "w");
  const bool written = file && fputs(j->text, file) >= 0;
  if (!file || fclose(file) != 0 || !written) return fail(s, "the configuration %s cannot be written", path);
  return WL_PASSED;
}

/* Checks that the launcher started one program with two ranks. The launcher of another MPI library
 * would start two programs with one rank each. */
static wl_verdict check_ranks(wl_selftest *s, const process *p) {
  char line[LINE_SIZE];
  if (!last_line(p->errors, "on 1 rank", line)) return WL_PASSED;
  return fail(
      s,
      "the launcher %s started separate programs of one rank, so it belongs to another MPI library than this "
      "program; use --launch to name the launcher of this program's MPI library, for example --launch 'mpirun "
      "-n 2'",
      s->launcher[0]);
}

/* Runs a training of the job. The training prints the line "digest <16 hex digits> step <number>",
 * which is copied to digest [DIGEST_SIZE]. */
static wl_verdict train(wl_selftest *s, const job *j, training t, char *digest) {
  char config[PATH_MAX], run_folder[PATH_MAX], output[PATH_MAX + 8], threads[32], steps[32],
      stop[32], line[LINE_SIZE];
  process p = {.launched = t.launched, .expected = t.stop_after ? WL_TRY_AGAIN : 0};
  if (write_configuration(s, j, config) != WL_PASSED) return WL_FAILED;
  path_in(s, run_folder, t.name);
  snprintf(output, sizeof output, "output=%s", run_folder);
  snprintf(threads, sizeof threads, "threads=%d", t.threads);
  snprintf(steps, sizeof steps, "outer.steps=%d", t.steps < 0 ? STEPS : t.steps);
  snprintf(stop, sizeof stop, "--stop-after=%d", t.stop_after ? t.stop_after : STEPS + 1);
  const wl_verdict ended =
      run(s, &p, t.program ? t.program : s->program, "train", config, "--set", output, "--set",
          threads, "--set", steps, stop, t.resume ? "--resume" : NULL, NULL);
  if (t.launched && check_ranks(s, &p) != WL_PASSED) return WL_FAILED;
  if (ended != WL_PASSED) return ended;
  if (!last_line(p.output, "digest ", line) || strlen(line) >= DIGEST_SIZE)
    return fail(s, "the training printed no digest; see its output in %s", p.output);
  snprintf(digest, DIGEST_SIZE, "%.63s", line);
  return WL_PASSED;
}

/* ---- Initial states and invariances --------------------------------------------------------------- */

static wl_verdict initial_state(wl_selftest *s, const void *what) {
  const job *const j = what;
  char digest[DIGEST_SIZE], expected[DIGEST_SIZE];
  if (train(s, j, (training){.name = "initial", .threads = 1}, digest) != WL_PASSED)
    return WL_FAILED;
  snprintf(expected, sizeof expected, "digest %s step 0", j->initial);
  if (strcmp(digest, expected) != 0) return fail(s, "the initial state has %s, but the recorded digest is %s", digest, j->initial);
  snprintf(s->detail, sizeof s->detail, "%s", digest);
  return WL_PASSED;
}

/* Runs the training `other` of a job and compares its digest with the digest of the job's training
 * on one rank and one thread. */
static wl_verdict same_digest(wl_selftest *s, const job *j, training other) {
  char digest[DIGEST_SIZE], *const plain = s->plain[j - jobs];
  if (!plain[0] &&
      train(s, j, (training){.name = "plain", .threads = 1, .steps = -1}, plain) != WL_PASSED)
    return WL_FAILED;
  if (train(s, j, other, digest) != WL_PASSED) return WL_FAILED;
  if (strcmp(plain, digest) != 0)
    return fail(s, "the training ended with %s, but on one rank and one thread without a stop it ended with %s", digest, plain);
  snprintf(s->detail, sizeof s->detail, "%s", digest);
  return WL_PASSED;
}

static wl_verdict two_threads(wl_selftest *s, const void *what) {
  return same_digest(s, what, (training){.name = "threads", .threads = 2, .steps = -1});
}

static wl_verdict two_ranks(wl_selftest *s, const void *what) {
  if (s->launcher[0])
    return same_digest(s, what,
                       (training){.name = "ranks", .threads = 1, .steps = -1, .launched = true});
  snprintf(s->detail, sizeof s->detail, "%s", s->no_launcher);
  return WL_SKIPPED;
}

static wl_verdict stop_and_resume(wl_selftest *s, const void *what) {
  char digest[DIGEST_SIZE];
  training t = {.name = "stopped", .threads = 1, .steps = -1, .stop_after = 1};
  if (train(s, what, t, digest) != WL_PASSED) return WL_FAILED;
  t.stop_after = 0, t.resume = true, t.threads = 2;
  return same_digest(s, what, t);
}

/* ---- Kernels -------------------------------------------------------------------------------------- */

/* Meta-loss and norm of the meta-gradient in the first meta-step of a run. */
typedef struct first_step {
  double meta_loss, gradient_norm;
} first_step;

static wl_verdict read_first_step(wl_selftest *s, const char *name, first_step *out) {
  char folder[PATH_MAX], path[PATH_MAX + 32];
  path_in(s, folder, name);
  snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
  json_t *const line = json_load_file(path, JSON_DISABLE_EOF_CHECK, NULL);
  const json_t *const loss = json_object_get(line, "meta_loss"), *const norm = json_object_get(
                                                                     line, "gradient_norm");
  const bool complete = json_is_number(loss) && json_is_number(norm);
  *out = (first_step){json_number_value(loss), json_number_value(norm)};
  json_decref(line);
  return complete ? WL_PASSED : fail(s, "the first line of %s does not have the numbers meta_loss and "
                                        "gradient_norm", path);
}

static double relative(double a, double b) { return fabs(a - b) / fabs(b); }

/* Compares the first meta-step of a training in float32 with the same meta-step in float64. The
 * training in float32 uses the kernels of one instruction set. Rounding errors are about 1e-6 of
 * the norm of the meta-gradient. */
static wl_verdict against_float64(wl_selftest *s, const char *isa) {
  const double tolerance = 1e-4;
  char program64[PATH_MAX], digest[DIGEST_SIZE];
  first_step single, twice;
  if (!wl_float64_program_find(program64))
    return fail(s, "the float64 program warploom64 is not installed; install Warploom again");
  if (train(s, &jobs[0],
            (training){.program = program64, .name = "float64", .threads = 1, .steps = -1},
            digest) ||
      train(s, &jobs[0], (training){.name = isa, .threads = 1, .steps = -1}, digest) ||
      read_first_step(s, "float64", &twice) || read_first_step(s, isa, &single))
    return WL_FAILED;
  const double loss = relative(single.meta_loss, twice.meta_loss);
  const double norm = relative(single.gradient_norm, twice.gradient_norm);
  if (!(loss <= tolerance && norm <= tolerance))
    return fail(
        s,
        "the relative differences from float64 are %.1e for the meta-loss and %.1e for the norm of the "
        "meta-gradient; at most %.0e is accepted",
        loss, norm, tolerance);
  snprintf(s->detail, sizeof s->detail, "relative difference from float64: meta-loss %.0e, norm of the "
                                        "meta-gradient %.0e", loss,
           norm);
  return WL_PASSED;
}

static wl_verdict differences(wl_selftest *s, const job *j) {
  char config[PATH_MAX], line[LINE_SIZE];
  process p = {0};
  if (write_configuration(s, j, config) != WL_PASSED) return WL_FAILED;
  if (run(s, &p, s->program, "check", config, "--directions", "1", "--set", "task.widths=[4]",
          "--set", "window.steps=3", NULL) != WL_PASSED)
    return WL_FAILED;
  if (!last_line(p.output, "All passed", line))
    return fail(s, "the subcommand check did not print 'All passed'; see its output in %s", p.output);
  return WL_PASSED;
}

/* Checks the kernels of one instruction set: compares float32 with float64, and meta-gradients with
 * central differences. */
static wl_verdict kernel_check(wl_selftest *s, const void *what) {
  const char *const isa = wl_isa_name(*(const wl_isa *)what);
  const char *const before = getenv("WARPLOOM_ISA");
  char *const kept = before ? strdup(before) : NULL;
  setenv("WARPLOOM_ISA", isa, 1);
  wl_verdict verdict = against_float64(s, isa);
  for (int i = 0; i < 2 && verdict == WL_PASSED; i++) verdict = differences(s, &jobs[i]);
  if (kept) setenv("WARPLOOM_ISA", kept, 1);
  else unsetenv("WARPLOOM_ISA");
  free(kept);
  return verdict;
}

/* ---- Files ---------------------------------------------------------------------------------------- */

/* Damages a file: inverts the bits of the byte in the middle. */
static wl_verdict damage(wl_selftest *s, const char *path) {
  FILE *const file = fopen(path, "r+");
  if (!file) return fail(s, "the file %s cannot be opened", path);
  fseek(file, 0, SEEK_END);
  const long middle = ftell(file) / 2;
  fseek(file, middle, SEEK_SET);
  const int byte = fgetc(file);
  fseek(file, middle, SEEK_SET);
  const bool written = byte != EOF && fputc(byte ^ 0xff, file) != EOF;
  return fclose(file) == 0 && written ? WL_PASSED : fail(s, "the file %s cannot be changed", path);
}

static wl_verdict files(wl_selftest *s, const void *what) {
  char folder[PATH_MAX], optimizer[PATH_MAX], curves[PATH_MAX], checkpoint[PATH_MAX + 64],
      digest[DIGEST_SIZE];
  process p = {0}, damaged = {.expected = WL_ERR_DATA};
  path_in(s, folder, "files");
  path_in(s, optimizer, "trained.h5");
  path_in(s, curves, "curves.h5");
  snprintf(checkpoint, sizeof checkpoint, "%s/checkpoints/step-%08d.h5", folder, STEPS);
  if (train(s, what, (training){.name = "files", .threads = 1, .steps = -1}, digest) ||
      run(s, &p, s->program, "export", folder, "--output", optimizer, NULL) ||
      run(s, &p, s->program, "eval", optimizer, "--steps", "5", "--seeds", "2", "--units", "1",
          "--tune-units", "1", "--no-picture", "--output", curves, NULL) ||
      run(s, &p, s->program, "info", folder, "--verify", NULL) ||
      run(s, &p, s->program, "info", optimizer, "--verify", NULL) ||
      run(s, &p, s->program, "info", curves, "--verify", NULL) || damage(s, checkpoint))
    return WL_FAILED;
  if (run(s, &damaged, s->program, "info", folder, "--verify", NULL) != WL_PASSED) return WL_FAILED;
  snprintf(s->detail, sizeof s->detail,
           "checkpoint, optimizer and evaluation were read back, and a damaged byte was detected");
  return WL_PASSED;
}

/* ---- All ------------------------------------------------------------------------------------------ */

static void report_job(wl_selftest *s, const job *j, const char *which, wl_selftest_check check) {
  char name[96];
  snprintf(name, sizeof name, "%s: %s", j->name, which);
  wl_selftest_report(s, name, check, j);
}

void wl_selftest_all(wl_selftest *s) {
  for (int i = 0; i < JOBS; i++) {
    if (jobs[i].initial) report_job(s, &jobs[i], "initial state", initial_state);
    report_job(s, &jobs[i], "1 and 2 threads", two_threads);
    report_job(s, &jobs[i], "1 and 2 ranks", two_ranks);
    report_job(s, &jobs[i], "stop and resume", stop_and_resume);
  }
  for (wl_isa isa = WL_ISA_BASELINE; isa <= wl_isa_widest(); isa++) {
    char name[64];
    snprintf(name, sizeof name, "kernels %s: float64, differences", wl_isa_name(isa));
    wl_selftest_report(s, name, kernel_check, &isa);
  }
  wl_selftest_report(s, "files: write, read and verify", files, &jobs[0]);
}
