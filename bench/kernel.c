/* kernel.c - measures the multiply-add rate of the LSTM kernel as a fraction of this core's peak rate. The program
 * also measures three other quantities: the rate of OpenBLAS on the same matrix products, the error of the gradient
 * that the kernel computes, and the speed-up by a second thread.
 *
 * The kernel processes one chunk of 20 steps on one thread. The LSTM has two layers of 20 units. For each measured
 * time, the program prints the lowest and the median CPU time of the thread. Every repeat measures all values one
 * after another, so the numerator and the denominator of a fraction are measured shortly after each other. A
 * coordinate-step ("cs") is one inner step of one coordinate. With log preprocessing, a coordinate-step requires
 * 39,480 floating-point operations. These operations consist of two forward passes, the backward pass, and the
 * gradient of the weights. */
#include <cblas.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/float_state.h"
#include "base/statistic.h"
#include "measure/kernel_window.h"
#include "measure/peak.h"
#include "rule/lstm_net.h"

extern const wl_lstm_kernel
    wl_lstm_kernel_reference; /* the LSTM kernel of tests/unit/lstm_reference.c, which computes in double precision */

enum { STEPS = WL_WINDOW_STEPS, MAX_REPEATS = 101, ACCURACY_N = 2048 };
static const double MOST_ERROR =
    5e-6; /* largest accepted relative error of the float32 gradient of one tensor of phi */

typedef enum figure {
  PEAK,
  LIVE,
  AGAIN,
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
                                           "the same again, in cache",
                                           "backward: again, sweep, weights",
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

/* Contains one window that one thread computes, one window that two threads compute, and the matrices of the measured
 * products. */
typedef struct bench {
  wl_kernel_window one, two;
  float *a, *b, *c;
} bench;

static void check(wl_status status) {
  if (status == WL_OK) return;
  fprintf(stderr, "bench_kernel: %s\n", wl_last_error());
  exit(EXIT_FAILURE);
}

static void *take(size_t count, size_t size) {
  void *p = NULL;
  check(wl_alloc(&p, count, size));
  return p;
}

/* Creates a window and draws weights at which the gates of the LSTM are neither linear nor saturated. */
static void create_window(int64_t n, int threads, const char *preprocessing, wl_kernel_window *w) {
  check(wl_kernel_window_create(&(wl_kernel_setting){n, threads, preprocessing, INT64_MAX}, w));
  const wl_stream s = {.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK, .step = 1};
  wl_rng_uniform(s, 0, w->rule->phi.size, -0.22, 0.22, w->phi);
  wl_rule_pack(w->rule, w->ws, w->phi);
}

static void setup(bench *b, int64_t n, const char *preprocessing) {
  create_window(n, 1, preprocessing, &b->one);
  create_window(n, 2, preprocessing, &b->two);
  b->a = take((size_t)n * 40, sizeof *b->a);
  b->b = take(80 * 40, sizeof *b->b);
  b->c = take((size_t)n * 80, sizeof *b->c);
}

static void destroy(bench *b) {
  wl_kernel_window_destroy(&b->one);
  wl_kernel_window_destroy(&b->two);
  wl_free(b->a);
  wl_free(b->b);
  wl_free(b->c);
}

/* ---- Measurements --------------------------------------------------------------------------- */

static double run_live(wl_kernel_window *w, bool keep) {
  wl_kernel_window_reset(w);
  const double start = wl_thread_seconds();
  wl_kernel_window_forward(w, w->blocks, keep);
  return wl_thread_seconds() - start;
}

/* Repeats the forward pass of the first group of blocks as often as the window has groups. Returns the CPU time of all
 * repeats in seconds, rescaled to the number of blocks of the window. The data of the group remain in the cache, as in
 * the backward pass. */
static double run_again(wl_kernel_window *w) {
  const int64_t few = w->blocks < WL_LSTM_GROUP ? w->blocks : WL_LSTM_GROUP;
  wl_kernel_window_reset(w);
  const double start = wl_thread_seconds();
  for (int64_t block = 0; block < w->blocks; block += few) wl_kernel_window_forward(w, few, false);
  return (wl_thread_seconds() - start) * (double)w->blocks /
         (double)((w->blocks + few - 1) / few * few);
}

static double run_backward(wl_kernel_window *w, int64_t steps, bool kept) {
  wl_kernel_window_reset(w);
  const double start = wl_thread_seconds();
  wl_kernel_window_backward(w, steps, kept);
  return wl_thread_seconds() - start;
}

/* Returns how many million coordinate-steps per second of wall time the forward and backward pass of a window
 * compute. */
static double run_window(wl_kernel_window *w, bool keep) {
  return 1e-6 * (double)w->coordinates * STEPS / wl_kernel_window_seconds(w, keep);
}

/* Returns the rate in GFLOP/s at which OpenBLAS multiplies a matrix of shape (n, k) by a matrix of shape (k, 80). Here
 * n is the number of coordinates. */
static double run_gemm(bench *b, int k) {
  const int n = (int)b->one.coordinates;
  const double start = wl_thread_seconds();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, 80, k, 1, b->a, k, b->b, 80, 0, b->c,
              80);
  return 160e-9 * (double)n * k / (wl_thread_seconds() - start);
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

/* Computes the meta-gradient of the window with the double-precision kernel, one group of blocks after another.
 * w->lam and w->mu contain the adjoints of theta and of the rule state at the end of the window. */
static void reference_gradient(const wl_kernel_window *w, double *out) {
  const wl_lstm_kernel *const plain = &wl_lstm_kernel_reference;
  const wl_lstm_net *const net = w->rule->impl;
  void *const packed = take(plain->packed_bytes(net), 1), *const scratch =
                                                              take(plain->scratch_bytes(net), 1);
  wl_real *const partial = take((size_t)net->parameters, sizeof *partial);
  plain->pack(net, w->phi, packed);
  const wl_rule_chunk chunk = {.steps = STEPS,
                               .blocks = w->blocks,
                               .g = w->g,
                               .state = w->start,
                               .lam = w->lam,
                               .mu = w->mu};
  for (int64_t first = 0; first < w->blocks; first += WL_LSTM_GROUP) {
    const int64_t left = w->blocks - first;
    plain->backward(net, packed, scratch, &chunk, first,
                    left < WL_LSTM_GROUP ? left : WL_LSTM_GROUP, partial);
    for (int64_t p = 0; p < net->parameters; p++) out[p] += (double)partial[p];
  }
  wl_free(packed);
  wl_free(scratch);
  wl_free(partial);
}

/* Computes the relative error of each tensor of the float32 meta-gradient, compared with the double-precision
 * kernel. */
static void accuracy(const char *preprocessing, double errors[TENSORS]) {
  wl_kernel_window w;
  create_window(ACCURACY_N, 1, preprocessing, &w);
  const wl_lstm_net *const net = w.rule->impl;
  double *const wanted = take((size_t)net->parameters, sizeof *wanted);
  wl_kernel_window_reset(&w);
  reference_gradient(&w, wanted);
  wl_kernel_window_reset(&w);
  wl_kernel_window_backward(&w, STEPS, false);
  const wl_lstm_layer *const l = net->layer;
  const int64_t edges[TENSORS + 1] = {l[0].weight,      l[0].bias,      l[1].weight,    l[1].bias,
                                      net->head_weight, net->head_bias, net->parameters};
  for (int i = 0; i < TENSORS; i++)
    errors[i] = distance(w.phi_grad + edges[i], wanted + edges[i], edges[i + 1] - edges[i]);
  wl_free(wanted);
  wl_kernel_window_destroy(&w);
}

/* ---- Report --------------------------------------------------------------------------------- */

/* Contains the best value and the median of the repeated measurements of one quantity. The best value is the highest
 * rate or the shortest time. */
typedef struct summary {
  double best, median;
} summary;

static summary sum_of(summary a, summary b) {
  return (summary){a.best + b.best, a.median + b.median};
}

static summary summarise(figure what, double *values, int repeats) {
  const double median = wl_median(values, repeats); /* sorts them */
  return (summary){values[is_rate(what) ? repeats - 1 : 0], median};
}

/* Prints a line of the table and adds an object with the same values to `json`. The values are the nanoseconds of a
 * coordinate-step and the fraction of the peak rate. The line also contains the coordinate-steps per second. */
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
  const wl_lstm_net *const net = b->one.rule->impl;
  const double in = (double)net->layer[0].in, peak = s[PEAK].median;
  const double forward = 2e-3 * (80 * (in + 20) + 80 * 40 + 20); /* thousands of floating-point operations in the
                                                                  * forward pass of one coordinate-step */
  const double sweep = 2e-3 * (80 * 20 + 80 * 40), all = 3 * forward + sweep;
  const summary total = sum_of(s[LIVE], s[BACKWARD]), single = sum_of(s[LIVE], s[SINGLE_STEPS]);
  const summary rest = {s[BACKWARD].best - s[AGAIN].best, s[BACKWARD].median - s[AGAIN].median};
  fprintf(out,
          "%s; %s; %s\nkernel %s, n = %lld, %d steps, hidden 20-20, %d repeats, best / median\n",
          wl_build_processor(), wl_build_compiler(), wl_build_blas(), wl_lstm_kernel_select()->name,
          (long long)b->one.coordinates, STEPS, repeats);
  fprintf(out, "%-34s %7.1f /%7.1f GFLOP/s\n", names[PEAK], s[PEAK].best, s[PEAK].median);
  json_object_set_new(json, names[PEAK],
                      json_pack("{s:f, s:f}", "gflops_best", s[PEAK].best, "gflops_median", peak));
  report_time(out, json, names[LIVE], s[LIVE], forward, peak);
  report_time(out, json, names[AGAIN], s[AGAIN], forward, peak);
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

/* Prints the errors of the meta-gradient. Returns true if the error of every tensor is at most MOST_ERROR. */
static bool report_accuracy(FILE *out, json_t *json, const char *preprocessing) {
  double errors[TENSORS];
  bool good = true;
  json_t *const each = json_object();
  accuracy(preprocessing, errors);
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
  const double per_cs = 1e9 / ((double)b->one.coordinates * STEPS);
  wl_kernel_window *const w = &b->one;
  run_live(w, true);
  run_live(&b->two, true);
  for (int i = 0; i < repeats; i++) {
    values[PEAK][i] = 1e-9 * wl_measure_peak();
    values[LIVE][i] = run_live(w, false) * per_cs;
    values[AGAIN][i] = run_again(w) * per_cs;
    values[BACKWARD][i] = run_backward(w, STEPS, false) * per_cs;
    values[SINGLE_STEPS][i] = run_backward(w, 1, false) * per_cs;
    values[LIVE_KEPT][i] = run_live(w, true) * per_cs;
    values[BACKWARD_KEPT][i] = run_backward(w, STEPS, true) * per_cs;
    values[SINGLE_KEPT][i] = run_backward(w, 1, true) * per_cs;
    values[GEMM_40][i] = run_gemm(b, 40);
    values[GEMM_22][i] = run_gemm(b, 22);
    values[ONE_THREAD][i] = run_window(w, false);
    values[TWO_THREADS][i] = run_window(&b->two, false);
    values[ONE_KEPT][i] = run_window(w, true);
    values[TWO_KEPT][i] = run_window(&b->two, true);
    values[TWO_PEAKS][i] = 1e-9 * wl_measure_peaks(2);
  }
}

/* ---- Command line --------------------------------------------------------------------------- */

typedef struct arguments {
  int64_t n;
  int repeats;
  const char *preprocessing;
  const char *json; /* path of the JSON file for the results; "-" selects standard output, and NULL selects no file */
} arguments;

static int usage(FILE *out, int status) {
  fprintf(
      out,
      "usage: bench_kernel [OPTION]...\n"
      "Measures the rate of the LSTM kernel as a fraction of the FMA peak of this core, by phase and policy.\n"
      "  --coordinates N                 coordinates, 1 to 10000000 (16000)\n"
      "  --repeats R                     1 to %d rounds, each measures all figures (7)\n"
      "  --preprocessing none|log|paper  input of the LSTM (log)\n"
      "  --json FILE                     write the figures as JSON; - for standard output\n"
      "  --help                          this text\n"
      "WARPLOOM_ISA=avx2|baseline selects an older instruction set. The exit status is 1 if a tensor of\n"
      "the meta-gradient differs from float64 by more than 5e-6.\n",
      MAX_REPEATS);
  return status;
}

/* Reads the options into *a. Returns -1 if the program should continue, otherwise the exit status with which it
 * should stop. */
static int parse(int argc, char **argv, arguments *a) {
  static const struct option options[] = {{"coordinates", required_argument, NULL, 'n'},
                                          {"repeats", required_argument, NULL, 'r'},
                                          {"preprocessing", required_argument, NULL, 'p'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
      case 'n': a->n = atoll(optarg); break;
      case 'r': a->repeats = atoi(optarg); break;
      case 'j': a->json = optarg; break;
      case 'h': return usage(stdout, 0);
      case 'p':
        if (strcmp(optarg, "none") != 0 && strcmp(optarg, "log") != 0 &&
            strcmp(optarg, "paper") != 0)
          return usage(stderr, 64);
        a->preprocessing = optarg;
        break;
      default: return usage(stderr, 64);
    }
  }
  const bool sound = optind == argc && a->n >= 1 && a->n <= 10000000 && a->repeats >= 1 &&
                     a->repeats <= MAX_REPEATS;
  return sound ? -1 : usage(stderr, 64);
}

/* Writes the results as JSON to `file`. Returns true if the file was written or if `file` is NULL. */
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
  wl_float_state_enter(&of_the_system); /* use the same floating-point state as warploom */
  arguments a = {.n = 16000, .repeats = 7, .preprocessing = "log"};
  const int status = parse(argc, argv, &a);
  if (status >= 0) return status;
  openblas_set_num_threads(1); /* idle threads of OpenBLAS would disturb measurements */
  bench b;
  static double values[FIGURES][MAX_REPEATS];
  setup(&b, a.n, a.preprocessing);
  measure(&b, values, a.repeats);
  FILE *const out = a.json && strcmp(a.json, "-") == 0 ? stderr : stdout;
  json_t *const json = json_pack(
      "{s:s, s:s, s:s, s:s, s:I, s:i, s:i}", "processor", wl_build_processor(), "compiler",
      wl_build_compiler(), "blas", wl_build_blas(), "kernel", wl_lstm_kernel_select()->name,
      "coordinates", (json_int_t)a.n, "steps", STEPS, "repeats", a.repeats);
  report(out, json, &b, values, a.repeats);
  const bool good = report_accuracy(out, json, a.preprocessing);
  const bool written = write_json(a.json, json);
  json_decref(json);
  destroy(&b);
  return !written ? 74 : good ? 0 : 1;
}
