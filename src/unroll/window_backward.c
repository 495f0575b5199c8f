/* window_backward.c - runs the backward pass of a window: the adjoint recursion of window.h, for
 * each segment and each chunk of a segment.
 *
 * In first order, no term couples coordinates. The adjoint of the rule therefore processes a whole
 * chunk of steps for a few coordinates at a time, so that the values of these coordinates stay in
 * the cache. In second order, the Hessian of each step couples all coordinates. In this case, the
 * outermost loop is over time, and the adjoint of the rule processes one step of all coordinates at
 * a time. The adjoint of the rule also processes one step at a time if a preconditioner reads
 * theta. */
#include <string.h>

#include "unroll/window_impl.h"

/* The position of a chunk of `count` steps. The first step of the chunk has the number `first` in
 * the window and the number `slot` in the segment. */
typedef struct chunk_place {
  int64_t first, slot, count;
} chunk_place;

static const wl_real *at(const wl_real *trace, int64_t slot, const wl_window_plan *p) {
  return trace ? trace + slot * p->pad : NULL;
}

/* Returns the last stored state that belongs to step `slot` of the segment or to an earlier
 * step. */
static const wl_real *kept_state(const wl_unroll_ws *ws, int64_t slot) {
  return ws->traces.rule.kind->before(&ws->traces.rule, slot);
}

/* Returns the inputs of the preconditioner at step j of the chunk. The array ws->pg must contain
 * the preconditioned gradients of the earlier steps of the chunk. */
static wl_gradient gradient_at(const wl_window_run_state *run, chunk_place c, int64_t j) {
  const wl_unroll_ws *ws = run->ws;
  const int64_t slot = c.slot + j;
  wl_gradient in =
      wl_ws_gradient(ws, run->t0 + c.first + j, slot, at(ws->traces.g, slot, &ws->plan),
                     at(ws->traces.theta, slot, &ws->plan));
  if (ws->plan.reads_before)
    in.before = j > 0 ? at(ws->pg, j - 1, &ws->plan) : wl_ws_before(ws, kept_state(ws, c.slot));
  return in;
}

/* Computes and returns the preconditioned gradients of all steps of the chunk. Returns the raw
 * gradients if there is no preconditioner. */
static const wl_real *preconditioned(const wl_window_run_state *run, chunk_place c) {
  wl_unroll_ws *ws = run->ws;
  const wl_model *m = ws->model;
  if (!m->precondition) return at(ws->traces.g, c.slot, &ws->plan);
  for (int64_t j = 0; j < c.count; j++) {
    const wl_gradient step = gradient_at(run, c, j);
    wl_precondition_apply(m->precondition, ws->phi + m->precondition_at, &step,
                          ws->pg + j * ws->plan.pad, ws->scratch);
  }
  return ws->pg;
}

/* Runs the adjoint of the preconditioner P at step j of the chunk. Adds the gradient with respect
 * to the parameters of P. If `want_raw` is true, replaces gbar by the adjoint of the raw gradient.
 * If P reads its result of the previous step, mu contains the adjoint of this result, at the offset
 * before_at. */
static void precondition_adjoint(wl_window_run_state *run, chunk_place c, int64_t j, wl_real *gbar,
                                 bool want_raw) {
  wl_unroll_ws *ws = run->ws;
  const wl_model *m = ws->model;
  if (!m->precondition) return;
  const wl_gradient step = gradient_at(run, c, j);
  wl_real *const before = ws->plan.reads_before ? ws->adjoint.mu + ws->plan.before_at : NULL;
  for (int64_t i = 0; before && i < ws->plan.n; i++) gbar[i] += before[i];
  const wl_gradient_bar bar = {.out = gbar,
                               .g = want_raw ? gbar : NULL,
                               .theta = ws->adjoint.lam,
                               .before = before,
                               .phi = run->phi_grad + m->precondition_at};
  wl_precondition_adjoint(m->precondition, ws->phi + m->precondition_at, &step, &bar, ws->scratch);
}

/* Returns the inputs with which the rule's adjoint processes `count` steps, from step j of the
 * chunk on. */
static wl_rule_chunk rule_chunk(wl_window_run_state *run, chunk_place c, int64_t j, int64_t count,
                                const wl_real *pg, const wl_real *state) {
  wl_unroll_ws *ws = run->ws;
  const wl_window_plan *p = &ws->plan;
  const wl_real *const kept = wl_trace_activations(&ws->traces.rule, c.slot + j);
  return (wl_rule_chunk){.t0 = run->t0 + c.first + j,
                         .steps = count,
                         .blocks = p->blocks,
                         .horizon = run->unit->horizon,
                         .loss = ws->inner_loss + c.first + j,
                         .g = pg + j * p->pad,
                         .theta = at(ws->traces.theta, c.slot + j, p),
                         .state = state,
                         .loss_grad = at(ws->traces.outer_g, c.slot + j, p),
                         .loss_weight = ws->weight + c.first + j,
                         .lam = ws->adjoint.lam,
                         .mu = ws->adjoint.mu,
                         .gbar = ws->adjoint.gbar,
                         .activations = kept,
                         .activations_before = kept && j > 0 ? kept - p->kept.record : NULL};
}

/* Computes rule_bar and the increments of rule_bar for `count` steps from `slot`, in an episode
 * that imitates. The vector rule_bar is the adjoint x_k of the rule's update u_k. A step adds (1 -
 * f) u_k to theta. Let e_k be the derivative of the imitation terms with respect to u_k:
 *
 *   x_k = (1 - f) lam_{k+1} + e_k
 *   x_{k-1} = x_k + (1 - f) w_k grad L_out(theta_k) + e_{k-1} - e_k
 *
 * The second equation holds if the rule does not read theta.
 *
 * When the rule's adjoint processes a chunk, the adjoint receives x instead of lam, and the
 * increments of x instead of the gradients of the losses. */
static void prepare_rule_bar(wl_window_run_state *run, int64_t first, int64_t slot, int64_t count) {
  wl_unroll_ws *ws = run->ws;
  const int64_t pad = ws->plan.pad;
  const wl_real through = (wl_real)(1.0 - ws->imitation.weights.force);
  const wl_real *const e = ws->imitation.bar + slot * pad;
  for (int64_t i = 0; i < pad; i++)
    ws->imitation.rule_bar[i] = through * ws->adjoint.lam[i] + e[(count - 1) * pad + i];
  for (int64_t k = 1; k < count; k++) {
    const wl_real weight = through * (wl_real)ws->weight[first + k];
    const wl_real *const loss = at(ws->traces.outer_g, slot + k, &ws->plan);
    wl_real *const out = ws->imitation.rule_bar_steps + k * pad;
    for (int64_t i = 0; i < pad; i++)
      out[i] = (weight != 0 ? weight * loss[i] : 0) + e[(k - 1) * pad + i] - e[k * pad + i];
  }
}

/* Computes lam at the start of the chunk by adding the weighted gradients of the losses. If the
 * rule reads theta, the chunk has one step. The function then also adds the rule's contribution to
 * lam, which is the difference between rule_bar and rule_bar_before. */
static void finish_lam(wl_window_run_state *run, int64_t first, int64_t slot, int64_t count,
                       const wl_real *rule_bar_before) {
  wl_unroll_ws *ws = run->ws;
  for (int64_t i = 0; rule_bar_before && i < ws->plan.pad; i++)
    ws->adjoint.lam[i] += ws->imitation.rule_bar[i] - rule_bar_before[i];
  for (int64_t k = count - 1; k >= 0; k--) {
    const wl_real weight = (wl_real)ws->weight[first + k];
    const wl_real *const loss = at(ws->traces.outer_g, slot + k, &ws->plan);
    for (int64_t i = 0; weight != 0 && i < ws->plan.pad; i++)
      ws->adjoint.lam[i] += weight * loss[i];
  }
}

/* Runs the rule's adjoint over a chunk of a window that imitates. If the rule reads theta, the
 * chunk must have one step. */
static void imitation_adjoint(wl_window_run_state *run, const wl_rule_chunk *chunk, int64_t first,
                              int64_t slot, double *phi_grad) {
  static const double weights[WL_CHUNK_STEPS] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  wl_unroll_ws *ws = run->ws;
  const bool reads_theta = ws->model->rule->reads_theta;
  wl_rule_chunk own = *chunk;
  prepare_rule_bar(run, first, slot, chunk->steps);
  wl_real *const before =
      /* the buffer rule_bar_steps is free here, because a chunk of one step has no increments */
      reads_theta ? ws->imitation.rule_bar_steps : NULL;
  if (before) memcpy(before, ws->imitation.rule_bar, (size_t)ws->plan.pad * sizeof *before);
  own.lam = ws->imitation.rule_bar;
  own.loss_grad = reads_theta ? NULL : ws->imitation.rule_bar_steps;
  own.loss_weight = weights;
  wl_rule_backward(ws->model->rule, ws->rule_ws, &own, phi_grad);
  finish_lam(run, first, slot, chunk->steps, before);
}

static void rule_adjoint(wl_window_run_state *run, const wl_rule_chunk *chunk, int64_t first,
                         int64_t slot) {
  const wl_unroll_ws *ws = run->ws;
  double *const phi_grad = run->phi_grad + ws->model->rule_at;
  if (run->imitates) imitation_adjoint(run, chunk, first, slot, phi_grad);
  else wl_rule_backward(ws->model->rule, ws->rule_ws, chunk, phi_grad);
}

static void whole_chunk(wl_window_run_state *run, chunk_place c) {
  wl_unroll_ws *ws = run->ws;
  const wl_rule_chunk chunk =
      rule_chunk(run, c, 0, c.count, preconditioned(run, c), kept_state(ws, c.slot));
  rule_adjoint(run, &chunk, c.first, c.slot);
  for (int64_t j = c.count - 1; ws->model->precondition && j >= 0; j--)
    precondition_adjoint(run, c, j, ws->adjoint.gbar + j * ws->plan.pad, false);
}

/* Recomputes the state before each step of the chunk from the stored state at the start of the
 * chunk. */
static void recompute_states(wl_window_run_state *run, chunk_place c, const wl_real *pg) {
  wl_unroll_ws *ws = run->ws;
  const wl_window_plan *p = &ws->plan;
  memcpy(ws->traces.rule.chunk, kept_state(ws, c.slot), (size_t)p->kept.state * sizeof(wl_real));
  for (int64_t j = 0; j + 1 < c.count; j++)
    wl_rule_step(ws->model->rule, ws->rule_ws,
                 &(wl_inner_step){.t = run->t0 + c.first + j,
                                  .horizon = run->unit->horizon,
                                  .loss = ws->inner_loss[c.first + j],
                                  .blocks = p->blocks,
                                  .g = pg + j * p->pad,
                                  .theta = at(ws->traces.theta, c.slot + j, p),
                                  .s_in = ws->traces.rule.chunk + j * p->kept.state,
                                  .s_out = ws->traces.rule.chunk + (j + 1) * p->kept.state,
                                  .u = ws->u});
}

/* Adds the second-order terms of one step: adds H gbar to lam, and adds (d grad L_in / dphi)^T gbar
 * to the phi-gradient. */
static void hessian_term(wl_window_run_state *run, int64_t k, int64_t slot, const wl_real *gbar) {
  wl_unroll_ws *ws = run->ws;
  const wl_batch batch = wl_inner_batch(run->unit, run->t0 + k);
  wl_real *const warp = ws->model->warp_size > 0 ? ws->adjoint.warp_grad : NULL;
  const wl_real *const theta = at(ws->traces.theta, slot, &ws->plan);
  if (k == ws->held)
    wl_task_hvp_here(ws->task, ws->task_ws, &(wl_task_point){&batch, theta, wl_ws_warp(ws)}, gbar,
                     ws->adjoint.hv, warp);
  else
    wl_task_hvp(ws->task, ws->task_ws, &(wl_task_point){&batch, theta, wl_ws_warp(ws)}, gbar,
                ws->adjoint.hv, warp);
  ws->held = k;
  for (int64_t i = 0; i < ws->plan.n; i++) ws->adjoint.lam[i] += ws->adjoint.hv[i];
  double *mixed = run->phi_grad + ws->model->warp_at;
  for (int64_t i = 0; i < ws->model->warp_size; i++) mixed[i] += ws->adjoint.warp_grad[i];
}

/* Adds bar * grad L_in to lam, and bar * dL_in/dphi to the gradient of the warp layers. The two
 * terms bar * grad L_in and bar * dL_in/dphi exist only if the inner loss is an input of the rule.
 * `bar` is the adjoint of the inner loss. */
static void loss_term(wl_window_run_state *run, int64_t k, int64_t slot, double bar) {
  wl_unroll_ws *ws = run->ws;
  const wl_real *const g = at(ws->traces.g, slot, &ws->plan);
  for (int64_t i = 0; i < ws->plan.n; i++) ws->adjoint.lam[i] += (wl_real)bar * g[i];
  if (ws->model->warp_size == 0) return;
  const wl_batch batch = wl_inner_batch(run->unit, run->t0 + k);
  wl_task_loss(ws->task, ws->task_ws,
               &(wl_task_point){&batch, at(ws->traces.theta, slot, &ws->plan), wl_ws_warp(ws)},
               ws->adjoint.hv, ws->adjoint.warp_grad);
  ws->held = k;
  double *direct = run->phi_grad + ws->model->warp_at;
  for (int64_t i = 0; i < ws->model->warp_size; i++)
    direct[i] += bar * (double)ws->adjoint.warp_grad[i];
}

/* Runs the adjoint of a chunk one step at a time, from the last step to the first. */
static void stepwise_chunk(wl_window_run_state *run, chunk_place c) {
  wl_unroll_ws *ws = run->ws;
  const bool second = ws->spec.second_order;
  const wl_real *pg = preconditioned(run, c);
  if (ws->traces.rule.chunk) recompute_states(run, c, pg);
  for (int64_t j = c.count - 1; j >= 0; j--) {
    const wl_real *state = ws->traces.rule.chunk ? ws->traces.rule.chunk + j * ws->plan.kept.state
                                                 : kept_state(ws, c.slot + j);
    wl_rule_chunk step = rule_chunk(run, c, j, 1, pg, state);
    double loss_bar = 0;
    step.loss_bar = second ? &loss_bar : NULL;
    rule_adjoint(run, &step, c.first + j, c.slot + j);
    precondition_adjoint(run, c, j, ws->adjoint.gbar, second);
    if (second) hessian_term(run, c.first + j, c.slot + j, ws->adjoint.gbar);
    if (loss_bar != 0) loss_term(run, c.first + j, c.slot + j, loss_bar);
  }
}

static wl_status segment_backward(wl_window_run_state *run, int64_t first, int64_t count) {
  const int64_t chunks = (count + WL_CHUNK_STEPS - 1) / WL_CHUNK_STEPS;
  for (int64_t i = chunks - 1; i >= 0; i--) {
    const int64_t slot = i * WL_CHUNK_STEPS;
    const chunk_place c = {first + slot, slot,
                           count - slot < WL_CHUNK_STEPS ? count - slot : WL_CHUNK_STEPS};
    if (wl_ws_is_interrupted(run->ws)) return WL_TRY_AGAIN;
    if (run->ws->plan.time_outermost) stepwise_chunk(run, c);
    else whole_chunk(run, c);
  }
  return WL_OK;
}

/* Sets lam_K = w_K T'(L_K) grad L_out(theta_K) and mu_K = 0. */
static void start_adjoint(wl_window_run_state *run) {
  wl_unroll_ws *ws = run->ws;
  const wl_window_plan *p = &ws->plan;
  const wl_real *last = at(ws->traces.outer_g, (run->steps - 1) % p->segment + 1, p);
  const wl_real weight = (wl_real)ws->weight[run->steps];
  for (int64_t i = 0; i < p->pad; i++) ws->adjoint.lam[i] = weight != 0 ? weight * last[i] : 0;
  if (ws->adjoint.mu) memset(ws->adjoint.mu, 0, (size_t)p->kept.state * sizeof *ws->adjoint.mu);
}

wl_status wl_window_backward(wl_unroll_ws *ws, double *phi_grad) {
  wl_window_run_state *const run = &ws->run;
  run->phi_grad = phi_grad;
  const wl_window_plan *p = &ws->plan;
  const int64_t segments = (run->steps + p->segment - 1) / p->segment;
  start_adjoint(run);
  for (int64_t s = segments - 1; s >= 0; s--) {
    const int64_t first = s * p->segment;
    const int64_t count = run->steps - first < p->segment ? run->steps - first : p->segment;
    if (s < segments - 1) {
      if (run->imitates) run->teacher = ws->snapshots.teacher + s * p->teacher;
      wl_window_retrace(run, first, count, ws->snapshots.theta + s * p->pad,
                        ws->snapshots.state + s * p->kept.state);
    }
    WL_TRY(segment_backward(run, first, count));
  }
  const wl_initialisation *init = ws->model->initialisation;
  if (init && init->adjoint && run->t0 == 0)
    wl_initialisation_adjoint(init, ws->adjoint.lam, run->phi_grad + ws->model->theta0_at);
  return wl_task_status(ws->task);
}
