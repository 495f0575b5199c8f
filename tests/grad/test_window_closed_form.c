/* test_window_closed_form.c - compares meta-gradients with closed formulas.
 *
 *   MAML with one step on L(theta) = 1/B sum_b ||W_b theta_b - y_b||^2, where H_b = 2/B W_b^T W_b:
 *     theta_1 = theta_0 - r grad L(theta_0)
 *     second order  dF/dtheta_0 = (I - r H) grad L(theta_1)     first order  grad L(theta_1)
 *     dF/dr = - <grad L(theta_1), grad L(theta_0)>
 *   Meta-SGD, one step theta_1 = theta_0 - alpha o G_s, query gradient G_q at theta_1:
 *     dF/dalpha = - G_q o G_s exactly,   dF/dtheta_0 = G_q - H_s (alpha o G_q) */
#include "window_fixture.h"

static wl_real *vector(int64_t n) {
  wl_real *v = NULL;
  assert_ok(WL_NEW(v, wl_pad(n)));
  return v;
}

static const double *block(const problem *p, const outcome *o, const char *name) {
  const wl_tensor_entry *b = wl_layout_find(&p->of.model->phi, name);
  assert_non_null(b);
  return o->gradient + b->offset;
}

/* ---- MAML on quadratics --------------------------------------------------------------------- */

enum { B = 3, D = 5, N = B * D };

typedef struct quadratic {
  double w[B][D][D], y[B][D];
} quadratic;

/* Reads the matrices W and the vectors y of the unit's episode from the workspace of the task. */
static quadratic read_quadratic(const problem *p, wl_unroll_ws *ws, wl_unit *unit) {
  quadratic q;
  const wl_tape *tape = p->of.tasks[0]->tape;
  wl_tape_ws *tape_ws = wl_task_ws_tape(wl_unroll_task_ws(ws));
  assert_int_equal(wl_tape_leaf_count(tape), 2);
  assert_ok(wl_task_bind(unit->task, wl_unroll_task_ws(ws), &unit->episode));
  for (int i = 0; i < 2; i++) {
    const wl_tape_leaf leaf = wl_tape_leaf_at(tape, i);
    double *to = strcmp(leaf.name, "w") == 0 ? &q.w[0][0][0] : &q.y[0][0];
    assert_int_equal(leaf.size, strcmp(leaf.name, "w") == 0 ? B * D * D : N);
    for (int64_t j = 0; j < leaf.size; j++)
      to[j] = (double)wl_tape_input_data(tape_ws, leaf.node)[j];
  }
  return q;
}

/* Computes out = 2/B W^T (W x - y). If with_y is false, y is replaced by 0, so the result is the product of the Hessian
 * and x. */
static void product(const quadratic *q, const double *x, bool with_y, double *out) {
  for (int b = 0; b < B; b++)
    for (int i = 0; i < D; i++) {
      double residual = with_y ? -q->y[b][i] : 0.0;
      for (int j = 0; j < D; j++) residual += q->w[b][i][j] * x[b * D + j];
      for (int j = 0; j < D; j++) {
        if (i == 0) out[b * D + j] = 0.0;
        out[b * D + j] += 2.0 / B * residual * q->w[b][i][j];
      }
    }
}

static void test_maml(void **state) {
  const bool second = *state != NULL;
  problem p = open_problem(
      "task: {family: quadratic, dimension: 5, batch: 3}\nepisode: {steps: 1}\n"
      "rule: {name: sgd, rate: 0.07, learn: [rate]}\ninitialisation: {name: maml}\n"
      "window: {steps: 1, weights: last}\n");
  p.of.spec.second_order = second;
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  wl_unit *unit = start_unit(&p, ws, 0);
  const quadratic q = read_quadratic(&p, ws, unit);
  double theta[N], g0[N], g1[N], hg[N], expected[N], rate_bar = 0.0;
  for (int i = 0; i < N; i++) theta[i] = (double)unit->theta[i];
  product(&q, theta, true, g0);
  for (int i = 0; i < N; i++) theta[i] -= 0.07 * g0[i];
  product(&q, theta, true, g1);
  product(&q, g1, false, hg);
  for (int i = 0; i < N; i++) expected[i] = g1[i] - (second ? 0.07 * hg[i] : 0.0);
  for (int i = 0; i < N; i++) rate_bar -= g0[i] * g1[i];
  outcome o = run_window(&p, ws, unit, 1, false);
  assert_near(block(&p, &o, "theta0.x"), expected, N, CLOSE, "dF/dtheta_0");
  assert_near(block(&p, &o, "rule.rate"), &rate_bar, 1, CLOSE, "dF/drate");
  free_outcome(&o);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

/* ---- Meta-SGD ------------------------------------------------------------------------------- */

/* Contains the gradients of the support loss and of the query loss, and hv, the product of the support loss's Hessian
 * with alpha o G_q. */
typedef struct adaptation {
  wl_real *alpha, *theta0, *g_s, *theta1, *g_q, *v, *hv; /* [n] */
} adaptation;

static adaptation adapt(const problem *p, wl_unroll_ws *ws, const wl_unit *unit, int64_t n) {
  adaptation a = {vector(n), vector(n), vector(n), vector(n), vector(n), vector(n), vector(n)};
  wl_task_ws *task_ws = wl_unroll_task_ws(ws);
  const wl_batch support = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0},
                 query = {WL_FOR_OUTER_BATCH, WL_SPLIT_HELDOUT, 1};
  const double *alpha = p->phi + p->of.model->precondition_at;
  memcpy(a.theta0, unit->theta, (size_t)n * sizeof *a.theta0);
  wl_task_loss(unit->task, task_ws, &(wl_task_point){&support, a.theta0, NULL}, a.g_s, NULL);
  for (int64_t i = 0; i < n; i++) a.alpha[i] = (wl_real)alpha[i];
  for (int64_t i = 0; i < n; i++) {
    const wl_real step = a.alpha[i] * a.g_s[i]; /* the preconditioner rounds this product in the same way */
    memcpy(&a.v[i], &step, sizeof step);
    a.theta1[i] = a.theta0[i] - a.v[i];
  }
  wl_task_loss(unit->task, task_ws, &(wl_task_point){&query, a.theta1, NULL}, a.g_q, NULL);
  for (int64_t i = 0; i < n; i++) a.v[i] = a.alpha[i] * a.g_q[i];
  wl_task_hvp(unit->task, task_ws, &(wl_task_point){&support, a.theta0, NULL}, a.v, a.hv, NULL);
  return a;
}

static void free_adaptation(adaptation *a) {
  wl_real *const all[] = {a->alpha, a->theta0, a->g_s, a->theta1, a->g_q, a->v, a->hv};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) wl_free(all[i]);
}

static void test_meta_sgd(void **state) {
  (void)state;
  problem p = open_problem(
      "task: {family: mlp, widths: [5], batch: 6}\nepisode: {steps: 1}\n"
      "rule: {name: sgd, rate: 1}\ninitialisation: {name: maml}\n"
      "precondition: {name: diagonal, initial_range: [-0.2, 0.5]}\n"
      "window: {steps: 1, weights: last, batch: fresh, split: heldout, order: second}\n");
  const int64_t n = p.of.tasks[0]->n;
  wl_unroll_ws *ws = open_workspace(&p, true, 1);
  wl_unit *unit = start_unit(&p, ws, 0);
  adaptation a = adapt(&p, ws, unit, n);
  outcome o = run_window(&p, ws, unit, 1, false);
  const double *alpha_bar = o.gradient + p.of.model->precondition_at;
  const double *theta_bar = o.gradient + p.of.model->theta0_at;
  double *expected = NULL, norm = 0.0;
  assert_ok(WL_NEW(expected, n));
  for (int64_t i = 0; i < n; i++) {
    const double product = (double)a.g_q[i] * (double)a.g_s[i];
    if (!(alpha_bar[i] == -product))
      fail_msg("dF/dalpha %lld: %.17g, not %.17g", (long long)i, alpha_bar[i], -product);
    norm += product * product;
    expected[i] = (double)a.g_q[i] - (double)a.hv[i];
  }
  assert_true(norm > 0.0);
  assert_near(theta_bar, expected, n, CLOSE, "dF/dtheta_0");
  wl_free(expected);
  free_adaptation(&a);
  free_outcome(&o);
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  close_problem(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(test_maml, NULL),
      {"test_maml, second order", test_maml, NULL, NULL, (void *)"second"},
      cmocka_unit_test(test_meta_sgd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
