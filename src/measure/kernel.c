/* kernel.c - rate of the coordinatewise LSTM's windows, compared with the peak of the threads that compute them.
 *
 * Times are wall times, and all ranks compute at once, as in a training. */
#include <string.h>

#include "base/clock.h"
#include "base/statistic.h"
#include "measure/measure.h"
#include "measure/peak.h"
#include "rule/rule.h"

enum { STEPS = WL_CHUNK_STEPS };

/* A window's arrays, in the layout of src/unroll. */
typedef struct window {
  wl_rule *rule;
  wl_rule_ws *ws;
  int64_t blocks, lanes;
  wl_layout layout; /* the coordinates as one vector, without tensors */
  wl_real *phi, *g, *start, *state, *lam, *mu, *u;
  wl_real *activations; /* NULL: too large */
  double *phi_grad;
} window;

/* The published LSTM, two layers of 20. */
static wl_status create_rule(wl_rule **out) {
  static const int64_t hidden[] = {20, 20};
  const wl_override keys[] = {{WL_OVERRIDE_TEXT, "rule.name", .text = "lstm"},
                              {WL_OVERRIDE_INTS, "rule.hidden", .ints = {hidden, 2}},
                              {WL_OVERRIDE_TEXT, "rule.preprocessing", .text = "log"},
                              {WL_OVERRIDE_REAL, "rule.momentum", .real = 0}};
  const wl_rule_setting setting = {
      .theta = &(const wl_layout){0}, .episode_steps = STEPS, .mixture = true};
  return wl_rule_create_by(keys, 4, &setting, out);
}

static int64_t record(const window *w) {
  return w->blocks * w->rule->activations;
} /* of one step */

static wl_status allocate(window *w, int threads, int64_t most_kept) {
  const int64_t state = w->lanes * w->rule->state_width;
  WL_TRY(WL_NEW(w->phi, w->rule->phi.size));
  WL_TRY(WL_NEW(w->phi_grad, w->rule->phi.size));
  WL_TRY(WL_NEW(w->g, STEPS * w->lanes));
  WL_TRY(WL_NEW(w->u, w->lanes));
  WL_TRY(WL_NEW(w->lam, w->lanes));
  WL_TRY(WL_NEW(w->start, state));
  WL_TRY(WL_NEW(w->state, state));
  WL_TRY(WL_NEW(w->mu, state));
  if (STEPS * record(w) * (int64_t)sizeof *w->activations <= most_kept)
    WL_TRY(WL_NEW(w->activations, STEPS * record(w)));
  return wl_rule_ws_create(w->rule, &w->layout, true, threads, &w->ws);
}

static void destroy(window *w) {
  void *const owned[] = {w->phi,   w->phi_grad, w->g,  w->u,          w->lam,
                         w->start, w->state,    w->mu, w->activations};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_rule_ws_destroy(&w->ws);
  wl_rule_destroy(&w->rule);
}

static wl_status create(int64_t coordinates, int threads, int64_t most_kept, window *w) {
  *w = (window){.blocks = wl_blocks(coordinates), .lanes = wl_pad(coordinates)};
  w->layout.size = coordinates;
  wl_status status = create_rule(&w->rule);
  if (status == WL_OK) status = allocate(w, threads, most_kept);
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

/* Seconds of one window from a zero state: live steps, then their adjoint; `activations` NULL: the adjoint runs the steps again. */
static double run(window *w, wl_real *activations) {
  const size_t state = (size_t)(w->lanes * w->rule->state_width) * sizeof *w->state;
  memset(w->state, 0, state);
  memset(w->mu, 0, state);
  memcpy(w->lam, w->g, (size_t)w->lanes * sizeof *w->lam);
  const double start = wl_seconds();
  for (int64_t t = 0; t < STEPS; t++)
    wl_rule_step(w->rule, w->ws,
                 &(wl_inner_step){.t = t,
                                  .blocks = w->blocks,
                                  .g = w->g + t * w->lanes,
                                  .s_in = w->state,
                                  .s_out = w->state,
                                  .u = w->u,
                                  .activations = activations ? activations + t * record(w) : NULL});
  const wl_rule_chunk chunk = {.steps = STEPS,
                               .blocks = w->blocks,
                               .g = w->g,
                               .state = w->start,
                               .lam = w->lam,
                               .mu = w->mu,
                               .activations = activations};
  wl_rule_backward(w->rule, w->ws, &chunk, w->phi_grad);
  return wl_seconds() - start;
}

/* FLOP/s of all threads at once. */
static double peak_of(int threads) {
  double sum = 0.0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : sum) if (threads > 1)
  for (int i = 0; i < threads; i++) sum += wl_measure_peak();
  return sum;
}

/* Minimum, maximum and sum of a figure over ranks. */
static wl_status gather(wl_comm *comm, double figure, double *least, double *most, double *total) {
  double bounds[] = {figure, -figure};
  int64_t sum = (int64_t)figure;
  WL_TRY(wl_comm_max(comm, bounds, 2));
  WL_TRY(wl_comm_sum_int64(comm, &sum, 1));
  *most = bounds[0];
  *least = -bounds[1];
  *total = (double)sum;
  return WL_OK;
}

/* Medians of one window's seconds and of the peak, measured alternately. */
typedef struct medians {
  double peak, recompute, activations, vanishing;
} medians;

static wl_status measure(wl_comm *comm, window *w, int threads, int repeats, medians *out) {
  double peak[WL_MEASURE_REPEATS], recompute[WL_MEASURE_REPEATS],
      activations[WL_MEASURE_REPEATS] = {0};
  run(w, NULL); /* the first windows include page faults */
  if (w->activations) run(w, w->activations);
  for (int i = 0; i < repeats; i++) {
    WL_TRY(wl_comm_barrier(comm));
    peak[i] = peak_of(threads);
    recompute[i] = run(w, NULL);
    if (w->activations) activations[i] = run(w, w->activations);
  }
  *out = (medians){wl_median(peak, repeats), wl_median(recompute, repeats),
                   wl_median(activations, repeats), 0};
  return WL_OK;
}

/* Median of recomputed windows with subnormal gradients, so that the incoming adjoints are subnormal too. */
static wl_status measure_vanishing(wl_comm *comm, window *w, int repeats, double *seconds) {
  double each[WL_MEASURE_REPEATS];
  for (int64_t i = 0; i < STEPS * w->lanes; i++) w->g[i] *= (wl_real)1e-38;
  WL_TRY(wl_comm_barrier(comm));
  for (int i = 0; i < repeats; i++) each[i] = run(w, NULL);
  *seconds = wl_median(each, repeats);
  return WL_OK;
}

static wl_status rate_of(wl_comm *comm, double seconds, wl_kernel_figures *f, wl_kernel_rate *out) {
  const double work = (double)(f->coordinates * STEPS);
  WL_TRY(gather(comm, work / seconds, &out->least, &out->most, &out->total));
  out->share = out->total * f->flop / f->peak_total;
  return WL_OK;
}

wl_status wl_measure_kernel(wl_comm *comm, int64_t coordinates, int threads, int repeats,
                            int64_t most_kept, wl_kernel_figures *out) {
  window w;
  medians m;
  WL_CHECK(repeats >= 1 && repeats <= WL_MEASURE_REPEATS);
  WL_TRY(wl_comm_agree(comm, create(coordinates, threads, most_kept, &w)));
  *out = (wl_kernel_figures){.coordinates = coordinates, .threads = threads, .flop = w.rule->cost};
  wl_status status = measure(comm, &w, threads, repeats, &m);
  if (status == WL_OK) status = measure_vanishing(comm, &w, repeats, &m.vanishing);
  const bool kept = w.activations != NULL;
  destroy(&w);
  WL_TRY(status);
  WL_TRY(gather(comm, m.peak, &out->peak_least, &out->peak_most, &out->peak_total));
  WL_TRY(rate_of(comm, m.recompute, out, &out->recompute));
  WL_TRY(rate_of(comm, m.vanishing, out, &out->vanishing));
  return kept ? rate_of(comm, m.activations, out, &out->activations) : WL_OK;
}
