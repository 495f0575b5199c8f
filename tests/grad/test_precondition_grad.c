/* test_precondition_grad.c - compares the derivatives that preconditioners compute with central differences.
 *
 *   F(g, theta, b, phi) = sum_i sin(c_i (P(phi) g)_i):  out_i = c_i cos(...), and dF/dg, dF/dtheta, dF/db, dF/dphi
 *
 * Here b is the preconditioned gradient of the previous step. Some preconditioners compute a value from the gradient,
 * and their derivatives treat this value as a constant. For these preconditioners, the test computes the value once,
 * at the point of the derivative, and uses the same value for the differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "grad/directional.h"
#include "harness/rule_fixture.h"

enum { SIZE_LIMIT = 2000, SCRATCH_LIMIT = 40000 };

/* x = [g: n][theta: n][b: n][phi] */
typedef struct problem {
  wl_layout theta;
  wl_precondition *p;
  wl_real scratch[SCRATCH_LIMIT], factor[SIZE_LIMIT];
} problem;

static double weight_of(int64_t i) { return 1 + 0.1 * (double)(i % 5); }

static wl_gradient step_at(const problem *q, const double *x) {
  const int64_t n = q->theta.size;
  return (wl_gradient){
      .t = 1, .n = n, .g = x, .theta = x + n, .factor = q->factor, .before = x + 2 * n};
}

static double objective(void *context, const double *x) {
  problem *q = context;
  wl_real out[SIZE_LIMIT];
  const int64_t n = q->theta.size;
  const wl_gradient step = step_at(q, x);
  wl_precondition_apply(q->p, x + 3 * n, &step, out, q->scratch);
  double sum = 0;
  for (int64_t i = 0; i < q->theta.size; i++) sum += sin(weight_of(i) * out[i]);
  return sum;
}

/* Creates tensors with 1 to 4 dimensions whose axes have different sizes, and a convolution kernel of 1 x 1. */
static void open_problem(problem *q, const char *text, const char *episode) {
  memset(q, 0, sizeof *q);
  assert_int_equal(wl_layout_add(&q->theta, "", "bias", 1, (int64_t[]){7}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "dense", 2, (int64_t[]){4, 6}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "stack", 3, (int64_t[]){2, 5, 3}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "conv", 4, (int64_t[]){3, 2, 3, 2}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "point", 4, (int64_t[]){2, 3, 1, 1}, NULL), WL_OK);
  assert_int_equal(fixture_precondition(text, episode, &q->theta, &q->p), WL_OK);
  assert_true(3 * q->theta.size + q->p->phi.size <= SIZE_LIMIT && q->p->factor <= SIZE_LIMIT &&
              wl_precondition_scratch(q->p, q->theta.size) <= SCRATCH_LIMIT);
}

static void check_part(problem *q, const char *name, double *x, const double *gradient,
                       int64_t first, int64_t count) {
  directional_check(&(directional){.name = name,
                                   .f = objective,
                                   .context = q,
                                   .x = x,
                                   .gradient = gradient,
                                   .first = first,
                                   .count = count,
                                   .h = 4e-3,
                                   .tolerance = 1e-9});
}

static void check_clipped(const char *text, const char *episode) {
  static problem q;
  static double x[SIZE_LIMIT], gradient[SIZE_LIMIT];
  open_problem(&q, text, episode);
  const int64_t n = q.theta.size, size = 3 * n + q.p->phi.size;
  fixture_normal(1, 3 * n, 1, x);
  for (int64_t i = 0; i < n; i++) /* both points of a central difference must be on the same side of
                                   * each kink */
    if (fabs(fabs(x[i]) - q.p->clip_value) < 0.05) x[i] = 0.5;
  fixture_normal(2, q.p->phi.size, 0.4, x + 3 * n);
  wl_real start[SIZE_LIMIT], out[SIZE_LIMIT];
  wl_precondition_init(q.p, 5, start);
  for (int64_t i = 0; i < size - 3 * n; i++) x[3 * n + i] += start[i];
  const wl_gradient step = step_at(&q, x);
  wl_precondition_find_factor(q.p, &step, q.factor, q.scratch);
  wl_precondition_apply(q.p, x + 3 * n, &step, out, q.scratch);
  memset(gradient, 0, sizeof gradient);
  for (int64_t i = 0; i < n; i++) gradient[i] = weight_of(i) * cos(weight_of(i) * out[i]);
  const wl_gradient_bar in_place = {gradient, gradient, gradient + n, gradient + 2 * n,
                                    gradient + 3 * n};
  wl_precondition_adjoint(q.p, x + 3 * n, &step, &in_place, q.scratch);
  check_part(&q, text, x, gradient, 0, n);
  if (q.p->reads_theta) check_part(&q, "theta", x, gradient, n, n);
  if (q.p->reads_before) check_part(&q, "before", x, gradient, 2 * n, n);
  for (int j = 0; j < q.p->phi.count; j++) {
    const wl_tensor_entry *b = &q.p->phi.tensors[j];
    check_part(&q, b->name, x, gradient, 3 * n + b->offset, b->size);
  }
  wl_precondition_destroy(&q.p);
  wl_layout_clear(&q.theta);
}

static void check(const char *text) { check_clipped(text, ""); }

static void test_scalar(void **state) {
  (void)state;
  check("name: scalar, initial: 0.5");
  check("name: scalar, initial: -0.5, per: tensor");
  check("name: scalar, initial: 0.5, per: step, learn_decay: true");
  check("name: scalar, initial: 0.5, per: step_tensor, learn_decay: true, initial_decay: 0.2");
  check("name: scalar, initial: 0.5, per: step_tensor, learn_skip: true, initial_skip: 0.3");
  check("name: scalar, per: step, learn_skip: true, learn_decay: true");
}

static void test_diagonal(void **state) {
  (void)state;
  check("name: diagonal, initial: 0.7");
  check("name: diagonal, initial_range: [-1, 1]");
}

static void test_kronecker(void **state) {
  (void)state;
  check("name: kronecker");
}

static void test_gap(void **state) {
  (void)state;
  check("name: gap");
  check("name: gap, approximate: true");
}

/* In all cases except the last, the norm and some elements are greater than their clip bounds. */
static void test_clip(void **state) {
  (void)state;
  check_clipped("name: none", "clip_norm: 3");
  check_clipped("name: none", "clip_value: 0.9");
  check_clipped("name: diagonal, initial: 0.7", "clip_value: 1.1, clip_norm: 4");
  check_clipped("name: kronecker", "clip_norm: 4");
  check_clipped("name: gap", "clip_value: 1.1, clip_norm: 4");
  check_clipped("name: gap", "clip_norm: 1e6");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scalar),    cmocka_unit_test(test_diagonal),
      cmocka_unit_test(test_kronecker), cmocka_unit_test(test_gap),
      cmocka_unit_test(test_clip),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
