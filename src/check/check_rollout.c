/* check_rollout.c - implements a window in the simplest way, for the central differences.
 *
 *   g_t = grad L_in(theta_t; phi)  or frozen;   g~_t = P(phi) g_t
 *   (u_t, s_{t+1}) = rule(g~_t, theta_t, s_t, t; phi);   theta_{t+1} = theta_t + u_t
 *   F = sum_{k=0..K} w_k T(L_out(theta_k; phi))
 *
 * If the rule imitates a teacher (unroll/imitation.h), e_t is the teacher's update. e_t is frozen
 * whenever the gradients are frozen:
 *
 *   theta_{t+1} = theta_t + f e_t + (1 - f) u_t;   F' = (1 - a - b - c) F + W mean_k (a D_cos + b D_mag + c D_dist)
 *
 * Weights, transforms and batches are implemented a second time, so that the check finds errors in
 * their first implementation. The rollout shares three things with the engine in src/unroll: the
 * task, the step of the rule, and the product with the preconditioner. */
#include <math.h>
#include <string.h>

#include "check/check_impl.h"

static wl_status allocate(wl_rollout *r) {
  const wl_check_window *w = r->window;
  const wl_model *m = w->problem->model;
  WL_TRY(WL_NEW(r->phi, m->phi.size));
  WL_TRY(WL_NEW(r->theta, w->pad));
  WL_TRY(WL_NEW(r->pg, w->pad));
  WL_TRY(WL_NEW(r->u, w->pad));
  WL_TRY(WL_NEW(r->state, w->state + 1));
  WL_TRY(WL_NEW(r->scratch,
                (m->precondition ? wl_precondition_scratch(m->precondition, w->n) : 0) + 1));
  r->factor_size = m->precondition ? m->precondition->factor : 0;
  WL_TRY(WL_NEW(r->factor, w->steps * r->factor_size + 1));
  WL_TRY(WL_NEW(r->live, w->pad));
  WL_TRY(WL_NEW(r->g, w->steps * w->pad));
  WL_TRY(WL_NEW(r->thetas, (w->steps + 1) * w->pad));
  WL_TRY(WL_NEW(r->updates, w->steps * w->pad));
  WL_TRY(WL_NEW(r->inner_loss, w->steps));
  if (w->teacher) {
    WL_TRY(WL_NEW(r->taught, w->steps * w->pad));
    WL_TRY(WL_NEW(r->teacher_state, wl_rule_state_reals(w->teacher, wl_task_theta(w->task))));
  }
  return WL_NEW(r->outer_loss, w->steps + 1);
}

wl_status wl_rollout_create(const wl_check_window *w, wl_rollout **out) {
  wl_rollout *r = NULL;
  WL_TRY(WL_NEW(r, 1));
  r->window = w;
  wl_status status = allocate(r);
  if (status == WL_OK) status = wl_task_ws_create(w->task, false, &r->task_ws);
  if (status == WL_OK) status = wl_task_bind(w->task, r->task_ws, &w->episode);
  if (status == WL_OK)
    status = wl_rule_ws_create(w->problem->model->rule, wl_task_theta(w->task), false, w->threads,
                               &r->rule_ws);
  if (status == WL_OK && w->teacher)
    status = wl_rule_ws_create(w->teacher, wl_task_theta(w->task), false, w->threads, &r->teacher_ws);
  if (status == WL_OK && w->teacher) wl_rule_pack(w->teacher, r->teacher_ws, NULL);
  if (status != WL_OK) wl_rollout_destroy(&r);
  *out = r;
  return status;
}

void wl_rollout_destroy(wl_rollout **rollout) {
  wl_rollout *r = *rollout;
  if (!r) return;
  void *const owned[] = {r->factor,  r->phi,        r->theta,     r->pg, r->u,
                         r->state,   r->scratch,    r->live,      r->g,  r->thetas,
                         r->updates, r->inner_loss, r->outer_loss, r->taught, r->teacher_state};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_task_ws_destroy(&r->task_ws);
  wl_rule_ws_destroy(&r->rule_ws);
  wl_rule_ws_destroy(&r->teacher_ws);
  wl_free(r);
  *rollout = NULL;
}

wl_batch wl_rollout_inner_batch(const wl_check_window *w, int64_t k) {
  return (wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, w->t0 + k};
}

wl_batch wl_rollout_outer_batch(const wl_check_window *w, int64_t k) {
  if (!w->problem->spec.fresh) return wl_rollout_inner_batch(w, k);
  return (wl_batch){WL_FOR_OUTER_BATCH, w->problem->spec.outer_split, w->t0 + k};
}

/* Returns w_k. If the episode ends within the window, the window has fewer steps and uses the last
 * weights of the list. */
static double weight_of(const wl_check_window *w, int64_t k) {
  const wl_window_spec *spec = &w->problem->spec;
  if (spec->weights == WL_WEIGHTS_LIST) return spec->list[k + spec->steps - w->steps];
  if (spec->weights == WL_WEIGHTS_LAST) return k < w->steps - spec->earlier ? 0.0 : 1.0;
  return spec->weights == WL_WEIGHTS_MEAN ? 1.0 / (double)(1 + w->steps) : 1.0;
}

static double transformed(const wl_window_spec *spec, double loss, double start) {
  if (spec->transform == WL_LOSS_LOG) return log(loss);
  if (spec->transform == WL_LOSS_LOG_RATIO) return log(loss) - log(start);
  if (spec->transform == WL_LOSS_CLIPPED) return loss < spec->clip ? loss : spec->clip;
  return loss;
}

static const wl_real *warp_of(const wl_rollout *r) {
  const wl_model *m = r->window->problem->model;
  return m->warp_size > 0 ? r->phi + m->warp_at : NULL;
}

static double loss_at(wl_rollout *r, wl_batch batch, wl_real *gradient) {
  return wl_task_loss(r->window->task, r->task_ws, &(wl_task_point){&batch, r->theta, warp_of(r)},
                      gradient, NULL);
}

static void start(wl_rollout *r, const double *phi) {
  const wl_check_window *w = r->window;
  const wl_model *m = w->problem->model;
  for (int64_t i = 0; i < m->phi.size; i++) r->phi[i] = (wl_real)phi[i];
  wl_rule_pack(m->rule, r->rule_ws, r->phi + m->rule_at);
  memcpy(r->theta, w->theta_start, (size_t)w->pad * sizeof *r->theta);
  memcpy(r->state, w->state_start, (size_t)(w->state + 1) * sizeof *r->state);
  if (w->teacher)
    memcpy(r->teacher_state, w->teacher_start,
           (size_t)wl_rule_state_reals(w->teacher, wl_task_theta(w->task)) * sizeof *r->theta);
  if (m->initialisation && w->t0 == 0)
    wl_initialisation_start(m->initialisation, r->phi + m->theta0_at, r->theta);
}

/* Preconditions the gradient of step k. If the definition of F keeps a value constant, this value
 * is read from the last run with WL_ROLLOUT_TRACE. */
static void precondition(wl_rollout *r, int64_t k, const wl_real *g, wl_rollout_mode mode) {
  const wl_check_window *w = r->window;
  const wl_model *m = w->problem->model;
  wl_real *factor = r->factor + k * r->factor_size;
  wl_real *before = m->precondition->reads_before ? r->state + w->state - w->pad : NULL;
  const wl_gradient step = {
      .t = w->t0 + k, .n = w->n, .g = g, .theta = r->theta, .factor = factor, .before = before};
  if (mode == WL_ROLLOUT_TRACE)
    wl_precondition_find_factor(m->precondition, &step, factor, r->scratch);
  wl_precondition_apply(m->precondition, r->phi + m->precondition_at, &step, r->pg, r->scratch);
  if (before) memcpy(before, r->pg, (size_t)w->pad * sizeof *before);
}

static double dot(const wl_real *a, const wl_real *b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)(a[i] * b[i]);
  return sum;
}

/* Returns a D_cos + b D_mag + c D_dist, the distance of the update u from the teacher's update e.
 * `weight` contains a, b and c. D_cos and D_mag are means over the tensors with two or more axes,
 * or over all tensors if none has two axes. */
static double apart(const wl_layout *theta, const double *weight, const wl_real *e, const wl_real *u) {
  const double ee = dot(e, e, theta->size), eu = dot(e, u, theta->size), uu = dot(u, u, theta->size);
  double cosines = 0.0, sizes = 0.0;
  int matrices = 0, taken = 0;
  for (int j = 0; j < theta->count; j++) matrices += theta->tensors[j].ndim >= 2;
  for (int j = 0; j < theta->count; j++) {
    const int64_t at = theta->tensors[j].offset, n = theta->tensors[j].size;
    if (matrices > 0 && theta->tensors[j].ndim < 2) continue;
    double difference = 0.0;
    for (int64_t i = at; i < at + n; i++)
      difference += fabs(fabs((double)u[i]) - fabs((double)e[i])) / (double)n;
    cosines += 1.0 - dot(e + at, u + at, n) /
                         (sqrt(dot(e + at, e + at, n)) * sqrt(dot(u + at, u + at, n)));
    sizes += difference;
    taken++;
  }
  return (weight[0] * cosines + weight[1] * sizes) / taken + weight[2] * (ee - 2.0 * eu + uu) / ee;
}

/* Computes the teacher's update and replaces r->u by the mixture of both updates. Returns this step's term of F'. */
static double imitate(wl_rollout *r, int64_t k, const wl_inner_step *learned, wl_rollout_mode mode) {
  const wl_check_window *w = r->window;
  const wl_imitation *m = w->problem->imitation;
  const wl_imitation_weights weights = wl_imitation_at(m, 0);
  wl_real *const e = r->taught + k * w->pad;
  wl_inner_step step = *learned;
  step.horizon = wl_imitation_span(m, learned->horizon);
  step.g = r->g + k * w->pad;
  step.s_in = step.s_out = r->teacher_state;
  step.u = e;
  if (mode != WL_ROLLOUT_FROZEN) wl_rule_step(w->teacher, r->teacher_ws, &step);
  const double term = apart(wl_task_theta(w->task), weights.term, e, r->u);
  for (int64_t i = 0; i < w->n; i++)
    r->u[i] += (wl_real)weights.force * (e[i] - r->u[i]);
  return term;
}

/* Advances theta_k to theta_{k+1} and returns the imitation term of the step. If `mode` is
 * WL_ROLLOUT_FROZEN, the inner gradient is read from the stored results. In the other modes, the
 * inner gradient is computed. */
static double step(wl_rollout *r, int64_t k, wl_rollout_mode mode) {
  const wl_check_window *w = r->window;
  const wl_model *m = w->problem->model;
  wl_real *g = mode == WL_ROLLOUT_REAL ? r->live : r->g + k * w->pad, *input = g;
  double loss = r->inner_loss[k];
  if (mode != WL_ROLLOUT_FROZEN) loss = loss_at(r, wl_rollout_inner_batch(w, k), g);
  if (m->precondition) {
    precondition(r, k, g, mode);
    input = r->pg;
  }
  const int64_t horizon = w->problem->horizon[w->problem->n_horizon - 1];
  const wl_inner_step inner = {w->t0 + k, horizon,  loss,     w->pad / WL_LANES, input,
                               r->theta,  r->state, r->state, r->u,              NULL};
  wl_rule_step(m->rule, r->rule_ws, &inner);
  const double term = w->teacher ? imitate(r, k, &inner, mode) : 0.0;
  for (int64_t i = 0; i < w->n; i++) r->theta[i] += r->u[i];
  if (mode != WL_ROLLOUT_TRACE) return term;
  r->inner_loss[k] = loss;
  memcpy(r->updates + k * w->pad, r->u, (size_t)w->pad * sizeof *r->u);
  return term;
}

/* Returns w_k T(L_out(theta_k)). At the start of the episode, also sets *start_loss to the
 * loss L_0. The transform `log_ratio` returns log(L / L_0). */
static double outer_term(wl_rollout *r, int64_t k, double *start_loss, wl_rollout_mode mode) {
  const wl_check_window *w = r->window;
  const bool first = k == 0 && w->t0 == 0;
  const double weight = weight_of(w, k);
  const bool wanted = weight != 0.0 || first;
  const double loss = wanted ? loss_at(r, wl_rollout_outer_batch(w, k), NULL) : NAN;
  if (first) *start_loss = loss;
  const double term =
      weight != 0.0 ? weight * transformed(&w->problem->spec, loss, *start_loss) : 0.0;
  if (mode != WL_ROLLOUT_TRACE) return term;
  memcpy(r->thetas + k * w->pad, r->theta, (size_t)w->pad * sizeof *r->theta);
  r->outer_loss[k] = loss;
  r->magnitude += fabs(term);
  return term;
}

double wl_rollout_run(wl_rollout *r, const double *phi, wl_rollout_mode mode) {
  const int64_t steps = r->window->steps;
  const wl_check_window *w = r->window;
  double total = 0.0, apart = 0.0, weights = 0.0, start_loss = w->start_loss;
  start(r, phi);
  if (mode == WL_ROLLOUT_TRACE) r->magnitude = 0.0;
  for (int64_t k = 0; k < steps; k++) {
    total += outer_term(r, k, &start_loss, mode);
    apart += step(r, k, mode);
  }
  total += outer_term(r, steps, &start_loss, mode);
  for (int64_t k = 0; k <= steps; k++) weights += weight_of(w, k);
  if (!w->teacher) return total;
  apart *= weights / (double)steps;
  if (mode == WL_ROLLOUT_TRACE) r->magnitude += fabs(apart);
  return wl_imitation_at(w->problem->imitation, 0).task * total + apart;
}
