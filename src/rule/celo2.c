/* celo2.c - the rules Celo2 and Celo2-base (Moudgil et al. 2026). In Celo2, the output of a small net is orthogonalised
 * by Newton-Schulz steps and normalised. The result is the step of a matrix, and Adam updates vectors. Celo2-base has
 * no Newton-Schulz steps. Formulas: feature_net.h. Only the first of the net's three outputs is used. If the net also
 * updates vectors, it reads only the first 15 features of a vector. */
#include <math.h>

#include "rule/feature_net.h"
#include "rule/newton_schulz.h"

/* Replaces the net's output in u by the update, one tap at a time: N(u) divided by its RMS, and weight decay. */
static void finish_matrix(const wl_feature_rule *f, const wl_feature_ws *ws, int j, double rate,
                          wl_real *scratch) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const int64_t taps = ws->tensor[j].taps;
  wl_real *const u = ws->view[j].u;
  const wl_real *const p = ws->view[j].p;
  if (f->newton_schulz && t->matrix) wl_orthogonal(t, false, u, scratch);
  if (taps == 1) {
    const double sum = ws->kernel->sum_squares(t->size, u);
    ws->kernel->rescale(t->size, -rate / sqrt(f->epsilon + sum / (double)t->size), u,
                        -rate * f->weight_decay, p);
    return;
  }
  for (int64_t tap = 0; tap < taps; tap++) {
    double sum = 0;
    for (int64_t i = tap; i < t->size; i += taps) sum += (double)u[i] * u[i];
    const wl_real along =
                      (wl_real)(-rate / sqrt(f->epsilon + sum * (double)taps / (double)t->size)),
                  decay = (wl_real)(-rate * f->weight_decay);
    for (int64_t i = tap; i < t->size; i += taps) u[i] = along * u[i] + decay * p[i];
  }
}

/* Updates a vector by Adam, with the moments m_0 (decay .9) and v (decay .95) of the state. Epsilon is inside the
 * root. */
static void finish_vector(const wl_feature_rule *f, const wl_feature_ws *ws, int j, int64_t t,
                          double rate) {
  const wl_feature_view *const v = &ws->view[j];
  const double q1 = 1 / (1 - pow(ws->phi.m[0], (double)(t + 1))),
               q2 = 1 / (1 - pow(ws->phi.v, (double)(t + 1)));
  for (int64_t i = 0; i < ws->tensors.tensor[j].size; i++) {
    const double x = q1 * (double)v->m_out[0][i] / sqrt(q2 * (double)v->v_out[i] + 1e-8);
    v->u[i] = (wl_real)(-rate * (x + f->weight_decay * (double)v->p[i]));
  }
}

static void finish(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *const ws = rule_ws->impl;
  const wl_schedule schedule = wl_schedule_over(&f->schedule, step->horizon);
  const double rate = wl_schedule_rate(&schedule, f->rate, step->t);
  const int threads = rule_ws->threads;
#pragma omp parallel for schedule(dynamic, 1) \
    num_threads(threads) if (threads > 1 && f->newton_schulz)
  for (int j = 0; j < ws->tensors.count; j++) {
    const bool matrix = ws->tensors.tensor[j].matrix;
    if (!matrix && f->adam_vectors) finish_vector(f, ws, j, step->t, rate * f->vector_rate);
    else finish_matrix(f, ws, j, rate, ws->scratch + wl_thread_index() * ws->scratch_size);
  }
}

/* ---- Keys ----------------------------------------------------------------------------------- */

/* clang-format off */
#define CELO2_OPTIONS                                                                             \
  WL_HIDDEN_OPTION("[8, 8]", ""),                                                                 \
  {"rate", WL_OPT_REAL, "0.001", NULL, 0, 1e9, "1", "Learning rate.", WL_SLOT(wl_feature_rule, rate)}, \
  WL_SCHEDULE_OPTIONS(wl_feature_rule, schedule),                                                 \
  {"weight_decay", WL_OPT_REAL, "0", NULL, 0, 1e9, "1", "Coefficient of decoupled weight decay, " \
                                                        "which is multiplied by the rate.",       \
   WL_SLOT(wl_feature_rule, weight_decay)}
/* Members that both rules have in common. */
#define CELO2_RULE                                                                                \
  .kind = WL_FEATURES_CELO2, .features = 30, .momenta = 3, .outputs = 3, .finish = finish,        \
  .m_decay = {0.9, 0.99, 0.999}, .v_decay = 0.95, .factored_decay = {0.9, 0.99, 0.999},           \
  .epsilon = 1e-9
/* clang-format on */

static const wl_option celo2_options[] = {
    CELO2_OPTIONS,
    {"newton_schulz", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "The update of a matrix uses the orthogonal factor of the network's output (Newton-Schulz "
     "iteration). The iteration has no adjoint; therefore the rule needs a forward-only "
     "estimator.",
     WL_SLOT(wl_feature_rule, newton_schulz)},
    {"vector_rate", WL_OPT_REAL, "20", NULL, 0, 1e9, "1",
     "Rate of vectors as a multiple of `rate`.", WL_SLOT(wl_feature_rule, vector_rate)},
    {0}};

static const wl_option celo2base_options[] = {CELO2_OPTIONS, {0}};

static const wl_feature_rule celo2_rule = {CELO2_RULE, .adam_vectors = true};
static const wl_feature_rule celo2base_rule = {CELO2_RULE, .vector_rate = 1};

WL_DEFINE_RULE(celo2, "small network with an orthogonalised output for matrices; Adam for vectors",
               feature_rule);
WL_DEFINE_RULE(celo2base,
               "small network that reads normalised features of all tensors "
               "(Celo2-base)",
               feature_rule);
