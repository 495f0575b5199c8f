/* muon.c - implements the update rule Muon (Jordan et al. 2024). The step of a matrix is the
 * orthogonal factor of its momentum. Adam updates vectors. The formulas for a matrix are:
 *
 *   m' = b m + (1 - b) g,   z = (1 - b) g + b m'
 *   u  = -a (sqrt(max(1, fan-out / fan-in)) N(z) + w theta)
 *
 * Here a is the rate times the factor of the schedule, b is the momentum, and w is the weight
 * decay. N is the result of five Newton-Schulz steps (newton_schulz.h). To compute N, the code
 * treats a tensor as a matrix: the index of the first axis is the row, and the indices of all other
 * axes together are the column. For vectors, the rate a is multiplied by `vector_rate`. */
#include <math.h>

#include "rule/newton_schulz.h"
#include "rule/schedule.h"
#include "rule/tensors.h"

enum { M, V, FIELDS };
static const wl_state_field fields[FIELDS] = {{"momentum", WL_STATE_COORDINATE},
                                              {"second_moment", WL_STATE_COORDINATE}};

typedef struct muon {
  double rate, momentum, weight_decay, vector_rate, beta1, beta2, epsilon;
  wl_schedule schedule;
} muon;

typedef struct workspace {
  wl_tensors tensors;
  wl_real *scratch; /* [threads][scratch_size] scratch memory of the Newton-Schulz steps */
  int64_t scratch_size;
} workspace;

static const wl_option muon_options[] = {
    {"rate", WL_OPT_REAL, "0.02", NULL, 0, 1e9, "1", "Learning rate.", WL_SLOT(muon, rate)},
    WL_SCHEDULE_OPTIONS(muon, schedule),
    {"momentum", WL_OPT_REAL, "0.95", NULL, 0, 0.999999999, "1",
     "Decay of the momentum, for matrices.", WL_SLOT(muon, momentum)},
    {"weight_decay", WL_OPT_REAL, "0", NULL, 0, 1e9, "1",
     "Coefficient of decoupled weight decay. The rate multiplies this coefficient.",
     WL_SLOT(muon, weight_decay)},
    {"vector_rate", WL_OPT_REAL, "0.3", NULL, 0, 1e9, "1",
     "Factor that multiplies `rate` for vectors.", WL_SLOT(muon, vector_rate)},
    {"beta1", WL_OPT_REAL, "0.9", NULL, 0, 0.999999999, "1",
     "Decay of the running mean of gradients, for vectors.", WL_SLOT(muon, beta1)},
    {"beta2", WL_OPT_REAL, "0.999", NULL, 0, 0.999999999, "1",
     "Decay of the running mean of squared gradients, for vectors.", WL_SLOT(muon, beta2)},
    {"epsilon", WL_OPT_REAL, "1e-8", NULL, 1e-30, 1e9, "1",
     "Number added to the root mean square of gradients, for vectors.", WL_SLOT(muon, epsilon)},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

static void muon_destroy(wl_rule *rule) {
  wl_free(rule->impl);
  rule->impl = NULL;
}

static wl_status muon_create(const wl_map *options, const wl_rule_setting *setting, wl_rule *rule) {
  muon *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  rule->impl = m;
  wl_map_read(options, muon_options, m);
  rule->tensorwise = true;
  rule->fields = fields;
  rule->n_fields = FIELDS;
  rule->state_width = FIELDS;
  rule->reads_theta = true;
  rule->cost = 400;
  rule->forward_only = "its Newton-Schulz steps are not differentiated";
  return wl_schedule_complete(&m->schedule, options, setting->episode_steps);
}

static void muon_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi) {
  (void)rule, (void)ws, (void)phi;
}

static int64_t scratch_of(const wl_tensors *all) {
  int64_t most = 1;
  for (int j = 0; j < all->count; j++) {
    if (!all->tensor[j].matrix) continue;
    const int64_t size = wl_pad(all->tensor[j].size) + wl_orthogonal_scratch(&all->tensor[j], true);
    if (size > most) most = size;
  }
  return most;
}

static size_t muon_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                            int threads) {
  (void)rule, (void)adjoint;
  wl_tensors tensors;
  int64_t scratch = 0;
  if (wl_tensors_create(theta, &tensors) == WL_OK) scratch = scratch_of(&tensors);
  wl_tensors_clear(&tensors);
  return sizeof(workspace) + wl_tensors_bytes(theta) +
         (size_t)(threads * scratch) * sizeof(wl_real);
}

static void muon_ws_destroy(void *impl) {
  workspace *ws = impl;
  if (!ws) return;
  wl_tensors_clear(&ws->tensors);
  wl_free(ws->scratch);
  wl_free(ws);
}

static wl_status muon_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                int threads, void **out) {
  (void)rule, (void)adjoint;
  workspace *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  wl_status status = wl_tensors_create(theta, &ws->tensors);
  if (status == WL_OK) {
    ws->scratch_size = scratch_of(&ws->tensors);
    status = WL_NEW(ws->scratch, threads * ws->scratch_size);
  }
  if (status != WL_OK) muon_ws_destroy(ws);
  else *out = ws;
  return status;
}

static void matrix_step(const muon *c, const wl_tensor *t, const wl_inner_step *step, double rate,
                        wl_real *scratch) {
  const wl_real *const m_in = step->s_in + t->offset, *const g = step->g + t->offset,
                       *const theta = step->theta + t->offset;
  wl_real *const m_out = step->s_out + t->offset, *const u = step->u + t->offset, *z = scratch;
  const wl_real keep = (wl_real)c->momentum, take = (wl_real)(1 - c->momentum);
  for (int64_t i = 0; i < t->size; i++) {
    m_out[i] = keep * m_in[i] + take * g[i];
    z[i] = take * g[i] + keep * m_out[i];
  }
  wl_orthogonal(t, true, z, scratch + wl_pad(t->size));
  const wl_real along = (wl_real)(-rate * sqrt(fmax(1, t->fan_out / t->fan_in))),
                decay = (wl_real)(-rate * c->weight_decay);
  for (int64_t i = 0; i < t->size; i++) u[i] = along * z[i] + decay * theta[i];
}

static void vector_step(const muon *c, const wl_tensor *t, const wl_inner_step *step, double rate) {
  const int64_t pad = step->blocks * WL_LANES, at = t->offset;
  const double done = (double)(step->t + 1);
  const double q1 = 1 / (1 - pow(c->beta1, done)), q2 = 1 / (1 - pow(c->beta2, done));
  for (int64_t i = at; i < at + t->size; i++) {
    const double g = (double)step->g[i];
    const double m = c->beta1 * (double)step->s_in[i] + (1 - c->beta1) * g;
    const double v = c->beta2 * (double)step->s_in[pad + i] + (1 - c->beta2) * g * g;
    step->s_out[i] = (wl_real)m;
    step->s_out[pad + i] = (wl_real)v;
    const double x = q1 * m / (sqrt(q2 * v) + c->epsilon);
    step->u[i] = (wl_real)(-rate * (x + c->weight_decay * (double)step->theta[i]));
  }
}

static void muon_step(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const muon *c = rule->impl;
  workspace *const ws = rule_ws->impl;
  const wl_tensors *const all = &ws->tensors;
  const wl_schedule schedule = wl_schedule_over(&c->schedule, step->horizon);
  const double rate = wl_schedule_rate(&schedule, c->rate, step->t);
  const int threads = rule_ws->threads;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
  for (int j = 0; j < all->count; j++) {
    const wl_tensor *const t = &all->tensor[j];
    if (t->matrix)
      matrix_step(c, t, step, rate, ws->scratch + wl_thread_index() * ws->scratch_size);
    else vector_step(c, t, step, rate * c->vector_rate);
  }
  wl_tensors_clear_padding(all->n, FIELDS, step->s_out);
  wl_tensors_clear_padding(all->n, 1, step->u);
}

const wl_rule_ops wl_rule_muon = {
    .name = "muon",
    .summary =
        "Muon: step along the orthogonal factor of the momentum for matrices; Adam updates vectors",
    .options = muon_options,
    .create = muon_create,
    .destroy = muon_destroy,
    .pack = muon_pack,
    .step = muon_step,
    .ws_create = muon_ws_create,
    .ws_destroy = muon_ws_destroy,
    .ws_bytes = muon_ws_bytes};
