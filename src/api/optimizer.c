/* optimizer.c - a run with a trained optimizer: g~ = P g, (u, s) = rule(g~, theta, s, t), theta += u. */
#include "warploom/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/optimizer_impl.h"
#include "base/float_state.h"

int64_t wl_optimizer_parameters(const wl_optimizer *o) { return o && o->task ? o->task->n : 0; }
const char *wl_optimizer_rule(const wl_optimizer *o) { return o ? o->rule->ops->name : ""; }
const char *wl_optimizer_digest(const wl_optimizer *o) { return o ? o->digest : ""; }
int64_t wl_optimizer_meta_parameters(const wl_optimizer *o) { return o ? o->meta_parameters : 0; }
int64_t wl_optimizer_meta_steps(const wl_optimizer *o) { return o ? o->meta_steps : 0; }
int64_t wl_optimizer_horizon(const wl_optimizer *o) { return o ? o->horizon : 0; }

static wl_status check_handle(const wl_optimizer *o, const char *function) {
  if (o) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "%s: the handle is NULL; wl_optimizer_load makes one", function);
}

static wl_status check_array(const float *array, const char *function, const char *name) {
  if (array) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "%s: `%s` is NULL; give an array of n numbers", function, name);
}

wl_status wl_optimizer_set_threads(wl_optimizer *o, int threads) {
  WL_TRY(check_handle(o, "wl_optimizer_set_threads"));
  if (threads < 1 || threads > WL_OPTIMIZER_THREADS_MAX)
    return WL_FAIL(WL_ERR_USAGE, "wl_optimizer_set_threads: %d threads; give 1 to %d", threads,
                   WL_OPTIMIZER_THREADS_MAX);
  o->threads = threads;
  return WL_OK;
}

void wl_optimizer_run_clear(wl_optimizer_run *run) {
  wl_rule_ws_destroy(&run->rule_ws);
  void *const owned[] = {run->g,     run->pg,      run->u,      run->theta,
                         run->state, run->scratch, run->factor, run->before};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_layout_clear(&run->layout);
  *run = (wl_optimizer_run){0};
}

/* The network's tensors if the network is known, otherwise one vector. */
static wl_status lay_out(const wl_optimizer *o, int64_t n, wl_layout *out) {
  if (o->task) return wl_layout_append(out, wl_task_theta(o->task), NULL);
  if (!o->rule->tensorwise) return wl_layout_add(out, "", "theta", 1, &n, NULL);
  return WL_FAIL(
      WL_ERR_USAGE,
      "wl_optimizer_start: the rule %s sees tensors; call wl_optimizer_start_tensors with "
      "their shapes",
      o->rule->ops->name);
}

static wl_status allocate(const wl_optimizer *o, int64_t n, wl_optimizer_run *run) {
  const int64_t pad = wl_pad(n);
  run->blocks = wl_blocks(n);
  run->loss = NAN;
  WL_TRY(WL_NEW(run->g, pad));
  WL_TRY(WL_NEW(run->u, pad));
  if (o->rule->reads_theta || (o->precondition && o->precondition->reads_theta))
    WL_TRY(WL_NEW(run->theta, pad));
  WL_TRY(WL_NEW(run->state, wl_rule_state_reals(o->rule, &run->layout) + 1));
  WL_TRY(WL_NEW(run->before, wl_precondition_state(o->precondition, n) + 1));
  if (o->precondition) {
    WL_TRY(WL_NEW(run->pg, pad));
    WL_TRY(WL_NEW(run->scratch, wl_precondition_scratch(o->precondition, n) + 1));
    WL_TRY(WL_NEW(run->factor, o->precondition->factor + 1));
  }
  WL_TRY(wl_rule_ws_create(o->rule, &run->layout, false, o->threads, &run->rule_ws));
  wl_rule_pack(o->rule, run->rule_ws, o->rule_phi);
  return WL_OK;
}

static wl_status check_size(const wl_optimizer *o, const char *function, int64_t n) {
  const int64_t expected = wl_optimizer_parameters(o);
  if (n < 1)
    return WL_FAIL(WL_ERR_USAGE, "%s: n is %lld; give at least one parameter", function,
                   (long long)n);
  if (expected == 0 || n == expected) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE,
                 "%s: n is %lld, but this optimizer belongs to a network of %lld parameters",
                 function, (long long)n, (long long)expected);
}

/* Starts the run over its layout. */
static wl_status start_run(wl_optimizer *o, int64_t horizon) {
  const int64_t n = o->run.layout.size;
  wl_float_state callers;
  wl_float_state_enter(&callers);
  const wl_status status = allocate(o, n, &o->run);
  wl_float_state_leave(&callers);
  if (status != WL_OK) {
    wl_optimizer_run_clear(&o->run);
    return status;
  }
  o->run.n = n;
  o->run.horizon = horizon > 0 ? horizon : o->horizon;
  return WL_OK;
}

wl_status wl_optimizer_start(wl_optimizer *o, int64_t n) {
  WL_TRY(check_handle(o, "wl_optimizer_start"));
  wl_optimizer_run_clear(&o->run);
  WL_TRY(check_size(o, "wl_optimizer_start", n));
  const wl_status status = lay_out(o, n, &o->run.layout);
  if (status == WL_OK) return start_run(o, 0);
  wl_optimizer_run_clear(&o->run);
  return status;
}

static wl_status add_tensor(wl_layout *layout, int number, const wl_tensor_shape *tensor) {
  bool possible = tensor->ndim >= 1 && tensor->ndim <= WL_MAX_DIMS;
  for (int a = 0; possible && a < tensor->ndim; a++) possible = tensor->shape[a] >= 1;
  if (!possible)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_start_tensors: tensor %d has an impossible shape; give 1 to %d "
                   "axes of at least 1",
                   number, WL_MAX_DIMS);
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "tensor%d", number);
  return wl_layout_add(layout, "", name, tensor->ndim, tensor->shape, NULL);
}

wl_status wl_optimizer_start_tensors(wl_optimizer *o, int count, const wl_tensor_shape *tensors,
                                     int64_t horizon) {
  WL_TRY(check_handle(o, "wl_optimizer_start_tensors"));
  wl_optimizer_run_clear(&o->run);
  if (count < 1 || !tensors || horizon < 0)
    return WL_FAIL(
        WL_ERR_USAGE,
        "wl_optimizer_start_tensors: give at least one tensor, and a horizon of 0 or more");
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < count; i++)
    status = add_tensor(&o->run.layout, i, &tensors[i]);
  if (status == WL_OK) status = check_size(o, "wl_optimizer_start_tensors", o->run.layout.size);
  if (status == WL_OK) return start_run(o, horizon);
  wl_optimizer_run_clear(&o->run);
  return status;
}

wl_status wl_optimizer_set_loss(wl_optimizer *o, double loss) {
  WL_TRY(check_handle(o, "wl_optimizer_set_loss"));
  if (o->run.n == 0)
    return WL_FAIL(WL_ERR_USAGE, "wl_optimizer_set_loss: no run; call wl_optimizer_start first");
  o->run.loss = loss;
  return WL_OK;
}

wl_status wl_optimizer_initial(const wl_optimizer *o, int64_t n, float *theta) {
  WL_TRY(check_handle(o, "wl_optimizer_initial"));
  WL_TRY(check_array(theta, "wl_optimizer_initial", "theta"));
  if (!o->initialisation)
    return WL_FAIL(
        WL_ERR_USAGE,
        "wl_optimizer_initial: no initial parameters were learned with this optimizer; start "
        "from your own");
  WL_TRY(check_size(o, "wl_optimizer_initial", n));
  const wl_initialisation *init = o->initialisation;
  for (int j = 0; j < init->phi.count; j++) {
    const wl_tensor_entry *b = &init->phi.tensors[j];
    for (int64_t i = 0; i < b->size; i++)
      for (int64_t k = i * init->copies[j]; k < (i + 1) * init->copies[j]; k++)
        theta[init->from[j] + k] = (float)o->theta0[b->offset + i];
  }
  return WL_OK;
}

/* The padding of g is zero after its allocation and never changes. */
static wl_status take_gradient(wl_optimizer_run *run, const float *gradient) {
  for (int64_t i = 0; i < run->n; i++) {
    if (!isfinite(gradient[i]))
      return WL_FAIL(
          WL_ERR_DATA,
          "wl_optimizer_step: gradient[%lld] is not finite at step %lld; nothing was changed",
          (long long)i, (long long)run->t);
    run->g[i] = gradient[i];
  }
  return WL_OK;
}

static void compute_update(const wl_optimizer *o, wl_optimizer_run *run) {
  const wl_real *input = run->g;
  if (o->precondition) {
    const wl_gradient in = {.t = run->t,
                            .n = run->n,
                            .g = run->g,
                            .theta = run->theta,
                            .factor = run->factor,
                            .before = run->before};
    wl_precondition_find_factor(o->precondition, &in, run->factor, run->scratch);
    wl_precondition_apply(o->precondition, o->precondition_phi, &in, run->pg, run->scratch);
    if (o->precondition->reads_before)
      memcpy(run->before, run->pg, (size_t)run->n * sizeof *run->before);
    input = run->pg;
  }
  const wl_inner_step step = {.t = run->t,
                              .horizon = run->horizon,
                              .loss = run->loss,
                              .blocks = run->blocks,
                              .g = input,
                              .theta = run->theta,
                              .s_in = run->state,
                              .s_out = run->state,
                              .u = run->u};
  wl_rule_step(o->rule, run->rule_ws, &step);
  run->loss = NAN;
}

static wl_status check_update(wl_optimizer_run *run) {
  for (int64_t i = 0; i < run->n; i++) {
    if (isfinite(run->u[i])) continue;
    const long long t = (long long)run->t;
    wl_optimizer_run_clear(run);
    return WL_FAIL(
        WL_ERR_DATA,
        "wl_optimizer_step: the update of parameter %lld is not finite at step %lld; theta was "
        "not changed, and the run has ended",
        (long long)i, t);
  }
  return WL_OK;
}

static bool overlap(const float *a, const float *b, int64_t n) {
  const uintptr_t first = (uintptr_t)a, second = (uintptr_t)b, bytes = (uintptr_t)n * sizeof *a;
  return first < second ? second - first < bytes : first - second < bytes;
}

static wl_status check_step(const wl_optimizer *o, int64_t n, const float *gradient,
                            const float *theta) {
  WL_TRY(check_handle(o, "wl_optimizer_step"));
  if (o->run.n == 0 || n != o->run.n)
    return WL_FAIL(
        WL_ERR_USAGE,
        "wl_optimizer_step: n is %lld, but the run was started over %lld parameters (0: no run); "
        "call wl_optimizer_start first",
        (long long)n, (long long)o->run.n);
  WL_TRY(check_array(gradient, "wl_optimizer_step", "gradient"));
  WL_TRY(check_array(theta, "wl_optimizer_step", "theta"));
  if (overlap(gradient, theta, n))
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_step: `gradient` and `theta` overlap; give two arrays");
  return WL_OK;
}

static wl_status take_step(wl_optimizer *o, const float *gradient, float *theta) {
  wl_optimizer_run *run = &o->run;
  WL_TRY(take_gradient(run, gradient));
  for (int64_t i = 0; run->theta && i < run->n; i++) run->theta[i] = theta[i];
  compute_update(o, run);
  WL_TRY(check_update(run));
  for (int64_t i = 0; i < run->n; i++) theta[i] += (float)run->u[i];
  run->t++;
  return WL_OK;
}

wl_status wl_optimizer_step(wl_optimizer *o, int64_t n, const float *gradient, float *theta) {
  wl_float_state callers;
  WL_TRY(check_step(o, n, gradient, theta));
  wl_float_state_enter(&callers);
  const wl_status status = take_step(o, gradient, theta);
  wl_float_state_leave(&callers);
  return status;
}
