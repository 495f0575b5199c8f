/* window_ws.c - allocates the buffers of the engine, and divides a window into segments that fit
 * into a memory bound.
 *
 * Let a window have K steps, a segment S steps and a chunk C steps. Let theta have n coordinates,
 * and let the state have w numbers for each coordinate. The window stores these numbers:
 *
 * - gradients: (S + 1) n, or twice as many if outer losses use separate minibatches
 * - theta at each step, if the trace stores it: S n
 * - states: ceil(S / C) n w, or S n w for the kind `states`
 * - activations, if the rule stores r numbers for each coordinate and step: S n r
 * - factors of the preconditioner, if it computes f numbers from a gradient: S f
 * - recomputed states of the current chunk, in second order for the kind `recompute`: min(S, C) n w
 * - snapshots: ceil(K / S) n (1 + w), or none if S = K
 *
 * If the window stores no activations, the window needs the least memory for S of about sqrt(K C).
 * For any length S, every segment except the last is computed twice. If a window must be divided,
 * short segments with activations are therefore faster than long segments without activations. */
#include <math.h>
#include <stdio.h>

#include "unroll/window_impl.h"

static int64_t trace_reals(const wl_window_plan *p, const wl_window_spec *spec, int64_t segment) {
  const int64_t gradients = (segment + 1) * p->pad * (spec->fresh ? 2 : 1);
  return gradients + (p->keep_theta ? segment * p->pad : 0) +
         (spec->imitation ? segment * p->pad : 0) + wl_trace_reals(p->kind, &p->kept, segment) +
         segment * p->factor;
}

static int64_t snapshot_reals(const wl_window_plan *p, const wl_window_spec *spec,
                              int64_t segment) {
  const int64_t segments = (spec->steps + segment - 1) / segment;
  return segments > 1 ? segments * (p->pad + p->kept.state + p->teacher) : 0;
}

static void set_segment(wl_window_plan *p, const wl_window_spec *spec, int64_t segment) {
  p->segment = segment;
  p->segments = (spec->steps + segment - 1) / segment;
}

static int64_t variable_bytes(const wl_window_plan *p, const wl_window_spec *spec,
                              int64_t segment) {
  return (int64_t)sizeof(wl_real) *
         (trace_reals(p, spec, segment) + snapshot_reals(p, spec, segment));
}

static bool fits(const wl_window_plan *p, const wl_window_spec *spec, int64_t segment) {
  return spec->memory <= 0 || variable_bytes(p, spec, segment) <= spec->memory;
}

/* Divides the window into segments of the largest length that fits into the memory bound. If no
 * length fits, or if `lean` is true, chooses the length that needs the least memory. */
static void cut(wl_window_plan *p, const wl_window_spec *spec, bool lean) {
  int64_t fitting = 0, leanest = spec->steps < WL_CHUNK_STEPS ? spec->steps : WL_CHUNK_STEPS;
  for (int64_t s = WL_CHUNK_STEPS; s < spec->steps; s += WL_CHUNK_STEPS) {
    if (fits(p, spec, s)) fitting = s;
    if (variable_bytes(p, spec, s) < variable_bytes(p, spec, leanest)) leanest = s;
  }
  set_segment(p, spec, fitting > 0 && !lean ? fitting : leanest);
}

/* Makes the whole window one segment if this segment fits into the memory bound. If the whole
 * window does not fit, divides the window into shorter segments. Returns true if the chosen
 * segments fit. */
static bool choose_segment(wl_window_plan *p, const wl_window_spec *spec) {
  set_segment(p, spec, spec->steps);
  if (!fits(p, spec, spec->steps)) cut(p, spec, false);
  return fits(p, spec, p->segment);
}

/* Returns true if a window with `storage: auto` may store activations or states. If the key
 * `memory` is not set, activations or states may need at most WL_WINDOW_UNASKED bytes. */
static bool is_unasked(const wl_window_plan *p, const wl_window_spec *spec) {
  const int64_t step = p->kind->activations(&p->kept, 1) > 0 ? p->kept.record : p->kept.state;
  return spec->memory > 0 || spec->steps * step * (int64_t)sizeof(wl_real) <= WL_WINDOW_UNASKED;
}

/* Chooses the fastest kind of trace with which the whole window fits into the memory bound. If the
 * whole window does not fit with any kind, chooses the fastest kind with which shorter segments fit
 * into the memory bound. */
static void choose_fastest(wl_window_plan *p, const wl_window_spec *spec) {
  for (int cut = 0; cut <= 1; cut++)
    for (int i = 0; i < WL_TRACE_KINDS; i++) {
      p->kind = &wl_trace_kinds[i];
      if (!p->kind->serves(&p->kept) || (i != WL_TRACE_RECOMPUTE && !is_unasked(p, spec))) continue;
      if (choose_segment(p, spec) && (cut || p->segments == 1)) return;
    }
}

static const wl_trace_kind *kind_of(wl_storage storage, const wl_trace_shape *kept) {
  const wl_trace_kind *asked =
      &wl_trace_kinds[storage == WL_STORAGE_ACTIVATIONS ? WL_TRACE_ACTIVATIONS
                      : storage == WL_STORAGE_STATES    ? WL_TRACE_STATES
                                                        : WL_TRACE_RECOMPUTE];
  return asked->serves(kept) ? asked : &wl_trace_kinds[WL_TRACE_RECOMPUTE];
}

static void choose_storage(wl_window_plan *p, const wl_window_spec *spec) {
  if (spec->storage == WL_STORAGE_AUTO) {
    choose_fastest(p, spec);
    return;
  }
  p->kind = kind_of(spec->storage, &p->kept);
  if (spec->storage == WL_STORAGE_SNAPSHOTS) cut(p, spec, true);
  else choose_segment(p, spec);
}

static wl_window_plan make_plan(const wl_model *model, const wl_task *task,
                                const wl_window_spec *spec, bool with_gradient) {
  wl_window_plan p = {.n = task->n, .pad = wl_pad(task->n), .blocks = wl_blocks(task->n)};
  p.kept.state = wl_model_state(model, wl_task_theta(task));
  p.before_at = wl_rule_state_reals(model->rule, wl_task_theta(task));
  const wl_precondition *precondition = model->precondition;
  p.reads_before = precondition && precondition->reads_before;
  const bool reads_theta = precondition && precondition->reads_theta;
  p.factor = precondition ? precondition->factor : 0;
  /* if the rule reads theta, imitation_adjoint needs chunks of one step */
  const bool step_by_step = spec->imitation && model->rule->reads_theta;
  p.time_outermost = with_gradient && (spec->second_order || reads_theta || step_by_step);
  p.keep_theta = with_gradient && (model->rule->reads_theta || p.time_outermost);
  if (spec->imitation)
    p.teacher = wl_rule_state_reals(wl_imitation_teacher(spec->imitation), wl_task_theta(task));
  p.kept.record = p.blocks * model->rule->activations;
  p.kept.stepwise = p.time_outermost;
  if (with_gradient) choose_storage(&p, spec);
  else p.segments = 1;
  return p;
}

/* A buffer of the workspace and the number of its elements. The number is 0 if the buffer is not
 * needed. The allocation and the estimate of the memory use the same list of buffers. */
typedef struct buffer {
  wl_real **at;
  int64_t reals;
} buffer;
enum { N_BUFFERS = 27 };

/* Returns true if the backward pass needs the adjoint of the state (adjoint.mu). The backward pass
 * of a chunk passes the adjoint of the state to the preceding chunk. A window of only one chunk
 * needs the adjoint only if a preconditioner has a state or the backward pass runs step by step. */
static bool hands_on(const wl_window_plan *p, const wl_window_spec *spec) {
  return p->time_outermost || p->reads_before || spec->steps > WL_CHUNK_STEPS;
}

static void list_buffers(wl_unroll_ws *ws, buffer list[N_BUFFERS]) {
  const wl_window_plan *p = &ws->plan;
  const wl_model *m = ws->model;
  const bool grad = ws->with_gradient, cut = p->segments > 1;
  const bool conditioned = m->precondition != NULL;
  const bool path = m->initialisation && m->initialisation->path && !ws->spec.replayed;
  const int64_t traced = grad ? p->segment + 1 : 1;
  const bool continues = wl_ws_continues(ws);
  const bool imitates = ws->spec.imitation != NULL, pupil = grad && imitates;
  const wl_trace_kind *kind = p->kind;
  const buffer all[N_BUFFERS] = {
      {&ws->phi, m->phi.size},
      {&ws->u, p->pad},
      {&ws->scratch, conditioned ? wl_precondition_scratch(m->precondition, p->n) : 0},
      {&ws->path.g, path ? p->pad : 0},
      {&ws->path.u, path ? p->pad : 0},
      {&ws->pg, conditioned ? p->pad * (grad ? WL_CHUNK_STEPS : 1) : 0},
      {&ws->traces.g, traced * p->pad},
      {&ws->traces.outer_g, ws->spec.fresh ? traced * p->pad : 0},
      {&ws->traces.theta, p->keep_theta ? p->segment * p->pad : 0},
      {&ws->traces.factor, grad ? p->segment * p->factor : p->factor},
      {&ws->traces.rule.states, grad ? kind->states(&p->kept, p->segment) : 0},
      {&ws->traces.rule.activations, grad ? kind->activations(&p->kept, p->segment) : 0},
      {&ws->snapshots.theta, grad && cut ? p->segments * p->pad : 0},
      {&ws->snapshots.state, grad && cut ? p->segments * p->kept.state : 0},
      {&ws->snapshots.teacher, pupil && cut ? p->segments * p->teacher : 0},
      {&ws->imitation.taught, imitates ? p->pad : 0},
      {&ws->imitation.bar, pupil ? p->segment * p->pad : 0},
      {&ws->imitation.rule_bar, pupil ? p->pad : 0},
      {&ws->imitation.rule_bar_steps, pupil ? WL_CHUNK_STEPS * p->pad : 0},
      {&ws->adjoint.lam, grad ? p->pad : 0},
      {&ws->adjoint.mu, grad && hands_on(p, &ws->spec) ? p->kept.state : 0},
      {&ws->adjoint.gbar, grad && (conditioned || p->time_outermost) ? WL_CHUNK_STEPS * p->pad : 0},
      {&ws->adjoint.hv, p->time_outermost ? p->pad : 0},
      {&ws->traces.rule.chunk, grad ? kind->chunk(&p->kept, p->segment) : 0},
      {&ws->last.theta, continues ? p->pad : 0},
      {&ws->last.g, continues ? p->pad : 0},
      {&ws->last.warp_grad, continues ? m->warp_size : 0},
  };
  for (int i = 0; i < N_BUFFERS; i++) list[i] = all[i];
}

static wl_status allocate(wl_unroll_ws *ws, int threads) {
  buffer list[N_BUFFERS];
  list_buffers(ws, list);
  for (int i = 0; i < N_BUFFERS; i++)
    if (list[i].reals > 0) WL_TRY(WL_NEW(*list[i].at, list[i].reals));
  if (!ws->spec.fresh) ws->traces.outer_g = ws->traces.g;
  if (ws->model->warp_size > 0) WL_TRY(WL_NEW(ws->adjoint.warp_grad, ws->model->warp_size));
  WL_TRY(WL_NEW(ws->weight, ws->spec.steps + 1));
  WL_TRY(WL_NEW(ws->outer_loss, ws->spec.steps + 1));
  WL_TRY(WL_NEW(ws->inner_loss, ws->spec.steps + 1));
  if (ws->spec.imitation) {
    WL_TRY(WL_NEW(ws->imitation.terms, ws->spec.steps * WL_IMITATION_TERMS));
    WL_TRY(wl_rule_ws_create(wl_imitation_teacher(ws->spec.imitation), wl_task_theta(ws->task),
                             false, threads, &ws->imitation.teacher));
    wl_rule_pack(wl_imitation_teacher(ws->spec.imitation), ws->imitation.teacher, NULL);
  }
  WL_TRY(wl_task_ws_create(ws->task, ws->plan.time_outermost, &ws->task_ws));
  if (ws->plan.time_outermost)
    WL_TRY(wl_task_ws_create(ws->task, wl_ws_continues(ws), &ws->outer_task_ws));
  else ws->outer_task_ws = ws->task_ws;
  return wl_rule_ws_create(ws->model->rule, wl_task_theta(ws->task), ws->with_gradient, threads,
                           &ws->rule_ws);
}

/* Returns WL_ERR_CONFIG if the chosen segments do not fit into the memory bound. If the chosen
 * segments do not fit, no other division of the window fits. */
static wl_status check_budget(const wl_window_plan *p, const wl_window_spec *spec) {
  const int64_t needed = variable_bytes(p, spec, p->segment);
  if (spec->memory <= 0 || needed <= spec->memory) return WL_OK;
  return wl_map_fail(
      spec->map, "memory",
      "%.3g MiB is too little for a window of %lld steps over %lld coordinates; the smallest possible "
      "storage%s needs %.1f MiB",
      (double)spec->memory / 1048576.0, (long long)spec->steps, (long long)p->n,
      p->kind == &wl_trace_kinds[WL_TRACE_ACTIVATIONS] ? " with activations"
      : p->kind == &wl_trace_kinds[WL_TRACE_STATES]    ? " with states"
                                                       : "",
      ceil((double)needed / 104857.6) / 10.0);
}

wl_status wl_unroll_check_memory(const wl_model *model, const wl_task *task,
                                 const wl_window_spec *spec) {
  const wl_window_plan plan = make_plan(model, task, spec, true);
  return check_budget(&plan, spec);
}

wl_status wl_unroll_ws_create(const wl_model *model, const wl_task *task,
                              const wl_window_spec *spec, bool with_gradient, int threads,
                              wl_unroll_ws **out) {
  wl_unroll_ws *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  ws->model = model;
  ws->task = task;
  ws->spec = *spec;
  ws->with_gradient = with_gradient;
  ws->plan = make_plan(model, task, spec, with_gradient);
  if (spec->imitation) ws->imitation.weights = wl_imitation_at(spec->imitation, 0);
  ws->path.initialisation = model->initialisation;
  ws->path.pad = ws->plan.pad;
  ws->traces.rule =
      (wl_trace){.kind = ws->plan.kind, .shape = ws->plan.kept, .steps = ws->plan.segment};
  wl_status status = with_gradient ? check_budget(&ws->plan, spec) : WL_OK;
  if (status == WL_OK) status = allocate(ws, threads);
  if (status != WL_OK) wl_unroll_ws_destroy(&ws);
  *out = ws;
  return status;
}

void wl_unroll_ws_destroy(wl_unroll_ws **at) {
  wl_unroll_ws *ws = *at;
  if (!ws) return;
  buffer list[N_BUFFERS];
  if (ws->traces.outer_g == ws->traces.g) ws->traces.outer_g = NULL;
  list_buffers(ws, list);
  for (int i = 0; i < N_BUFFERS; i++) wl_free(*list[i].at);
  wl_free(ws->adjoint.warp_grad);
  wl_free(ws->weight);
  wl_free(ws->outer_loss);
  wl_free(ws->inner_loss);
  wl_free(ws->imitation.terms);
  if (ws->outer_task_ws == ws->task_ws) ws->outer_task_ws = NULL;
  wl_task_ws_destroy(&ws->outer_task_ws);
  wl_task_ws_destroy(&ws->task_ws);
  wl_rule_ws_destroy(&ws->rule_ws);
  wl_rule_ws_destroy(&ws->imitation.teacher);
  wl_free(ws);
  *at = NULL;
}

static int64_t teacher_bytes(const wl_task *task, const wl_window_spec *spec, int threads) {
  if (!spec->imitation) return 0;
  return spec->steps * WL_IMITATION_TERMS * (int64_t)sizeof(double) +
         (int64_t)wl_rule_ws_bytes(wl_imitation_teacher(spec->imitation), wl_task_theta(task),
                                   false, threads);
}

int64_t wl_unroll_ws_bytes(const wl_model *model, const wl_task *task, const wl_window_spec *spec,
                           bool with_gradient, int threads) {
  wl_unroll_ws ws = {.model = model, .task = task, .spec = *spec, .with_gradient = with_gradient};
  ws.plan = make_plan(model, task, spec, with_gradient);
  buffer list[N_BUFFERS];
  list_buffers(&ws, list);
  int64_t reals = model->warp_size;
  for (int i = 0; i < N_BUFFERS; i++) reals += list[i].reals;
  return reals * (int64_t)sizeof(wl_real) + 3 * (spec->steps + 1) * (int64_t)sizeof(double) +
         (int64_t)wl_task_ws_bytes(task, ws.plan.time_outermost) +
         (ws.plan.time_outermost ? (int64_t)wl_task_ws_bytes(task, wl_ws_continues(&ws)) : 0) +
         (int64_t)wl_rule_ws_bytes(model->rule, wl_task_theta(task), with_gradient, threads) +
         teacher_bytes(task, spec, threads);
}

void wl_unroll_describe_storage(const wl_model *model, const wl_task *task,
                                const wl_window_spec *spec, char *text, size_t size) {
  const wl_window_plan p = make_plan(model, task, spec, true);
  const char *kind = p.kind->name;
  if (p.segments == 1) snprintf(text, size, "%s", kind);
  else snprintf(text, size, "%s in segments of %lld steps", kind, (long long)p.segment);
}

void wl_unroll_set_interrupt(wl_unroll_ws *ws, wl_interrupt asked, void *context) {
  ws->interrupt = asked;
  ws->interrupt_context = context;
}

void wl_unroll_set_phi(wl_unroll_ws *ws, const double *phi) {
  ws->last.end.valid = false;
  for (int64_t i = 0; i < ws->model->phi.size; i++) ws->phi[i] = (wl_real)phi[i];
  wl_rule_pack(ws->model->rule, ws->rule_ws, ws->phi + ws->model->rule_at);
}

void wl_unroll_set_imitation(wl_unroll_ws *ws, const wl_imitation_weights *weights) {
  ws->imitation.weights = *weights;
}
const wl_imitation_weights *wl_unroll_imitation(const wl_unroll_ws *ws) {
  return &ws->imitation.weights;
}

wl_task_ws *wl_unroll_task_ws(wl_unroll_ws *ws) { return ws->task_ws; }
const wl_real *wl_unroll_warp(const wl_unroll_ws *ws) { return wl_ws_warp(ws); }
