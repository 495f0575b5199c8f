/* kernel.c - rate of the LSTM kernel as a share of this core's peak, and of OpenBLAS on the same shapes.
 *
 *   bench_kernel [--coordinates N] [--repeats R] [--preprocessing none|log|paper]
 *
 * One chunk of 20 steps, hidden 20-20, one thread, thread CPU time, best and median. All
 * figures are taken in turn in every repeat, so that shares compare like with like. A
 * coordinate-step ("cs") is 39.48 kFLOP (preprocessing on): forward, replay, sweep, weight gradient. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rule/lstm.h"
#include "rule/lstm_net.h"

enum { STEPS = WL_CHUNK_STEPS, MAX_REPEATS = 101, FIGURES = 6 };
typedef enum figure { PEAK, LIVE, BACKWARD, GEMM_40, GEMM_22, SINGLE_STEPS } figure;
static const char *const figure_names[FIGURES] = {
  "FMA peak", "live forward", "backward: replay, sweep, weights", "sgemm, n x 80 x 40",
  "sgemm, n x 80 x 22", "backward, chunks of one step"};

typedef struct bench {
  wl_lstm_net net;
  wl_rule rule;
  wl_rule_ws ws;
  int64_t n, blocks, lanes;
  wl_real *phi, *g, *state, *lam, *mu, *u;
  double *phi_grad;
  float *a, *b, *c;
} bench;

static double cpu_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Multiply-adds on twelve registers, in the widest vectors of this processor: GFLOP/s. */
#define PEAK_LOOP(name, bytes, isa)                                                         \
  __attribute__((target(isa), noinline)) static double name(void)                           \
  {                                                                                         \
    typedef float v __attribute__((vector_size(bytes)));                                    \
    const int64_t rounds = 4000000;                                                         \
    v a[12];                                                                                \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) a[i] = (v){0} + (float)(i + 2);   \
    const v m = (v){0} + 0.999f, p = (v){0} + 1e-3f;                                        \
    const double start = cpu_seconds();                                                     \
    for (int64_t k = 0; k < rounds; k++)                                                    \
      _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) a[i] = a[i] * m + p;            \
    const double time = cpu_seconds() - start;                                              \
    v sum = {0};                                                                            \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) sum += a[i];                      \
    volatile float sink = sum[0];                                                           \
    (void)sink;                                                                             \
    return 24e-9 * (double)rounds * (bytes / 4) / time;                                     \
  }
#if defined(__x86_64__)
PEAK_LOOP(peak_avx512, 64, "avx512f")
PEAK_LOOP(peak_avx2, 32, "avx2,fma")
static double peak(void) { return __builtin_cpu_supports("avx512f") ? peak_avx512() : peak_avx2(); }
#else
static double peak(void) { return 0; }
#endif

static void *take(size_t count, size_t size)
{
  void *p = NULL;
  if (wl_alloc(&p, count, size) != WL_OK) {
    fprintf(stderr, "bench_kernel: %s\n", wl_last_error());
    exit(EXIT_FAILURE);
  }
  return p;
}

static void fill(uint64_t step, int64_t n, double spread, wl_real *out)
{
  const wl_stream s = {.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK, .step = step};
  wl_rng_uniform(s, 0, n, -spread, spread, out);
}

static void setup(bench *b, int64_t n, wl_lstm_input input)
{
  wl_lstm_net_shape(&b->net, input, 0, 2, (int64_t[]){20, 20});
  wl_lstm_net_scales(&b->net, 0, 1, 1, 1);
  b->rule = (wl_rule){.ops = &wl_rule_lstm, .impl = &b->net, .state_width = b->net.width};
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
  b->phi_grad = take((size_t)b->net.parameters, sizeof *b->phi_grad);
  b->a = take((size_t)n * 40, sizeof *b->a);
  b->b = take(80 * 40, sizeof *b->b);
  b->c = take((size_t)n * 80, sizeof *b->c);
  fill(1, b->net.parameters, 0.22, b->phi);
  fill(2, STEPS * b->lanes, 1, b->g);
  b->ws = (wl_rule_ws){.max_blocks = b->blocks, .threads = 1};
  if (wl_rule_lstm.ws_create(&b->rule, b->blocks, 1, &b->ws.impl) != WL_OK) exit(EXIT_FAILURE);
  wl_rule_lstm.pack(&b->rule, &b->ws, b->phi);
}

static void destroy(bench *b)
{
  wl_rule_lstm.ws_destroy(b->ws.impl);
  void *all[] = {b->phi, b->g, b->u, b->lam, b->state, b->mu, b->phi_grad, b->a, b->b, b->c};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) wl_free(all[i]);
}

/* Seconds of the window's live steps, state in place from zero. */
static double run_live(bench *b)
{
  memset(b->state, 0, (size_t)(b->lanes * b->net.width) * sizeof *b->state);
  const double start = cpu_seconds();
  for (int64_t k = 0; k < STEPS; k++)
    wl_rule_lstm.step(&b->rule, &b->ws, k, b->blocks, b->g + k * b->lanes, NULL, b->state, b->state, b->u);
  return cpu_seconds() - start;
}

/* Seconds of the backward in chunks of `steps`, from a zero state each. */
static double run_backward(bench *b, int64_t steps)
{
  const size_t state = (size_t)(b->lanes * b->net.width);
  memset(b->state, 0, state * sizeof *b->state);
  memset(b->mu, 0, state * sizeof *b->mu);
  fill(3, b->lanes, 1, b->lam);
  const double start = cpu_seconds();
  for (int64_t k = STEPS - steps; k >= 0; k -= steps) {
    const wl_rule_chunk chunk = {.t0 = k, .steps = steps, .blocks = b->blocks, .g = b->g + k * b->lanes,
                                 .state = b->state, .lam = b->lam, .mu = b->mu};
    wl_rule_lstm.backward(&b->rule, &b->ws, &chunk, b->phi_grad);
  }
  return cpu_seconds() - start;
}

/* GFLOP/s of sgemm [n][k] x [k][80]. */
static double run_gemm(bench *b, int k)
{
  const double start = cpu_seconds();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)b->n, 80, k, 1, b->a, k, b->b, 80, 0, b->c, 80);
  return 160e-9 * (double)b->n * k / (cpu_seconds() - start);
}

static int ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Best and median of one figure: rates are best when high, times when low. */
typedef struct summary {
  double best, median;
} summary;

static summary summarise(figure what, double *values, int repeats)
{
  qsort(values, (size_t)repeats, sizeof *values, ascending);
  const bool rate = what == PEAK || what == GEMM_40 || what == GEMM_22;
  return (summary){values[rate ? repeats - 1 : 0], values[repeats / 2]};
}

static void print_time(const char *name, summary ns, double kflop, double peak_rate)
{
  printf("%-34s %7.1f /%7.1f ns/cs %7.3f /%7.3f M cs/s %5.1f /%5.1f %% of peak\n", name, ns.best, ns.median,
         1e3 / ns.best, 1e3 / ns.median, 1e5 * kflop / ns.best / peak_rate, 1e5 * kflop / ns.median / peak_rate);
}

static void report(const bench *b, double figures[FIGURES][MAX_REPEATS], int repeats)
{
  summary s[FIGURES];
  for (int i = 0; i < FIGURES; i++) s[i] = summarise((figure)i, figures[i], repeats);
  const double in = (double)b->net.layer[0].in, peak_rate = s[PEAK].median;
  const double forward = 2e-3 * (80 * (in + 20) + 80 * 40 + 20); /* kFLOP per cs */
  const double backward = 2 * forward + 2e-3 * (80 * 20 + 80 * 40);
  const summary total = {s[LIVE].best + s[BACKWARD].best, s[LIVE].median + s[BACKWARD].median};
  printf("kernel %s, n = %lld, %d steps, hidden 20-20, %d repeats, best / median\n",
         wl_lstm_kernel_select()->name, (long long)b->n, STEPS, repeats);
  printf("%-34s %7.1f /%7.1f GFLOP/s\n", figure_names[PEAK], s[PEAK].best, s[PEAK].median);
  print_time(figure_names[LIVE], s[LIVE], forward, peak_rate);
  print_time(figure_names[BACKWARD], s[BACKWARD], backward, peak_rate);
  print_time("total", total, forward + backward, peak_rate);
  print_time(figure_names[SINGLE_STEPS], s[SINGLE_STEPS], backward, peak_rate);
  for (int i = GEMM_40; i <= GEMM_22; i++)
    printf("OpenBLAS %-25s %7.1f /%7.1f GFLOP/s %5.1f /%5.1f %% of peak\n", figure_names[i], s[i].best, s[i].median,
           100 * s[i].best / peak_rate, 100 * s[i].median / peak_rate);
}

int main(int argc, char **argv)
{
  int64_t n = 16000;
  int repeats = 7;
  wl_lstm_input input = WL_LSTM_LOG;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--coordinates") == 0) n = atoll(argv[i + 1]);
    if (strcmp(argv[i], "--repeats") == 0) repeats = atoi(argv[i + 1]);
    if (strcmp(argv[i], "--preprocessing") == 0)
      input = argv[i + 1][0] == 'n' ? WL_LSTM_RAW : argv[i + 1][0] == 'p' ? WL_LSTM_PAPER : WL_LSTM_LOG;
  }
  if (n < 1 || repeats < 1 || repeats > MAX_REPEATS || argc % 2 == 0) {
    fprintf(stderr, "usage: bench_kernel [--coordinates N] [--repeats 1..%d] [--preprocessing none|log|paper]\n",
            MAX_REPEATS);
    return 64;
  }
  bench b = {.n = 0};
  setup(&b, n, input);
  static double figures[FIGURES][MAX_REPEATS];
  const double per_cs = 1e9 / ((double)n * STEPS);
  run_live(&b);
  for (int i = 0; i < repeats; i++) {
    figures[PEAK][i] = peak();
    figures[LIVE][i] = run_live(&b) * per_cs;
    figures[BACKWARD][i] = run_backward(&b, STEPS) * per_cs;
    figures[SINGLE_STEPS][i] = run_backward(&b, 1) * per_cs;
    figures[GEMM_40][i] = run_gemm(&b, 40);
    figures[GEMM_22][i] = run_gemm(&b, 22);
  }
  report(&b, figures, repeats);
  destroy(&b);
  return 0;
}
