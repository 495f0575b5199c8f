/* optimizer.c - returns the properties of a handle, starts a run, and reads and sets the state of a
 * run. */
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
int64_t wl_optimizer_steps(const wl_optimizer *o) { return o ? o->run.t : 0; }
int wl_optimizer_sees_tensors(const wl_optimizer *o) {
  return o && (o->rule->tensorwise || o->task);
}

wl_status wl_optimizer_check_handle(const wl_optimizer *o, const char *function) {
  if (o) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "%s: the handle is NULL; create a handle with wl_optimizer_load", function);
}

wl_status wl_optimizer_check_array(const float *array, const char *function, const char *name) {
  if (array) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "%s: `%s` is NULL; pass an array of n numbers", function, name);
}

wl_status wl_optimizer_set_threads(wl_optimizer *o, int threads) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_set_threads"));
  if (threads < 1 || threads > WL_OPTIMIZER_THREADS_MAX)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_set_threads: %d threads are not possible; give 1 to %d", threads,
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

/* Creates the layout of the parameters. If the task's network is known, the layout has the tensors
 * of this network. If no network is known, the layout is one vector. */
static wl_status lay_out(const wl_optimizer *o, int64_t n, wl_layout *out) {
  if (o->task) return wl_layout_append(out, wl_task_theta(o->task), NULL);
  if (!o->rule->tensorwise) return wl_layout_add(out, "", "theta", 1, &n, NULL);
  return WL_FAIL(WL_ERR_USAGE,
                 "wl_optimizer_start: the rule %s needs the shapes of tensors; call "
                 "wl_optimizer_start_tensors",
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
  run->state_reals = wl_rule_state_reals(o->rule, &run->layout);
  run->before_reals = wl_precondition_state(o->precondition, n);
  WL_TRY(WL_NEW(run->state, run->state_reals + 1));
  WL_TRY(WL_NEW(run->before, run->before_reals + 1));
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

/* Allocates the arrays of o->run for the parameters in o->run.layout, and sets the horizon of the
 * run to `horizon`. If `horizon` is 0, the horizon of the run is o->horizon, except for a rule that has
 * a schedule for an unknown horizon. */
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
  o->run.horizon = horizon > 0 || o->rule->any_horizon ? horizon : o->horizon;
  return WL_OK;
}

wl_status wl_optimizer_start(wl_optimizer *o, int64_t n) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_start"));
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
                   "wl_optimizer_start_tensors: tensor %d has an invalid shape; pass 1 to %d axes of size 1 or more",
                   number, WL_MAX_DIMS);
  char name[WL_NAME_SIZE];
  snprintf(name, sizeof name, "tensor%d", number);
  return wl_layout_add(layout, "", name, tensor->ndim, tensor->shape, NULL);
}

/* Checks the given layout. If the optimizer was trained for one network, the layout must have the
 * tensors of that network. */
static wl_status check_network(const wl_optimizer *o, const wl_layout *given) {
  if (!o->task) return WL_OK;
  const wl_layout *const theta = wl_task_theta(o->task);
  if (given->count != theta->count)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_start_tensors: %d tensors are given, but this optimizer "
                   "belongs to a network of %d tensors",
                   given->count, theta->count);
  for (int j = 0; j < theta->count; j++) {
    const wl_tensor_entry *const a = &given->tensors[j], *const b = &theta->tensors[j];
    if (a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0)
      continue;
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_start_tensors: tensor %d must have the shape of '%s' in the "
                   "network of this optimizer",
                   j, b->name);
  }
  return WL_OK;
}

wl_status wl_optimizer_start_tensors(wl_optimizer *o, int count, const wl_tensor_shape *tensors,
                                     int64_t horizon) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_start_tensors"));
  wl_optimizer_run_clear(&o->run);
  if (count < 1 || !tensors || horizon < 0)
    return WL_FAIL(
        WL_ERR_USAGE,
        "wl_optimizer_start_tensors: give at least one tensor, and a horizon of 0 or more");
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < count; i++)
    status = add_tensor(&o->run.layout, i, &tensors[i]);
  if (status == WL_OK) status = check_network(o, &o->run.layout);
  if (status == WL_OK) return start_run(o, horizon);
  wl_optimizer_run_clear(&o->run);
  return status;
}

wl_status wl_optimizer_set_loss(wl_optimizer *o, double loss) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_set_loss"));
  if (o->run.n == 0)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_set_loss: there is no run; call wl_optimizer_start first");
  o->run.loss = loss;
  return WL_OK;
}

wl_status wl_optimizer_initial(const wl_optimizer *o, int64_t n, float *theta) {
  WL_TRY(wl_optimizer_check_handle(o, "wl_optimizer_initial"));
  WL_TRY(wl_optimizer_check_array(theta, "wl_optimizer_initial", "theta"));
  if (!o->initialisation)
    return WL_FAIL(
        WL_ERR_USAGE,
        "wl_optimizer_initial: no initial parameters were learned with this optimizer; use "
        "other initial parameters");
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

int64_t wl_optimizer_state_size(const wl_optimizer *o) {
  return o ? o->run.state_reals + o->run.before_reals : 0;
}

static wl_status check_state(const wl_optimizer *o, const char *function, int64_t size,
                             const float *state) {
  WL_TRY(wl_optimizer_check_handle(o, function));
  if (o->run.n == 0)
    return WL_FAIL(WL_ERR_USAGE, "%s: there is no run; call wl_optimizer_start first", function);
  if (size != wl_optimizer_state_size(o))
    return WL_FAIL(WL_ERR_USAGE, "%s: size is %lld, but the state of this run has %lld numbers",
                   function, (long long)size, (long long)wl_optimizer_state_size(o));
  return size > 0 ? wl_optimizer_check_array(state, function, "state") : WL_OK;
}

wl_status wl_optimizer_get_state(const wl_optimizer *o, int64_t size, float *state) {
  WL_TRY(check_state(o, "wl_optimizer_get_state", size, state));
  const wl_optimizer_run *const run = &o->run;
  for (int64_t i = 0; i < run->state_reals; i++) state[i] = (float)run->state[i];
  for (int64_t i = 0; i < run->before_reals; i++)
    state[run->state_reals + i] = (float)run->before[i];
  return WL_OK;
}

wl_status wl_optimizer_set_state(wl_optimizer *o, int64_t size, const float *state, int64_t steps) {
  WL_TRY(check_state(o, "wl_optimizer_set_state", size, state));
  if (steps < 0)
    return WL_FAIL(WL_ERR_USAGE, "wl_optimizer_set_state: steps is %lld; give 0 or more",
                   (long long)steps);
  wl_optimizer_run *const run = &o->run;
  for (int64_t i = 0; i < run->state_reals; i++) run->state[i] = state[i];
  for (int64_t i = 0; i < run->before_reals; i++) run->before[i] = state[run->state_reals + i];
  run->t = steps;
  run->loss = NAN;
  return WL_OK;
}
