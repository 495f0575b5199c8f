/* check_pure.c - computes data, initial parameters, losses and updates twice. The second time, the order is reversed.
 *
 * Training may compute an episode on any rank and thread, and a resumed run computes some episodes
 * again. The results must therefore depend on the arguments alone. If a family or rule keeps a
 * counter or a buffer from one call to the next, its results differ the second time, and the check
 * reports the difference. */
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/plugin_open.h"
#include "check/check_impl.h"

enum { EPISODES = 2, BATCHES = 3, LEAVES_MAX = 64 };

/* Digests of everything that a loss depends on, and of the results of the loss. */
typedef struct seen {
  uint64_t theta0, loss, gradient;
  uint64_t leaf[LEAVES_MAX];
} seen;

typedef struct probe {
  const wl_problem *problem;
  const wl_task *task;
  int leaves;
  /* theta [pad], gradient [pad], and the meta-parameters of the network [phi of the tape] */
  wl_real *theta, *gradient, *phi;
} probe;

static uint64_t digest_of(const void *data, size_t bytes) {
  wl_digest digest = {0};
  wl_digest_add(&digest, "", data, bytes);
  return digest.value;
}

static wl_batch batch_of(int number) {
  return (wl_batch){number == 1 ? WL_FOR_OUTER_BATCH : WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN,
                    number == 2};
}

static wl_status look(const probe *b, wl_task_ws *ws, int visit, seen *out) {
  const wl_episode episode = {b->problem->seed, WL_SPACE_CHECK, visit / BATCHES, 0};
  const wl_batch batch = batch_of(visit % BATCHES);
  const size_t bytes = (size_t)b->task->n * sizeof(wl_real);
  WL_TRY(wl_task_bind(b->task, ws, &episode));
  WL_TRY(wl_task_theta0(b->task, ws, b->theta));
  out->theta0 = digest_of(b->theta, bytes);
  const wl_task_point at = {&batch, b->theta, b->phi};
  const double loss = wl_task_loss(b->task, ws, &at, b->gradient, NULL);
  out->loss = digest_of(&loss, sizeof loss);
  out->gradient = digest_of(b->gradient, bytes);
  wl_tape_ws *const tape_ws = wl_task_ws_tape(ws);
  for (int i = 0; i < b->leaves; i++) {
    const wl_tape_leaf leaf = wl_tape_leaf_at(b->task->tape, i);
    const size_t size = (size_t)leaf.size;
    out->leaf[i] = leaf.labels
                       ? digest_of(wl_tape_label_data(tape_ws, leaf.node), size * sizeof(int32_t))
                       : digest_of(wl_tape_input_data(tape_ws, leaf.node), size * sizeof(wl_real));
  }
  return wl_task_status(b->task);
}

/* Computes all batches of the episodes in a new workspace, in forward or reverse order. */
static wl_status look_at_all(const probe *b, bool reversed, seen all[EPISODES * BATCHES]) {
  wl_task_ws *ws = NULL;
  WL_TRY(wl_task_ws_create(b->task, false, &ws));
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < EPISODES * BATCHES; i++) {
    const int visit = reversed ? EPISODES * BATCHES - 1 - i : i;
    status = look(b, ws, visit, &all[visit]);
  }
  wl_task_ws_destroy(&ws);
  return status;
}

static wl_status fail_impure(const void *table, const char *name, const char *what) {
  const wl_open_plugin *const plugin = wl_plugin_of_table(table);
  return WL_FAIL(
      WL_ERR_SOFTWARE,
      "%s%s%s: %s differ when they are computed again after other calls; results must depend on the arguments "
      "alone, not on a counter, a clock, rand or values of earlier calls",
      plugin ? plugin->path : "", plugin ? ": " : "", name, what);
}

static wl_status compare(const probe *b, const seen *first, const seen *again) {
  const wl_task_family *const family = b->task->family;
  if (first->theta0 != again->theta0)
    return fail_impure(family, family->name, "the initial parameters");
  for (int i = 0; i < b->leaves; i++) {
    char what[WL_NAME_SIZE + 32];
    snprintf(what, sizeof what, "the values of the input '%s'",
             wl_tape_leaf_at(b->task->tape, i).name);
    if (first->leaf[i] != again->leaf[i]) return fail_impure(family, family->name, what);
  }
  if (first->loss != again->loss)
    return fail_impure(family, family->name, "the values of the loss");
  if (first->gradient != again->gradient)
    return fail_impure(family, family->name, "the gradients of the loss");
  return WL_OK;
}

static wl_status compare_task(probe *b) {
  seen first[EPISODES * BATCHES], again[EPISODES * BATCHES];
  const int leaves = wl_tape_leaf_count(b->task->tape);
  b->leaves = leaves < LEAVES_MAX ? leaves : LEAVES_MAX;
  WL_TRY(WL_NEW(b->theta, wl_pad(b->task->n)));
  WL_TRY(WL_NEW(b->gradient, wl_pad(b->task->n)));
  WL_TRY(WL_NEW(b->phi, wl_tape_phi_layout(b->task->tape)->size + 1));
  wl_task_phi0(b->task, b->problem->seed, b->phi);
  WL_TRY(look_at_all(b, false, first));
  WL_TRY(look_at_all(b, true, again));
  for (int i = 0; i < EPISODES * BATCHES; i++) WL_TRY(compare(b, &first[i], &again[i]));
  return WL_OK;
}

/* ---- The rule: step 0, step 1, step 0 again, in one workspace ---- */

typedef struct steps {
  /* gradient, theta, zero state, and the states and updates after the steps; states have `state`
   * elements, and the other arrays have `pad` elements */
  wl_real *g, *theta, *zero, *after[2], *u[2];
} steps;

static wl_status allocate_steps(int64_t pad, int64_t state, steps *s) {
  WL_TRY(WL_NEW(s->g, pad));
  WL_TRY(WL_NEW(s->theta, pad));
  WL_TRY(WL_NEW(s->zero, state + 1));
  WL_TRY(WL_NEW(s->after[0], state + 1));
  WL_TRY(WL_NEW(s->after[1], state + 1));
  WL_TRY(WL_NEW(s->u[0], pad));
  return WL_NEW(s->u[1], pad);
}

static wl_status compare_steps(const wl_rule *rule, wl_rule_ws *ws, int64_t n, int64_t state,
                               steps *s) {
  const wl_stream stream = {.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK};
  wl_rng_normal(stream, 0, n, 1.0, s->g);
  wl_rng_normal(stream, (uint64_t)n, n, 1.0, s->theta);
  wl_inner_step step = {
      .horizon = 2, .loss = 1.0, .blocks = wl_blocks(n), .g = s->g, .theta = s->theta};
  const int order[] = {0, 1, 0};
  for (int i = 0; i < 3; i++) {
    step.t = order[i];
    step.s_in = order[i] == 0 ? s->zero : s->after[0];
    step.s_out = s->after[i != 0];
    step.u = s->u[i != 0];
    wl_rule_step(rule, ws, &step);
  }
  const char *const name = rule->ops->name;
  if (memcmp(s->u[0], s->u[1], (size_t)n * sizeof(wl_real)) != 0)
    return fail_impure(rule->ops, name, "the updates");
  if (memcmp(s->after[0], s->after[1], (size_t)state * sizeof(wl_real)) != 0)
    return fail_impure(rule->ops, name, "the states after a step");
  return WL_OK;
}

static wl_status check_rule(const wl_problem *p, const double *phi) {
  const wl_rule *const rule = p->model->rule;
  const wl_layout *const theta = wl_task_theta(p->tasks[0]);
  const int64_t state = wl_rule_state_reals(rule, theta);
  steps s = {0};
  wl_real *own = NULL;
  wl_rule_ws *ws = NULL;
  wl_status status = WL_NEW(own, rule->phi.size + 1);
  if (status == WL_OK) status = allocate_steps(wl_pad(theta->size), state, &s);
  if (status == WL_OK) status = wl_rule_ws_create(rule, theta, false, 1, &ws);
  if (status == WL_OK) {
    for (int64_t i = 0; i < rule->phi.size; i++) own[i] = (wl_real)phi[p->model->rule_at + i];
    wl_rule_pack(rule, ws, own);
    status = compare_steps(rule, ws, theta->size, state, &s);
  }
  wl_rule_ws_destroy(&ws);
  void *const owned[] = {own, s.g, s.theta, s.zero, s.after[0], s.after[1], s.u[0], s.u[1]};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  return status;
}

wl_status wl_check_pure(const wl_problem *problem, const double *phi) {
  wl_status status = check_rule(problem, phi);
  for (int i = 0; status == WL_OK && i < problem->n_tasks; i++) {
    probe b = {.problem = problem, .task = problem->tasks[i]};
    status = compare_task(&b);
    wl_free(b.theta);
    wl_free(b.gradient);
    wl_free(b.phi);
  }
  return status;
}
