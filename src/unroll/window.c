/* window.c - runs the steps of a window forward, and recomputes the steps of a segment. The
 * recursion is in window.h.
 *
 * The forward pass and the recomputation call the same functions for each step, so a recomputed
 * segment has the same bits as in the forward pass. Only the forward pass computes the meta-loss,
 * its weights and the direct terms dL_out/dphi. */
#include <math.h>
#include <string.h>

#include "base/finite.h"
#include "unroll/restart.h"
#include "unroll/window_impl.h"

/* Returns w_k, the weight of loss number k, in a window of `steps` steps. A window that is shorter
 * than spec->steps uses the last weights of a list. */
static double raw_weight(const wl_window_spec *spec, int64_t k, int64_t steps) {
  switch (spec->weights) {
    case WL_WEIGHTS_SUM: return 1.0;
    case WL_WEIGHTS_MEAN: return 1.0 / (double)(steps + 1);
    case WL_WEIGHTS_LAST: return k >= steps - spec->earlier ? 1.0 : 0.0;
    case WL_WEIGHTS_LIST: return spec->list[spec->steps - steps + k];
  }
  return 0.0;
}

static double transform(const wl_window_spec *spec, double loss, double start) {
  switch (spec->transform) {
    case WL_LOSS_PLAIN: return loss;
    case WL_LOSS_LOG: return log(loss);
    case WL_LOSS_LOG_RATIO: return log(loss / start);
    case WL_LOSS_CLIPPED: return fmin(loss, spec->clip);
  }
  return loss;
}

static double transform_slope(const wl_window_spec *spec, double loss) {
  switch (spec->transform) {
    case WL_LOSS_PLAIN: return 1.0;
    case WL_LOSS_LOG:
    case WL_LOSS_LOG_RATIO: return 1.0 / loss;
    case WL_LOSS_CLIPPED: return loss < spec->clip ? 1.0 : 0.0;
  }
  return 1.0;
}

/* Returns true if loss k of the window is the first loss of the episode, which is the denominator
 * in the transform log_ratio. */
static bool holds_start(const wl_window_run_state *run, int64_t k) {
  return k == 0 && run->t0 == 0;
}

static bool needs_outer(const wl_window_run_state *run, int64_t k) {
  const wl_window_spec *spec = &run->ws->spec;
  return raw_weight(spec, k, run->steps) != 0.0 ||
         (holds_start(run, k) && spec->transform == WL_LOSS_LOG_RATIO);
}

/* Returns w_k T'(L_k), the derivative of the meta-loss with respect to L_k. For log_ratio, the
 * derivative with respect to L_0 also contains the derivative of the denominator. */
static double effective_weight(const wl_window_run_state *run, int64_t k, double loss) {
  const wl_window_spec *spec = &run->ws->spec;
  const double share = run->imitates ? run->ws->imitation.weights.task : 1.0;
  const double weight = share * raw_weight(spec, k, run->steps) * transform_slope(spec, loss);
  const bool denominator = holds_start(run, k) && spec->transform == WL_LOSS_LOG_RATIO;
  return denominator ? weight - share * run->weight_sum / loss : weight;
}

/* Adds the outer loss at theta_k to the meta-loss, and stores the weight of this loss for the
 * backward pass. Also adds the direct term dL_out/dphi to the gradient of the warp layers. */
static void accumulate_outer(wl_window_run_state *run, int64_t k, double loss,
                             wl_window_result *result) {
  wl_unroll_ws *ws = run->ws;
  if (holds_start(run, k)) run->unit->start_loss = loss;
  ws->outer_loss[k] = loss;
  ws->weight[k] = effective_weight(run, k, loss);
  const double w = raw_weight(&ws->spec, k, run->steps);
  if (w != 0.0) result->meta_loss += w * transform(&ws->spec, loss, run->unit->start_loss);
  if (!run->phi_grad || !ws->with_gradient) return;
  double *direct = run->phi_grad + ws->model->warp_at;
  for (int64_t i = 0; i < ws->model->warp_size; i++)
    direct[i] += ws->weight[k] * ws->adjoint.warp_grad[i];
}

/* Records an outer loss that has no weight in the meta-loss. `loss` is the inner loss if inner and
 * outer losses use the same minibatch. If inner and outer losses use different minibatches, `loss`
 * is NaN. */
static void skip_outer(wl_unroll_ws *ws, int64_t k, double loss) {
  ws->outer_loss[k] = loss;
  ws->weight[k] = 0.0;
}

/* Returns the index of the trace in which step `slot` of a segment stores its values. If the window
 * has no backward pass, all steps use index 0. */
static int64_t trace_slot(const wl_unroll_ws *ws, int64_t slot) {
  return ws->with_gradient ? slot : 0;
}

/* Computes the outer loss at theta_k and stores its gradient in the trace. If the loss has no
 * weight, sets the gradient to zero and returns NaN. Sets *counted to true if the loss has a
 * weight. */
static double outer_gradient(wl_window_run_state *run, int64_t k, int64_t slot,
                             const wl_real *theta, bool *counted) {
  wl_unroll_ws *ws = run->ws;
  wl_real *out = ws->traces.outer_g + trace_slot(ws, slot) * ws->plan.pad;
  *counted = needs_outer(run, k);
  if (!*counted) {
    memset(out, 0, (size_t)ws->plan.pad * sizeof *out);
    return NAN;
  }
  const bool last_inner = !ws->spec.fresh;
  const int64_t drawn = run->unit->draw + run->t0 + k;
  const wl_batch batch = last_inner ? wl_inner_batch(run->unit, run->t0 + k)
                                    : (wl_batch){WL_FOR_OUTER_BATCH, ws->spec.outer_split, drawn};
  wl_real *gradient = ws->with_gradient ? out : NULL;
  return wl_task_loss(ws->task, ws->outer_task_ws, &(wl_task_point){&batch, theta, wl_ws_warp(ws)},
                      gradient, ws->with_gradient ? ws->adjoint.warp_grad : NULL);
}

static void keep_start_of_step(wl_unroll_ws *ws, int64_t slot, const wl_real *theta,
                               const wl_real *state) {
  const wl_window_plan *p = &ws->plan;
  if (!ws->with_gradient) return;
  if (p->keep_theta)
    memcpy(ws->traces.theta + slot * p->pad, theta, (size_t)p->pad * sizeof *theta);
  ws->traces.rule.kind->keep(&ws->traces.rule, slot, state);
}

/* Returns the address to which step `slot` of a segment writes the next state. */
static wl_real *state_after(const wl_unroll_ws *ws, int64_t slot, wl_real *state) {
  return ws->with_gradient ? ws->traces.rule.kind->after(&ws->traces.rule, slot, state) : state;
}

/* Copies the current state to the unit if the last step wrote the state to the trace. */
static void bring_state(wl_window_run_state *run) {
  if (run->state == run->unit->state) return;
  memcpy(run->unit->state, run->state, (size_t)run->ws->plan.kept.state * sizeof *run->state);
}

/* Computes the derivative of F' with respect to each imitation term of a step: W / K times the
 * weight of the term. The factor is W / K because F' contains W times the mean of the terms over
 * the K steps. */
static void imitation_slopes(const wl_window_run_state *run, double slope[WL_IMITATION_TERMS]) {
  for (int i = 0; i < WL_IMITATION_TERMS; i++)
    slope[i] = run->ws->imitation.weights.term[i] * run->weight_sum / (double)run->steps;
}

/* Computes the update of the teacher and the imitation terms of step k. Then replaces the update u
 * of the rule by f times the teacher's update plus (1 - f) u. */
static void imitate(wl_window_run_state *run, int64_t k, int64_t slot,
                    const wl_inner_step *learned) {
  wl_unroll_ws *const ws = run->ws;
  const wl_imitation *const m = ws->spec.imitation;
  const wl_layout *const layout = wl_task_theta(ws->task);
  wl_inner_step step = *learned;
  step.horizon = wl_imitation_span(m, run->unit->horizon);
  step.g = ws->traces.g + trace_slot(ws, slot) * ws->plan.pad;
  step.s_in = step.s_out = run->teacher;
  step.u = ws->imitation.taught;
  step.activations = NULL;
  wl_rule_step(wl_imitation_teacher(m), ws->imitation.teacher, &step);
  wl_imitation_compare(layout, ws->imitation.taught, ws->u,
                       ws->imitation.terms + k * WL_IMITATION_TERMS);
  if (ws->with_gradient) {
    double slope[WL_IMITATION_TERMS];
    imitation_slopes(run, slope);
    wl_imitation_adjoint(layout, slope, ws->imitation.taught, ws->u,
                         ws->imitation.bar + slot * ws->plan.pad);
  }
  const wl_real force = (wl_real)ws->imitation.weights.force;
  for (int64_t i = 0; i < ws->plan.n; i++)
    ws->u[i] = force * ws->imitation.taught[i] + (1 - force) * ws->u[i];
}

/* Computes the update u of step k from the raw gradient, and adds u to theta. `slot` is the number
 * of the step in its segment. `before` and `after` are the states before and after the step. */
static void apply_rule(wl_window_run_state *run, int64_t k, int64_t slot, wl_real *theta,
                       const wl_real *before, wl_real *after) {
  wl_unroll_ws *const ws = run->ws;
  const wl_model *m = ws->model;
  const wl_real *const g = ws->traces.g + trace_slot(ws, slot) * ws->plan.pad, *input = g;
  if (m->precondition) {
    wl_gradient in = wl_ws_gradient(ws, run->t0 + k, slot, g, theta);
    in.before = wl_ws_before(ws, before);
    wl_precondition_find_factor(m->precondition, &in, wl_ws_factor(ws, slot), ws->scratch);
    wl_precondition_apply(m->precondition, ws->phi + m->precondition_at, &in, ws->pg, ws->scratch);
    if (in.before) memcpy(after + ws->plan.before_at, ws->pg, (size_t)ws->plan.pad * sizeof *after);
    input = ws->pg;
  }
  const wl_inner_step step = {.t = run->t0 + k,
                              .horizon = run->unit->horizon,
                              .loss = ws->inner_loss[k],
                              .blocks = ws->plan.blocks,
                              .g = input,
                              .theta = theta,
                              .s_in = before,
                              .s_out = after,
                              .u = ws->u,
                              .activations = wl_trace_activations(&ws->traces.rule, slot)};
  wl_rule_step(m->rule, ws->rule_ws, &step);
  if (run->imitates) imitate(run, k, slot, &step);
  for (int64_t i = 0; i < ws->plan.pad; i++) theta[i] += ws->u[i];
}

/* Copies the inner loss and gradient of the window's first step from the end of the previous
 * window. Returns the loss of the first step. */
static double resume_from_end(wl_window_run_state *run, int64_t slot) {
  wl_unroll_ws *ws = run->ws;
  wl_task_ws *const held = ws->outer_task_ws;
  ws->outer_task_ws = ws->task_ws;
  ws->task_ws = held;
  memcpy(ws->traces.g + slot * ws->plan.pad, ws->last.g,
         (size_t)ws->plan.pad * sizeof *ws->traces.g);
  if (ws->model->warp_size > 0)
    memcpy(ws->adjoint.warp_grad, ws->last.warp_grad,
           (size_t)ws->model->warp_size * sizeof *ws->adjoint.warp_grad);
  run->continues = false;
  return ws->last.end.loss;
}

/* Stores the outer loss and gradient at theta_K. A window that starts at theta_K uses this loss and
 * gradient as its first inner loss and gradient. */
static void keep_end(wl_window_run_state *run, int64_t slot, double loss) {
  wl_unroll_ws *ws = run->ws;
  if (!wl_ws_continues(ws)) return;
  const wl_unit *unit = run->unit;
  ws->last.end = (wl_window_end){true, unit->episode, unit->t, unit->draw, loss};
  memcpy(ws->last.theta, unit->theta, (size_t)ws->plan.pad * sizeof *ws->last.theta);
  memcpy(ws->last.g, ws->traces.g + slot * ws->plan.pad, (size_t)ws->plan.pad * sizeof *ws->last.g);
  if (ws->model->warp_size > 0)
    memcpy(ws->last.warp_grad, ws->adjoint.warp_grad,
           (size_t)ws->model->warp_size * sizeof *ws->adjoint.warp_grad);
}

static bool goes_on(const wl_unroll_ws *ws, const wl_unit *unit) {
  const wl_window_end *end = &ws->last.end;
  return end->valid && wl_same_episode(&end->episode, &unit->episode) && end->t == unit->t &&
         end->drawn == unit->draw &&
         memcmp(ws->last.theta, unit->theta, (size_t)ws->plan.pad * sizeof *unit->theta) == 0;
}

/* Computes the inner gradient at theta_k, stores it in the trace, and returns the inner loss. */
static double inner_gradient(wl_window_run_state *run, int64_t k, int64_t slot,
                             const wl_real *theta) {
  wl_unroll_ws *ws = run->ws;
  const wl_batch batch = wl_inner_batch(run->unit, run->t0 + k);
  const bool shared = ws->with_gradient && !ws->spec.fresh;
  ws->held = k;
  const double loss =
      run->continues
          ? resume_from_end(run, slot)
          : wl_task_loss(ws->task, ws->task_ws, &(wl_task_point){&batch, theta, wl_ws_warp(ws)},
                         ws->traces.g + trace_slot(ws, slot) * ws->plan.pad,
                         shared ? ws->adjoint.warp_grad : NULL);
  ws->inner_loss[k] = loss;
  return loss;
}

void wl_window_retrace(wl_window_run_state *run, int64_t first, int64_t count, wl_real *theta,
                       wl_real *state) {
  wl_unroll_ws *ws = run->ws;
  wl_real *now = state;
  for (int64_t slot = 0; slot < count; slot++) {
    bool counted;
    wl_real *const after = state_after(ws, slot, state);
    keep_start_of_step(ws, slot, theta, now);
    inner_gradient(run, first + slot, slot, theta);
    if (ws->spec.fresh) outer_gradient(run, first + slot, slot, theta, &counted);
    apply_rule(run, first + slot, slot, theta, now, after);
    now = after;
  }
}

/* Records the outer loss at theta_k for k < K. The outer loss is equal to the inner loss, unless
 * outer losses use separate minibatches. */
static void live_outer(wl_window_run_state *run, int64_t k, int64_t slot, double inner_loss,
                       wl_window_result *result) {
  wl_unroll_ws *ws = run->ws;
  bool counted = needs_outer(run, k);
  double loss = inner_loss;
  if (ws->spec.fresh) loss = outer_gradient(run, k, slot, run->unit->theta, &counted);
  if (counted) accumulate_outer(run, k, loss, result);
  else skip_outer(ws, k, loss);
}

double wl_unroll_inner_loss(wl_unroll_ws *ws, const wl_unit *unit) {
  const wl_batch batch = wl_inner_batch(unit, unit->t);
  ws->held = -1;
  return wl_task_loss(ws->task, ws->task_ws, &(wl_task_point){&batch, unit->theta, wl_ws_warp(ws)},
                      NULL, NULL);
}

/* Runs step k of the forward pass. If the inner loss is not finite, returns false and does not
 * change theta. */
static bool live_step(wl_window_run_state *run, int64_t k, const wl_observer *observers,
                      wl_window_result *result) {
  wl_unroll_ws *ws = run->ws;
  wl_unit *unit = run->unit;
  const int64_t slot = ws->with_gradient ? k % ws->plan.segment : 0;
  wl_real *const after = state_after(ws, slot, unit->state);
  keep_start_of_step(ws, slot, unit->theta, run->state);
  const double loss = inner_gradient(run, k, slot, unit->theta);
  live_outer(run, k, slot, loss, result);
  if (!isfinite(loss)) return false;
  const wl_real *g = ws->traces.g + trace_slot(ws, slot) * ws->plan.pad;
  const wl_step_view view = {run->t0 + k, loss,  ws->outer_loss[k], unit->theta,
                             g,           ws->u, unit->state};
  apply_rule(run, k, slot, unit->theta, run->state, after);
  run->state = after;
  if (observers) bring_state(run);
  for (const wl_observer *o = observers; o; o = o->next) o->step(o->context, &view);
  unit->t++;
  return true;
}

/* Stores theta and state if step k is the first step of a segment and the window has several
 * segments. */
static void keep_snapshot(wl_window_run_state *run, int64_t k) {
  const wl_window_plan *p = &run->ws->plan;
  if (!run->ws->with_gradient || p->segments < 2 || k % p->segment != 0) return;
  const int64_t s = k / p->segment;
  memcpy(run->ws->snapshots.theta + s * p->pad, run->unit->theta, (size_t)p->pad * sizeof(wl_real));
  if (p->kept.state > 0)
    memcpy(run->ws->snapshots.state + s * p->kept.state, run->unit->state,
           (size_t)p->kept.state * sizeof(wl_real));
  if (run->imitates)
    memcpy(run->ws->snapshots.teacher + s * p->teacher, run->teacher,
           (size_t)p->teacher * sizeof(wl_real));
}

/* Records the outer loss at theta_K after the last step. */
static void live_end(wl_window_run_state *run, wl_window_result *result) {
  wl_unroll_ws *ws = run->ws;
  const int64_t k = run->steps;
  const int64_t slot = ws->with_gradient ? (k - 1) % ws->plan.segment + 1 : 0;
  bool counted;
  const double loss = outer_gradient(run, k, slot, run->unit->theta, &counted);
  if (counted) keep_end(run, slot, loss);
  if (counted) accumulate_outer(run, k, loss, result);
  else skip_outer(ws, k, loss);
}

/* Stores the first and the last outer loss that were evaluated in the window, and the mean of all
 * outer losses that were evaluated. The last evaluated loss may be infinite. */
static void summarise(const wl_window_run_state *run, wl_window_result *result) {
  const double *loss = run->ws->outer_loss;
  double sum = 0.0;
  int64_t counted = 0;
  for (int64_t k = 0; k <= result->steps; k++) {
    if (isnan(loss[k])) continue;
    if (counted++ == 0) result->first_loss = loss[k];
    result->last_loss = loss[k];
    sum += loss[k];
  }
  result->mean_loss = counted > 0 ? sum / (double)counted : NAN;
}

static double sum_of_weights(const wl_window_spec *spec, int64_t steps) {
  double sum = 0.0;
  for (int64_t k = 0; k <= steps; k++) sum += raw_weight(spec, k, steps);
  return sum;
}

static wl_status bind(wl_unroll_ws *ws, const wl_unit *unit) {
  ws->held = -1;
  WL_TRY(wl_task_bind(unit->task, ws->task_ws, &unit->episode));
  return ws->outer_task_ws == ws->task_ws
             ? WL_OK
             : wl_task_bind(unit->task, ws->outer_task_ws, &unit->episode);
}

/* Replaces the meta-loss F in the result by F', which contains the imitation terms. If the caller
 * has set o->imitation, copies the imitation terms to o->imitation instead and does not change
 * F. */
static void close_imitation(const wl_window_run_state *run, const wl_window_options *o,
                            wl_window_result *result) {
  const wl_unroll_ws *ws = run->ws;
  const int64_t count = run->steps * WL_IMITATION_TERMS;
  double slope[WL_IMITATION_TERMS];
  if (o->imitation) {
    memcpy(o->imitation, ws->imitation.terms, (size_t)count * sizeof *ws->imitation.terms);
    return;
  }
  imitation_slopes(run, slope);
  result->meta_loss *= ws->imitation.weights.task;
  for (int64_t i = 0; i < count; i++)
    result->meta_loss += slope[i % WL_IMITATION_TERMS] * ws->imitation.terms[i];
}

/* Runs the steps of the window. If an inner loss is not finite, stops and sets *going to false. */
static wl_status run_steps(wl_window_run_state *run, const wl_observer *observers, bool *going,
                           wl_window_result *result) {
  for (int64_t k = 0; *going && k < run->steps; k++) {
    if (wl_ws_is_interrupted(run->ws)) return WL_TRY_AGAIN;
    keep_snapshot(run, k);
    *going = live_step(run, k, observers, result);
    if (*going) result->steps++;
  }
  return WL_OK;
}

wl_status wl_window_forward(wl_unroll_ws *ws, wl_unit *unit, int64_t steps,
                            const wl_window_options *options, wl_window_result *result) {
  static const wl_window_options nothing = {0};
  const wl_window_options *o = options ? options : &nothing;
  WL_TRY(bind(ws, unit));
  ws->run = (wl_window_run_state){
      .ws = ws,
      .unit = unit,
      .state = unit->state,
      .t0 = unit->t,
      .steps = steps,
      .phi_grad = o->phi_grad,
      .imitates = ws->spec.imitation && unit->shape.teacher && *unit->imitates,
      .teacher = unit->teacher_state,
      .continues = goes_on(ws, unit)};
  wl_window_run_state *const run = &ws->run;
  ws->last.end.valid = false;
  run->weight_sum = sum_of_weights(&ws->spec, steps);
  *result = (wl_window_result){.first_loss = NAN, .last_loss = NAN, .mean_loss = NAN};
  if (run->imitates) /* the imitation terms of steps that the window does not run must be 0 */
    memset(ws->imitation.terms, 0,
           (size_t)(steps * WL_IMITATION_TERMS) * sizeof *ws->imitation.terms);
  const bool started = !unit->stopped;
  bool going = started;
  WL_TRY(run_steps(run, o->observers, &going, result));
  bring_state(run);
  if (going) live_end(run, result);
  for (const wl_observer *w = o->observers; going && w; w = w->next)
    if (w->end) w->end(w->context, ws, unit);
  if (started) summarise(run, result);
  if (run->imitates) close_imitation(run, o, result);
  result->finite = going && isfinite(result->meta_loss) && wl_finite_reals(unit->theta, ws->plan.n);
  unit->stopped = !result->finite;
  if (unit->shape.restarts && started)
    wl_restart_score(unit, ws->inner_loss, result->steps, result->finite);
  if (o->losses)
    memcpy(o->losses, ws->outer_loss,
           (size_t)(result->steps + (going ? 1 : 0)) * sizeof *o->losses);
  return wl_task_status(unit->task);
}

wl_status wl_window_run(wl_unroll_ws *ws, wl_unit *unit, int64_t steps,
                        const wl_window_options *options, wl_window_result *result) {
  double *const grad = options ? options->phi_grad : NULL;
  if (!grad) return wl_window_forward(ws, unit, steps, options, result);
  wl_window_options all = *options;
  wl_observer path;
  if (ws->path.g) {
    path = wl_path_begin(&ws->path, grad + ws->model->theta0_at, options->observers);
    all.observers = &path;
  }
  WL_TRY(wl_window_forward(ws, unit, steps, &all, result));
  if (!result->finite) return WL_OK;
  if (ws->with_gradient && wl_model_needs_adjoint(ws->model)) WL_TRY(wl_window_backward(ws, grad));
  result->finite = wl_finite_doubles(grad, ws->model->phi.size);
  return WL_OK;
}
