/* rules.c - measures the time of one step of every update rule on about a million parameters and divides this time
 * by the time of a step of Adam. The program also compares the multiply-add rate of the Newton-Schulz iterations with
 * the peak rate of the processor.
 *
 *   bench_rules [THREADS [ROUNDS]]
 *
 * The rules use their initial meta-parameters. Each round measures every rule once. The program prints the median and
 * the shortest time of a step in milliseconds. The program also divides both times by the corresponding time of Adam.
 * For the Newton-Schulz iterations, the program prints the rate of the multiply-adds as a fraction of the processor's
 * peak rate. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure/peak.h"
#include "rule/newton_schulz.h"
#include "rule/rule.h"
#include "tensor/gemm.h"

enum { MOST_ROUNDS = 101 };

static const char *const rules[] = {"name: adam",
                                    "name: nadam",
                                    "name: lion",
                                    "name: muon",
                                    "name: controller",
                                    "name: controller, newton_schulz: false",
                                    "name: controller, net: false, newton_schulz: false",
                                    "name: small_fc",
                                    "name: small_fc, hidden: [32, 32]",
                                    "name: mlp",
                                    "name: celo2",
                                    "name: celo2, newton_schulz: false",
                                    "name: celo2base",
                                    "name: rnnprop",
                                    "name: lstm"};
enum { RULES = sizeof rules / sizeof *rules };

/* Selects the clock of seconds(): CPU time for one thread, wall time for several threads. */
static int threads_used = 1;
static double seconds(void) {
  struct timespec t;
  clock_gettime(threads_used == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(wl_status status) {
  if (status == WL_OK) return;
  fprintf(stderr, "bench_rules: %s\n", wl_last_error());
  exit((int)status);
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef struct contender {
  wl_rule *rule;
  wl_rule_ws *ws;
  wl_real *phi, *state;
  double time[MOST_ROUNDS];
} contender;

/* Adds the tensors of a multilayer perceptron with 784, 640, 512, 256 and 10 units to the layout. */
static void lay_out(wl_layout *theta) {
  static const int64_t width[] = {784, 640, 512, 256, 10};
  char name[32];
  for (int l = 0; l + 1 < 5; l++) {
    snprintf(name, sizeof name, "dense%d.weight", l + 1);
    need(wl_layout_add(theta, "", name, 2, &width[l], NULL));
    snprintf(name, sizeof name, "dense%d.bias", l + 1);
    need(wl_layout_add(theta, "", name, 1, &width[l + 1], NULL));
  }
}

static void open_contender(contender *c, const char *text, const wl_layout *theta, int threads) {
  const wl_section sections[] = {
      {.name = "rule", .doc = "update rule", .selector = "name", .variants = wl_rule_variants()},
      {0}};
  char yaml[256];
  wl_config *config = NULL;
  snprintf(yaml, sizeof yaml, "rule: {%s}\n", text);
  need(wl_config_parse(yaml, "benchmark", sections, NULL, 0, &config));
  const wl_rule_setting setting = {.theta = theta, .episode_steps = 1000};
  need(wl_rule_create(wl_config_map(config, "rule", 0), &setting, &c->rule));
  need(wl_rule_ws_create(c->rule, theta, false, threads, &c->ws));
  need(WL_NEW(c->phi, c->rule->phi.size + 1));
  need(WL_NEW(c->state, wl_rule_state_reals(c->rule, theta) + 1));
  if (c->rule->phi.size > 0) c->rule->ops->init(c->rule, 1, c->phi);
  wl_rule_pack(c->rule, c->ws, c->phi);
  wl_config_destroy(&config);
}

static void fill(int64_t n, uint64_t index, double sd, wl_real *out) {
  wl_rng_normal((wl_stream){.seed = 1, .purpose = WL_FOR_PROBE, .index = index}, 0, n, sd, out);
}

static void report(contender *all, const wl_layout *theta, int rounds, int threads) {
  for (int i = 0; i < RULES; i++) qsort(all[i].time, (size_t)rounds, sizeof(double), ascending);
  printf("%lld parameters, %d thread%s, %d rounds\n", (long long)theta->size, threads,
         threads == 1 ? "" : "s", rounds);
  printf("%-52s %10s %10s %12s %12s %8s\n", "rule", "ms, median", "ms, least", "x Adam, med.",
         "x Adam, least", "bytes");
  for (int i = 0; i < RULES; i++)
    printf("%-52s %10.2f %10.2f %12.2f %12.2f %8.1f\n", rules[i], 1e3 * all[i].time[rounds / 2],
           1e3 * all[i].time[0], all[i].time[rounds / 2] / all[0].time[rounds / 2],
           all[i].time[0] / all[0].time[0],
           (double)wl_rule_state_reals(all[i].rule, theta) * sizeof(wl_real) / (double)theta->size);
}

static void time_rules(int threads, int rounds) {
  static contender all[RULES];
  wl_layout theta = {0};
  lay_out(&theta);
  wl_real *g = NULL, *p = NULL, *u = NULL;
  need(WL_NEW(g, wl_pad(theta.size)));
  need(WL_NEW(p, wl_pad(theta.size)));
  need(WL_NEW(u, wl_pad(theta.size)));
  fill(theta.size, 1, 1e-2, g);
  fill(theta.size, 2, 5e-2, p);
  for (int i = 0; i < RULES; i++) open_contender(&all[i], rules[i], &theta, threads);
  /* the first round is not counted, because it includes page faults */
  for (int round = -1; round < rounds; round++)
    for (int i = 0; i < RULES; i++) {
      const wl_inner_step step = {.t = round + 1,
                                  .horizon = 1000,
                                  .loss = 1,
                                  .blocks = wl_blocks(theta.size),
                                  .g = g,
                                  .theta = p,
                                  .s_in = all[i].state,
                                  .s_out = all[i].state,
                                  .u = u};
      const double start = seconds();
      wl_rule_step(all[i].rule, all[i].ws, &step);
      if (round >= 0) all[i].time[round] = seconds() - start;
    }
  report(all, &theta, rounds, threads);
  for (int i = 0; i < RULES; i++) {
    wl_rule_ws_destroy(&all[i].ws);
    wl_rule_destroy(&all[i].rule);
    wl_free(all[i].phi);
    wl_free(all[i].state);
  }
  wl_free(g);
  wl_free(p);
  wl_free(u);
  wl_layout_clear(&theta);
}

static void time_orthogonal(int64_t rows, int64_t columns, int rounds) {
  wl_real *x = NULL, *scratch = NULL;
  double time[MOST_ROUNDS], peak[MOST_ROUNDS];
  need(WL_NEW(x, rows * columns));
  need(WL_NEW(scratch, wl_newton_schulz_scratch(rows, columns)));
  for (int round = -1; round < rounds; round++) {
    fill(rows * columns, (uint64_t)round + 2, 1, x);
    const double start = seconds();
    wl_newton_schulz(rows, columns, x, scratch);
    if (round < 0) continue;
    time[round] = seconds() - start;
    peak[round] = wl_measure_peak();
  }
  qsort(time, (size_t)rounds, sizeof(double), ascending);
  qsort(peak, (size_t)rounds, sizeof(double), ascending);
  const double work = 2 * wl_newton_schulz_products(rows, columns);
  printf("%4lld x %-4lld %8.3f ms, %6.1f GFLOP/s executed, %4.0f %% of the peak %.0f (medians)\n",
         (long long)rows, (long long)columns, 1e3 * time[rounds / 2],
         1e-9 * work / time[rounds / 2], 100 * work / time[rounds / 2] / peak[rounds / 2],
         1e-9 * peak[rounds / 2]);
  wl_free(x);
  wl_free(scratch);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--help") == 0) {
    puts(
        "usage: bench_rules [THREADS [ROUNDS]]\n"
        "Measures one step of each update rule over a million parameters, compared with Adam, and Newton-Schulz steps.");
    return 0;
  }
  const int threads = argc > 1 ? atoi(argv[1]) : 1, asked = argc > 2 ? atoi(argv[2]) : 11;
  if (threads < 1 || asked < 1) return WL_ERR_USAGE;
  const int rounds = asked < MOST_ROUNDS ? asked : MOST_ROUNDS;
  wl_gemm_use_one_thread();
  threads_used = threads;
  time_rules(threads, rounds);
  static const int64_t shapes[][2] = {{784, 128}, {784, 640}, {1024, 1024}};
  puts("Newton-Schulz steps, one thread:");
  threads_used = 1;
  for (int i = 0; i < 3; i++) time_orthogonal(shapes[i][0], shapes[i][1], rounds);
  return 0;
}
