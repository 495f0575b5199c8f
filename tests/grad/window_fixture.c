/* window_fixture.c - see window_fixture.h. */
#include "window_fixture.h"

problem open_problem(const char *yaml) {
  problem p = {0};
  assert_ok(wl_config_parse(yaml, "test", wl_schema(), NULL, 0, &p.config));
  assert_ok(wl_problem_create(p.config, &p.of));
  assert_ok(WL_NEW(p.phi, p.of.model->phi.size));
  assert_ok(wl_model_init(p.of.model, p.of.tasks[0], p.of.seed, p.phi));
  return p;
}

void close_problem(problem *p) {
  wl_free(p->phi);
  wl_problem_destroy(&p->of);
  wl_config_destroy(&p->config);
}

wl_unroll_ws *open_workspace(const problem *p, bool with_gradient, int threads) {
  wl_unroll_ws *ws = NULL;
  assert_ok(
      wl_unroll_ws_create(p->of.model, p->of.tasks[0], &p->of.spec, with_gradient, threads, &ws));
  wl_unroll_set_phi(ws, p->phi);
  return ws;
}

wl_unit *start_unit(const problem *p, wl_unroll_ws *ws, int64_t number) {
  const wl_episode episode = {p->of.seed, WL_SPACE_CHECK, 3, number};
  wl_unit *unit = NULL;
  assert_ok(wl_unit_create(p->of.model, p->of.tasks[0], &unit));
  assert_ok(wl_unit_start(ws, unit, &episode));
  return unit;
}

outcome run_window(const problem *p, wl_unroll_ws *ws, wl_unit *unit, int64_t steps, bool forward) {
  outcome o = {.n_phi = p->of.model->phi.size, .n = p->of.tasks[0]->n, .steps = steps};
  assert_ok(WL_NEW(o.gradient, o.n_phi));
  assert_ok(WL_NEW(o.losses, steps + 1));
  assert_ok(WL_NEW(o.theta, o.n));
  const wl_window_options options = {.phi_grad = forward ? NULL : o.gradient, .losses = o.losses};
  assert_ok(wl_window_run(ws, unit, steps, &options, &o.result));
  memcpy(o.theta, unit->theta, (size_t)o.n * sizeof *o.theta);
  return o;
}

outcome run_request(const problem *p, request r) {
  wl_unroll_ws *ws = open_workspace(p, !r.forward, r.threads > 0 ? r.threads : 1);
  wl_unit *unit = start_unit(p, ws, r.unit);
  outcome o = {0};
  for (int64_t i = 0; i <= r.before; i++) {
    free_outcome(&o);
    o = run_window(p, ws, unit, p->of.spec.steps, r.forward);
  }
  wl_unit_destroy(&unit);
  wl_unroll_ws_destroy(&ws);
  return o;
}

void free_outcome(outcome *o) {
  wl_free(o->gradient);
  wl_free(o->losses);
  wl_free(o->theta);
  *o = (outcome){0};
}

void assert_same(const outcome *a, const outcome *b) {
  assert_true(a->result.finite && b->result.finite);
  assert_int_equal(a->steps, b->steps);
  assert_memory_equal(a->losses, b->losses, (size_t)(a->steps + 1) * sizeof *a->losses);
  assert_memory_equal(a->theta, b->theta, (size_t)a->n * sizeof *a->theta);
  assert_memory_equal(a->gradient, b->gradient, (size_t)a->n_phi * sizeof *a->gradient);
  assert_true(a->result.meta_loss == b->result.meta_loss);
}

void assert_near(const double *a, const double *b, int64_t n, double tolerance, const char *what) {
  double largest = 0.0;
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(b[i]));
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(a[i] - b[i]) <= tolerance * largest))
      fail_msg("%s: element %lld is %.17g, expected %.17g, largest %.3g", what, (long long)i, a[i],
               b[i], largest);
}

bool all_equal(const double *a, const double *b, int64_t n) {
  return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}
