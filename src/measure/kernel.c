/* kernel.c - windows of the coordinatewise LSTM beside the peak of the threads that compute them.
 *
 * Wall time and all ranks at once: what a training gets, with neighbours on the node and all. */
#include <string.h>

#include "base/statistic.h"
#include "measure/measure.h"
#include "measure/peak.h"
#include "rule/rule.h"

enum { STEPS = WL_CHUNK_STEPS };

/* A window's arrays, as src/unroll keeps them. */
typedef struct window {
  wl_rule *rule;
  wl_rule_ws *ws;
  int64_t blocks, lanes;
  wl_real *phi, *g, *start, *state, *lam, *mu, *u;
  double *phi_grad;
} window;

static wl_status create_rule(wl_rule **out) {
  const wl_section sections[] = {
      {.name = "rule", .doc = "update rule", .selector = "name", .variants = wl_rule_variants()},
      {0}};
  wl_config *config = NULL;
  WL_TRY(wl_config_parse(
      "rule: {name: lstm, hidden: [20, 20], preprocessing: log, output_scale: 0.1}\n",
      "measured rule", sections, NULL, 0, &config));
  const wl_rule_setting setting = {
      .theta = &(const wl_layout){0}, .episode_steps = STEPS, .mixture = true};
  const wl_status status = wl_rule_create(wl_config_map(config, "rule", 0), &setting, out);
  wl_config_destroy(&config);
  return status;
}

static wl_status allocate(window *w, int threads) {
  const int64_t state = w->lanes * w->rule->state_width;
  WL_TRY(WL_NEW(w->phi, w->rule->phi.size));
  WL_TRY(WL_NEW(w->phi_grad, w->rule->phi.size));
  WL_TRY(WL_NEW(w->g, STEPS * w->lanes));
  WL_TRY(WL_NEW(w->u, w->lanes));
  WL_TRY(WL_NEW(w->lam, w->lanes));
  WL_TRY(WL_NEW(w->start, state));
  WL_TRY(WL_NEW(w->state, state));
  WL_TRY(WL_NEW(w->mu, state));
  return wl_rule_ws_create(w->rule, w->blocks, threads, &w->ws);
}

static void destroy(window *w) {
  void *const owned[] = {w->phi, w->phi_grad, w->g, w->u, w->lam, w->start, w->state, w->mu};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_rule_ws_destroy(&w->ws);
  wl_rule_destroy(&w->rule);
}

static wl_status create(int64_t coordinates, int threads, window *w) {
  *w = (window){.blocks = wl_blocks(coordinates), .lanes = wl_pad(coordinates)};
  wl_status status = create_rule(&w->rule);
  if (status == WL_OK) status = allocate(w, threads);
  if (status != WL_OK) {
    destroy(w);
    return status;
  }
  const wl_stream stream = {.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK};
  wl_rng_normal(stream, 0, STEPS * w->lanes, 1.0, w->g);
  w->rule->ops->init(w->rule, 1, w->phi);
  wl_rule_pack(w->rule, w->ws, w->phi);
  return WL_OK;
}

/* Seconds of one window from a zero state: live steps, then the adjoint of all. */
static double run(window *w) {
  const size_t state = (size_t)(w->lanes * w->rule->state_width) * sizeof *w->state;
  memset(w->state, 0, state);
  memset(w->mu, 0, state);
  memcpy(w->lam, w->g, (size_t)w->lanes * sizeof *w->lam);
  const double start = wl_comm_time();
  for (int64_t t = 0; t < STEPS; t++)
    wl_rule_step(w->rule, w->ws, t, w->blocks, w->g + t * w->lanes, NULL, w->state, w->state, w->u);
  const wl_rule_chunk chunk = {.steps = STEPS,
                               .blocks = w->blocks,
                               .g = w->g,
                               .state = w->start,
                               .lam = w->lam,
                               .mu = w->mu};
  wl_rule_backward(w->rule, w->ws, &chunk, w->phi_grad);
  return wl_comm_time() - start;
}

/* FLOP/s of all threads at once. */
static double peak_of(int threads) {
  double sum = 0.0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : sum) if (threads > 1)
  for (int i = 0; i < threads; i++) sum += wl_measure_peak();
  return sum;
}

/* This rank's peak and rate become those over all ranks. */
static wl_status gather(wl_comm *comm, double peak, double rate, wl_kernel_figures *out) {
  double bounds[] = {peak, -peak, rate, -rate};
  int64_t total[] = {(int64_t)peak, (int64_t)rate};
  WL_TRY(wl_comm_max(comm, bounds, 4));
  WL_TRY(wl_comm_sum_int64(comm, total, 2));
  out->peak_most = bounds[0];
  out->peak_least = -bounds[1];
  out->rate_most = bounds[2];
  out->rate_least = -bounds[3];
  out->peak_total = (double)total[0];
  out->rate_total = (double)total[1];
  out->share = out->rate_total * out->flop / out->peak_total;
  return WL_OK;
}

wl_status wl_measure_kernel(wl_comm *comm, int64_t coordinates, int threads, int repeats,
                            wl_kernel_figures *out) {
  double peak[WL_MEASURE_REPEATS], seconds[WL_MEASURE_REPEATS];
  window w;
  WL_CHECK(repeats >= 1 && repeats <= WL_MEASURE_REPEATS);
  WL_TRY(wl_comm_agree(comm, create(coordinates, threads, &w)));
  *out = (wl_kernel_figures){.coordinates = coordinates, .threads = threads, .flop = w.rule->cost};
  run(&w); /* the first one meets pages that are not there yet */
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < repeats; i++) {
    status = wl_comm_barrier(comm);
    peak[i] = peak_of(threads);
    seconds[i] = run(&w);
  }
  destroy(&w);
  WL_TRY(status);
  const double work = (double)(coordinates * STEPS);
  return gather(comm, wl_median(peak, repeats), work / wl_median(seconds, repeats), out);
}
