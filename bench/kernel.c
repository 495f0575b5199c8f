/* kernel.c - rate of the LSTM kernel as a share of this core's peak, the rate of OpenBLAS on the same shapes,
 * the kernel's accuracy, and the gain from a second thread.
 *
 * One chunk of 20 steps, hidden 20-20, one thread, thread CPU time, best and median. Every repeat measures all
 * figures one after the other; a share therefore divides figures of the same moment. A coordinate-step ("cs")
 * is 39.48 kFLOP (preprocessing on): forward, replay, sweep, weight gradient. */
#include <cblas.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/build_info.h"
#include "base/float_state.h"
#include "measure/peak.h"
#include "rule/lstm.h"
#include "rule/lstm_net.h"

extern const wl_lstm_kernel
    wl_lstm_kernel_reference; /* tests/unit/lstm_reference.c: double, one by one */

enum { STEPS = WL_CHUNK_STEPS, MAX_REPEATS = 101, ACCURACY_N = 2048 };
static const double MOST_ERROR =
    5e-6; /* largest accepted relative difference of a tensor between float32 and float64 */

typedef enum figure {
  PEAK,
  LIVE,
  REPLAY,
  BACKWARD,
  SINGLE_STEPS,
  LIVE_KEPT,
  BACKWARD_KEPT,
  SINGLE_KEPT,
  GEMM_40,
  GEMM_22,
  ONE_THREAD,
  TWO_THREADS,
  ONE_KEPT,
  TWO_KEPT,
  TWO_PEAKS,
  FIGURES
} figure;
static const char *const names[FIGURES] = {"FMA peak",
                                           "live forward",
                                           "replay, in cache",
                                           "backward: replay, sweep, weights",
                                           "backward, chunks of one step",
                                           "live forward, activations kept",
                                           "backward from activations",
                                           "backward from activations, one step",
                                           "sgemm, n x 80 x 40",
                                           "sgemm, n x 80 x 22",
                                           "one thread, recompute",
                                           "two threads, recompute",
                                           "one thread, activations",
                                           "two threads, activations",
                                           "FMA peak, two threads"};
static bool is_rate(figure f) { return f == PEAK || f >= GEMM_40; }

typedef struct bench {
  wl_lstm_net net;
  wl_rule rule;
  wl_rule_ws ws[2]; /* of one and of two threads */
  int64_t n, blocks, lanes;
  wl_real *phi, *g, *state, *lam, *mu, *u, *activations;
  double *phi_grad;
  float *a, *b, *c;
} bench;

static double seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static double cpu_seconds(void) { return seconds(CLOCK_THREAD_CPUTIME_ID); }

static void *take(size_t count, size_t size) {
  void *p = NULL;
  if (wl_alloc(&p, count, size) != WL_OK) {
    fprintf(stderr, "bench_kernel: %s\n", wl_last_error());
    exit(EXIT_FAILURE);
  }
  return p;
}

static void fill(uint64_t step, int64_t n, double spread, wl_real *out) {
  const wl_stream s = {.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK, .step = step};
  wl_rng_uniform(s, 0, n, -spread, spread, out);
}

static void setup(bench *b, int64_t n, wl_lstm_input input) {
  wl_lstm_net_shape(&b->net, input, 0, 2, (int64_t[]){20, 20});
  wl_lstm_net_scales(&b->net, 0, 1, 1, 1);
  b->rule = (wl_rule){.ops = &wl_rule_lstm,
                      .impl = &b->net,
                      .state_width = b->net.width,
                      .activations = wl_lstm_kernel_select()->activation_reals(&b->net)};
  b->n = n;
  b->blocks = wl_blocks(n);
  b->lanes = wl_pad(n);
  const size_t lanes = (size_t)b->lanes, width = (size_t)b->net.width;
  b->phi = take((size_t)b->net.parameters, sizeof *b->phi);
  b->g = take(STEPS * lanes, sizeof *b->g);
  b->u = take(lanes, sizeof *b->u);
  b->lam = take(lanes, sizeof *b->lam);
  b->state = take(lanes * width, sizeof *b->state);
  b->mu = take(lanes * width, sizeof *b->mu);
  b->activations = take((size_t)(STEPS * b->blocks * b->rule.activations), sizeof *b->activations);
  b->phi_grad = take((size_t)b->net.parameters, sizeof *b->phi_grad);
  b->a = take((size_t)n * 40, sizeof *b->a);
  b->b = take(80 * 40, sizeof *b->b);
  b->c = take((size_t)n * 80, sizeof *b->c);
  fill(1, b->net.parameters, 0.22, b->phi);
  fill(2, STEPS * b->lanes, 1, b->g);
  for (int i = 0; i < 2; i++) {
    b->ws[i] = (wl_rule_ws){.threads = i + 1};
    const wl_layout theta = {.size = n};
    if (wl_rule_lstm.ws_create(&b->rule, &theta, true, i + 1, &b->ws[i].impl) != WL_OK)
      exit(EXIT_FAILURE);
    wl_rule_lstm.pack(&b->rule, &b->ws[i], b->phi);
  }
}

static void destroy(bench *b) {
  for (int i = 0; i < 2; i++) wl_rule_lstm.ws_destroy(b->ws[i].impl);
  void *all[] = {b->phi,         b->g,        b->u, b->lam, b->state, b->mu,
                 b->activations, b->phi_grad, b->a, b->b,   b->c};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) wl_free(all[i]);
}

/* ---- Measurements --------------------------------------------------------------------------- */

static void start_state(bench *b) {
  const size_t bytes = (size_t)(b->lanes * b->net.width) * sizeof(wl_real);
  memset(b->state, 0, bytes);
  memset(b->mu, 0, bytes);
  fill(3, b->lanes, 1, b->lam);
}

/* The window's live steps; the state is updated in place. */
static void live(bench *b, wl_rule_ws *ws, bool kept) {
  const int64_t record = b->blocks * b->rule.activations;
  for (int64_t k = 0; k < STEPS; k++)
    wl_rule_step(&b->rule, ws,
                 &(wl_inner_step){.t = k,
                                  .blocks = b->blocks,
                                  .g = b->g + k * b->lanes,
                                  .s_in = b->state,
                                  .s_out = b->state,
                                  .u = b->u,
                                  .activations = kept ? b->activations + k * record : NULL});
}

/* The backward pass in chunks of `steps`, each from the current state or from the activations. */
static void backward(bench *b, wl_rule_ws *ws, int64_t steps, bool kept) {
  const int64_t record = b->blocks * b->rule.activations;
  for (int64_t k = STEPS - steps; k >= 0; k -= steps) {
    const wl_rule_chunk chunk = {
        .t0 = k,
        .steps = steps,
        .blocks = b->blocks,
        .g = b->g + k * b->lanes,
        .state = b->state,
        .lam = b->lam,
        .mu = b->mu,
        .activations = kept ? b->activations + k * record : NULL,
        .activations_before = kept && k > 0 ? b->activations + (k - 1) * record : NULL};
    wl_rule_lstm.backward(&b->rule, ws, &chunk, b->phi_grad);
  }
}

static double run_live(bench *b, bool kept) {
  start_state(b);
  const double start = cpu_seconds();
  live(b, &b->ws[0], kept);
  return cpu_seconds() - start;
}

/* Repeats the forward pass of the first few blocks, all in cache, as in the replay. */
static double run_replay(bench *b) {
  const int64_t few = b->blocks < WL_LSTM_GROUP ? b->blocks : WL_LSTM_GROUP;
  start_state(b);
  const double start = cpu_seconds();
  for (int64_t block = 0; block < b->blocks; block += few)
    for (int64_t k = 0; k < STEPS; k++)
      wl_rule_step(&b->rule, &b->ws[0],
                   &(wl_inner_step){.t = k,
                                    .blocks = few,
                                    .g = b->g + k * b->lanes,
                                    .s_in = b->state,
                                    .s_out = b->state,
                                    .u = b->u});
  return (cpu_seconds() - start) * (double)b->blocks / (double)((b->blocks + few - 1) / few * few);
}

static double run_backward(bench *b, int64_t steps, bool kept) {
  start_state(b);
  const double start = cpu_seconds();
  backward(b, &b->ws[0], steps, kept);
  return cpu_seconds() - start;
}

/* Million cs/s of a window, live and backward, by wall time. */
static double run_threads(bench *b, int threads, bool kept) {
  start_state(b);
  const double start = seconds(CLOCK_MONOTONIC);
  live(b, &b->ws[threads - 1], kept);
  backward(b, &b->ws[threads - 1], STEPS, kept);
  return 1e-6 * (double)b->n * STEPS / (seconds(CLOCK_MONOTONIC) - start);
}

/* GFLOP/s of two threads at once: the limit of two cores. Two hyperthreads of one core reach only the rate
 * of one thread. */
static double two_peaks(void) {
  double sum = 0.0;
#pragma omp parallel for num_threads(2) schedule(static, 1) reduction(+ : sum)
  for (int i = 0; i < 2; i++) sum += 1e-9 * wl_measure_peak();
  return sum;
}

/* GFLOP/s of sgemm [n][k] x [k][80]. */
static double run_gemm(bench *b, int k) {
  const double start = cpu_seconds();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)b->n, 80, k, 1, b->a, k, b->b, 80, 0,
              b->c, 80);
  return 160e-9 * (double)b->n * k / (cpu_seconds() - start);
}

/* ---- Accuracy ------------------------------------------------------------------------------- */

enum { TENSORS = 6 };
static const char *const tensor_names[TENSORS] = {"lstm1.weight", "lstm1.bias",    "lstm2.weight",
                                                  "lstm2.bias",   "output.weight", "output.bias"};

static double distance(const double *a, const double *b, int64_t n) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return sqrt(difference / norm);
}

/* Computes the window's gradient with the plain kernel, in double, group by group; lam and mu are initial values. */
static void reference_gradient(bench *b, double *out) {
  const wl_lstm_kernel *const plain = &wl_lstm_kernel_reference;
  void *const packed = take(plain->packed_bytes(&b->net), 1), *const scratch = take(
                                                                  plain->scratch_bytes(&b->net), 1);
  wl_real *const partial = take((size_t)b->net.parameters, sizeof *partial);
  plain->pack(&b->net, b->phi, packed);
  const wl_rule_chunk chunk = {.steps = STEPS,
                               .blocks = b->blocks,
                               .g = b->g,
                               .state = b->state,
                               .lam = b->lam,
                               .mu = b->mu};
  for (int64_t first = 0; first < b->blocks; first += WL_LSTM_GROUP) {
    const int64_t left = b->blocks - first;
    plain->backward(&b->net, packed, scratch, &chunk, first,
                    left < WL_LSTM_GROUP ? left : WL_LSTM_GROUP, partial);
    for (int64_t p = 0; p < b->net.parameters; p++) out[p] += (double)partial[p];
  }
  wl_free(packed);
  wl_free(scratch);
  wl_free(partial);
}

/* Relative error of each tensor of the meta-gradient against arithmetic in double. */
static void accuracy(wl_lstm_input input, double errors[TENSORS]) {
  bench b = {.n = 0};
  setup(&b, ACCURACY_N, input);
  double *const wanted = take((size_t)b.net.parameters, sizeof *wanted);
  start_state(&b);
  reference_gradient(&b, wanted);
  start_state(&b);
  backward(&b, &b.ws[0], STEPS, false);
  const wl_lstm_layer *const l = b.net.layer;
  const int64_t edges[TENSORS + 1] = {l[0].weight,     l[0].bias,         l[1].weight,
                                      l[1].bias,       b.net.head_weight, b.net.head_bias,
                                      b.net.parameters};
  for (int i = 0; i < TENSORS; i++)
    errors[i] = distance(b.phi_grad + edges[i], wanted + edges[i], edges[i + 1] - edges[i]);
  wl_free(wanted);
  destroy(&b);
}

/* ---- Report --------------------------------------------------------------------------------- */

/* Best and median of one figure: the highest rate or the lowest time is the best. */
typedef struct summary {
  double best, median;
} summary;

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static summary sum_of(summary a, summary b) {
  return (summary){a.best + b.best, a.median + b.median};
}

static summary summarise(figure what, double *values, int repeats) {
  qsort(values, (size_t)repeats, sizeof *values, ascending);
  return (summary){values[is_rate(what) ? repeats - 1 : 0], values[repeats / 2]};
}

/* Prints a line of the table and adds a member to `json`: nanoseconds, rate, share of the peak. */
static void report_time(FILE *out, json_t *json, const char *name, summary ns, double kflop,
                        double peak) {
  const double best = 1e3 * kflop / ns.best / peak, median = 1e3 * kflop / ns.median / peak;
  fprintf(out, "%-34s %7.1f /%7.1f ns/cs %7.3f /%7.3f M cs/s %5.1f /%5.1f %% of peak\n", name,
          ns.best, ns.median, 1e3 / ns.best, 1e3 / ns.median, 100 * best, 100 * median);
  json_object_set_new(json, name,
                      json_pack("{s:f, s:f, s:f, s:f}", "ns_best", ns.best, "ns_median", ns.median,
                                "share_best", best, "share_median", median));
}

static void report_ratio(FILE *out, json_t *json, const char *name, summary two, summary one) {
  const double best = two.best / one.best, median = two.median / one.median;
  fprintf(out, "%-34s %24.2f /%7.2f times\n", name, best, median);
  json_object_set_new(json, name, json_pack("{s:f, s:f}", "best", best, "median", median));
}

static void report_rates(FILE *out, json_t *json, const summary *s) {
  const double peak = s[PEAK].median;
  for (int i = GEMM_40; i <= GEMM_22; i++) {
    fprintf(out, "OpenBLAS %-25s %7.1f /%7.1f GFLOP/s %34.1f /%5.1f %% of peak\n", names[i],
            s[i].best, s[i].median, 100 * s[i].best / peak, 100 * s[i].median / peak);
    json_object_set_new(
        json, names[i],
        json_pack("{s:f, s:f}", "gflops_best", s[i].best, "gflops_median", s[i].median));
  }
  for (int i = ONE_THREAD; i <= TWO_KEPT; i++) {
    fprintf(out, "%-34s %24.3f /%7.3f M cs/s, wall clock\n", names[i], s[i].best, s[i].median);
    json_object_set_new(json, names[i],
                        json_pack("{s:f, s:f}", "mcs_best", s[i].best, "mcs_median", s[i].median));
  }
  report_ratio(out, json, "two threads against one, recompute", s[TWO_THREADS], s[ONE_THREAD]);
  report_ratio(out, json, "two threads against one, activations", s[TWO_KEPT], s[ONE_KEPT]);
  report_ratio(out, json, "two threads against one, FMA peak", s[TWO_PEAKS], s[PEAK]);
}

static void report(FILE *out, json_t *json, const bench *b, double values[FIGURES][MAX_REPEATS],
                   int repeats) {
  summary s[FIGURES];
  for (int i = 0; i < FIGURES; i++) s[i] = summarise((figure)i, values[i], repeats);
  const double in = (double)b->net.layer[0].in, peak = s[PEAK].median;
  const double forward = 2e-3 * (80 * (in + 20) + 80 * 40 + 20); /* kFLOP per cs */
  const double sweep = 2e-3 * (80 * 20 + 80 * 40), all = 3 * forward + sweep;
  const summary total = sum_of(s[LIVE], s[BACKWARD]), single = sum_of(s[LIVE], s[SINGLE_STEPS]);
  const summary rest = {s[BACKWARD].best - s[REPLAY].best, s[BACKWARD].median - s[REPLAY].median};
  fprintf(out,
          "%s; %s; %s\nkernel %s, n = %lld, %d steps, hidden 20-20, %d repeats, best / median\n",
          wl_build_processor(), wl_build_compiler(), wl_build_blas(), wl_lstm_kernel_select()->name,
          (long long)b->n, STEPS, repeats);
  fprintf(out, "%-34s %7.1f /%7.1f GFLOP/s\n", names[PEAK], s[PEAK].best, s[PEAK].median);
  json_object_set_new(json, names[PEAK],
                      json_pack("{s:f, s:f}", "gflops_best", s[PEAK].best, "gflops_median", peak));
  report_time(out, json, names[LIVE], s[LIVE], forward, peak);
  report_time(out, json, names[REPLAY], s[REPLAY], forward, peak);
  report_time(out, json, "sweep and weights (difference)", rest, forward + sweep, peak);
  report_time(out, json, names[BACKWARD], s[BACKWARD], all - forward, peak);
  report_time(out, json, "total, first order: recompute", total, all, peak);
  report_time(out, json, "total, second order: single steps", single, all, peak);
  report_time(out, json, names[LIVE_KEPT], s[LIVE_KEPT], forward, peak);
  report_time(out, json, names[BACKWARD_KEPT], s[BACKWARD_KEPT], forward + sweep, peak);
  report_time(out, json, "total, first order: activations", sum_of(s[LIVE_KEPT], s[BACKWARD_KEPT]),
              all, peak);
  report_time(out, json, "total, second order: activations", sum_of(s[LIVE_KEPT], s[SINGLE_KEPT]),
              all, peak);
  report_rates(out, json, s);
}

/* Returns whether every tensor is within MOST_ERROR. */
static bool report_accuracy(FILE *out, json_t *json, wl_lstm_input input) {
  double errors[TENSORS];
  bool good = true;
  json_t *const each = json_object();
  accuracy(input, errors);
  fprintf(out, "meta-gradient in float32 against float64, n = %d:", ACCURACY_N);
  for (int i = 0; i < TENSORS; i++) {
    fprintf(out, "%s %s %.1e", i ? "," : "", tensor_names[i], errors[i]);
    json_object_set_new(each, tensor_names[i], json_real(errors[i]));
    good = good && errors[i] <= MOST_ERROR;
  }
  fprintf(out, " (at most %.0e)\n", MOST_ERROR);
  json_object_set_new(json, "accuracy", each);
  return good;
}

static void measure(bench *b, double values[FIGURES][MAX_REPEATS], int repeats) {
  const double per_cs = 1e9 / ((double)b->n * STEPS);
  run_live(b, true);
  for (int i = 0; i < repeats; i++) {
    values[PEAK][i] = 1e-9 * wl_measure_peak();
    values[LIVE][i] = run_live(b, false) * per_cs;
    values[REPLAY][i] = run_replay(b) * per_cs;
    values[BACKWARD][i] = run_backward(b, STEPS, false) * per_cs;
    values[SINGLE_STEPS][i] = run_backward(b, 1, false) * per_cs;
    values[LIVE_KEPT][i] = run_live(b, true) * per_cs;
    values[BACKWARD_KEPT][i] = run_backward(b, STEPS, true) * per_cs;
    values[SINGLE_KEPT][i] = run_backward(b, 1, true) * per_cs;
    values[GEMM_40][i] = run_gemm(b, 40);
    values[GEMM_22][i] = run_gemm(b, 22);
    values[ONE_THREAD][i] = run_threads(b, 1, false);
    values[TWO_THREADS][i] = run_threads(b, 2, false);
    values[ONE_KEPT][i] = run_threads(b, 1, true);
    values[TWO_KEPT][i] = run_threads(b, 2, true);
    values[TWO_PEAKS][i] = two_peaks();
  }
}

/* ---- Command line --------------------------------------------------------------------------- */

typedef struct arguments {
  int64_t n;
  int repeats;
  wl_lstm_input input;
  const char *json; /* file for the figures, "-" for standard output; NULL: none */
} arguments;

static int usage(FILE *out, int status) {
  fprintf(
      out,
      "usage: bench_kernel [OPTION]...\n"
      "Rate of the LSTM kernel as a share of the FMA peak of this core, by phase and policy.\n"
      "  --coordinates N                 coordinates, 1 to 10000000 (16000)\n"
      "  --repeats R                     1 to %d rounds, all figures in turn (7)\n"
      "  --preprocessing none|log|paper  input of the LSTM (log)\n"
      "  --json FILE                     write the figures as JSON; - for standard output\n"
      "  --help                          this text\n"
      "WARPLOOM_ISA=avx2|baseline takes a lesser instruction set. Exit status 1: a tensor of the\n"
      "meta-gradient differs from float64 by more than 5e-6.\n",
      MAX_REPEATS);
  return status;
}

/* Sets a; returns -1 if the program continues, otherwise the exit status. */
static int parse(int argc, char **argv, arguments *a) {
  static const struct option options[] = {{"coordinates", required_argument, NULL, 'n'},
                                          {"repeats", required_argument, NULL, 'r'},
                                          {"preprocessing", required_argument, NULL, 'p'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  static const char *const inputs[] = {
      [WL_LSTM_RAW] = "none", [WL_LSTM_LOG] = "log", [WL_LSTM_PAPER] = "paper"};
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    int input = WL_LSTM_RAW;
    switch (c) {
      case 'n': a->n = atoll(optarg); break;
      case 'r': a->repeats = atoi(optarg); break;
      case 'j': a->json = optarg; break;
      case 'h': return usage(stdout, 0);
      case 'p':
        while (input <= WL_LSTM_PAPER && strcmp(inputs[input], optarg) != 0) input++;
        if (input > WL_LSTM_PAPER) return usage(stderr, 64);
        a->input = (wl_lstm_input)input;
        break;
      default: return usage(stderr, 64);
    }
  }
  const bool sound = optind == argc && a->n >= 1 && a->n <= 10000000 && a->repeats >= 1 &&
                     a->repeats <= MAX_REPEATS;
  return sound ? -1 : usage(stderr, 64);
}

/* Writes the figures to the requested file; returns whether that succeeded. */
static bool write_json(const char *file, json_t *json) {
  if (!file) return true;
  const bool to_stdout = strcmp(file, "-") == 0;
  const int failed = to_stdout ? json_dumpf(json, stdout, JSON_INDENT(1))
                               : json_dump_file(json, file, JSON_INDENT(1));
  if (failed) fprintf(stderr, "bench_kernel: cannot write %s\n", file);
  return !failed;
}

int main(int argc, char **argv) {
  wl_float_state of_the_system;
  wl_float_state_enter(&of_the_system); /* as warploom does */
  arguments a = {.n = 16000, .repeats = 7, .input = WL_LSTM_LOG};
  const int status = parse(argc, argv, &a);
  if (status >= 0) return status;
  openblas_set_num_threads(1); /* its threads would spin during the next measurement */
  bench b = {.n = 0};
  static double values[FIGURES][MAX_REPEATS];
  setup(&b, a.n, a.input);
  measure(&b, values, a.repeats);
  FILE *const out = a.json && strcmp(a.json, "-") == 0 ? stderr : stdout;
  json_t *const json = json_pack(
      "{s:s, s:s, s:s, s:s, s:I, s:i, s:i}", "processor", wl_build_processor(), "compiler",
      wl_build_compiler(), "blas", wl_build_blas(), "kernel", wl_lstm_kernel_select()->name,
      "coordinates", (json_int_t)a.n, "steps", STEPS, "repeats", a.repeats);
  report(out, json, &b, values, a.repeats);
  const bool good = report_accuracy(out, json, a.input);
  const bool written = write_json(a.json, json);
  json_decref(json);
  destroy(&b);
  return !written ? 74 : good ? 0 : 1;
}
