/* celo2.c - implements the update rules Celo2 and Celo2-base (Moudgil et al. 2026). In Celo2, a
 * small network computes an output for each coordinate of a matrix. Newton-Schulz steps
 * orthogonalise this output, and the code divides the result by its root mean square. The update of
 * the matrix is the quotient times the negative rate, plus weight decay. Adam updates vectors.
 * Celo2-base uses no Newton-Schulz steps, and the network also updates vectors. For a vector, the
 * network reads only the first 15 features. The network has three outputs, but the rule uses only
 * the first output. The file feature_net.h contains the formulas. */
#include <math.h>

#include "rule/feature_net.h"
#include "rule/newton_schulz.h"

/* Computes the update of tensor j from the network's output in u, and overwrites u. If the rule
 * uses Newton-Schulz steps, these steps first replace u by the orthogonal factor of u. A tap is a
 * position in a convolution's kernel. For each tap, the function then divides u by the root mean
 * square of u over the tap, multiplies u by the negative rate and adds the weight decay. */
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

/* Computes Adam's update of a vector from the moments m_0 (decay 0.9) and v (decay 0.95) in the
 * state. Unlike the rule `adam`, this function adds epsilon to v before it computes the square
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
  {"weight_decay", WL_OPT_REAL, "0", NULL, 0, 1e9, "1", "Coefficient of decoupled weight decay. "  \
                                                        "The rate multiplies this coefficient.",       \
   WL_SLOT(wl_feature_rule, weight_decay)}
/* The members of wl_feature_rule whose values are the same in Celo2 and Celo2-base. */
#define CELO2_RULE                                                                                \
  .kind = WL_FEATURES_CELO2, .features = 30, .momenta = 3, .outputs = 3, .finish = finish,        \
  .m_decay = {0.9, 0.99, 0.999}, .v_decay = 0.95, .factored_decay = {0.9, 0.99, 0.999},           \
  .epsilon = 1e-9
/* clang-format on */

static const wl_option celo2_options[] = {
    CELO2_OPTIONS,
    {"newton_schulz", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "Newton-Schulz steps orthogonalise the network's output for a matrix. With `true`, the rule "
     "needs a forward-only estimator, because the code has no adjoint of these steps.",
     WL_SLOT(wl_feature_rule, newton_schulz)},
    {"vector_rate", WL_OPT_REAL, "20", NULL, 0, 1e9, "1",
     "Factor that multiplies `rate` for vectors.", WL_SLOT(wl_feature_rule, vector_rate)},
    {0}};

static const wl_option celo2base_options[] = {CELO2_OPTIONS, {0}};

static const wl_feature_rule celo2_rule = {CELO2_RULE, .adam_vectors = true};
static const wl_feature_rule celo2base_rule = {CELO2_RULE, .vector_rate = 1};

WL_DEFINE_RULE(
    celo2,
    "Celo2: a small network with an orthogonalised output updates matrices, and Adam updates "
    "vectors",
    feature_rule);
WL_DEFINE_RULE(celo2base,
               "Celo2-base: a small network updates all tensors from normalised features",
               feature_rule);
