/* test_precondition_grad.c - adjoints of the preconditioners against central differences.
 *
 *   F(g, phi) = sum_i sin(c_i (P(phi) g)_i):  gbar_i = c_i cos(...), raw = dF/dg, phi_grad = dF/dphi */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "grad/directional.h"
#include "harness/rule_fixture.h"

enum { SIZE_LIMIT = 2000 };

/* x = [g: n][phi] */
typedef struct problem {
  wl_layout theta;
  wl_precondition *p;
  wl_real scratch[SIZE_LIMIT];
} problem;

static double weight_of(int64_t i) { return 1 + 0.1 * (double)(i % 5); }

static double objective(void *context, const double *x) {
  problem *q = context;
  wl_real out[SIZE_LIMIT];
  q->p->ops->apply(q->p, x + q->theta.size, x, out, q->scratch);
  double sum = 0;
  for (int64_t i = 0; i < q->theta.size; i++) sum += sin(weight_of(i) * out[i]);
  return sum;
}

/* A tensor of each rank, with axes of different sizes, and a 1x1 kernel. */
static void open_problem(problem *q, const char *text) {
  memset(q, 0, sizeof *q);
  assert_int_equal(wl_layout_add(&q->theta, "", "bias", 1, (int64_t[]){7}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "dense", 2, (int64_t[]){4, 6}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "stack", 3, (int64_t[]){2, 5, 3}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "conv", 4, (int64_t[]){3, 2, 3, 2}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&q->theta, "", "point", 4, (int64_t[]){2, 3, 1, 1}, NULL), WL_OK);
  wl_config *config = NULL;
  assert_int_equal(fixture_config("precondition", wl_precondition_variants(), text, &config),
                   WL_OK);
  assert_int_equal(
      wl_precondition_create(wl_config_map(config, "precondition", 0), &q->theta, &q->p), WL_OK);
  wl_config_destroy(&config);
  assert_true(q->theta.size + q->p->phi.size <= SIZE_LIMIT && q->p->scratch <= SIZE_LIMIT);
}

static void check(const char *text) {
  static problem q;
  static double x[SIZE_LIMIT], gradient[SIZE_LIMIT];
  open_problem(&q, text);
  const int64_t n = q.theta.size, size = n + q.p->phi.size;
  fixture_normal(1, n, 1, x);
  fixture_normal(2, size - n, 0.4, x + n);
  wl_real start[SIZE_LIMIT], out[SIZE_LIMIT];
  q.p->ops->init(q.p, 5, start);
  for (int64_t i = 0; i < size - n; i++) x[n + i] += start[i];
  q.p->ops->apply(q.p, x + n, x, out, q.scratch);
  memset(gradient, 0, sizeof gradient);
  for (int64_t i = 0; i < n; i++) gradient[i] = weight_of(i) * cos(weight_of(i) * out[i]);
  q.p->ops->adjoint(q.p, x + n, x, gradient, gradient, gradient + n, q.scratch); /* in place */
  directional_check(&(directional){.name = text,
                                   .f = objective,
                                   .context = &q,
                                   .x = x,
                                   .gradient = gradient,
                                   .first = 0,
                                   .count = n,
                                   .h = 4e-3,
                                   .tolerance = 1e-9});
  for (int j = 0; j < q.p->phi.count; j++) {
    const wl_block *b = &q.p->phi.blocks[j];
    directional_check(&(directional){.name = b->name,
                                     .f = objective,
                                     .context = &q,
                                     .x = x,
                                     .gradient = gradient,
                                     .first = n + b->offset,
                                     .count = b->size,
                                     .h = 4e-3,
                                     .tolerance = 1e-9});
  }
  wl_precondition_destroy(&q.p);
  wl_layout_clear(&q.theta);
}

static void test_scalar(void **state) {
  (void)state;
  check("name: scalar, initial: 0.5");
  check("name: scalar, initial: -0.5, per: tensor");
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scalar),
      cmocka_unit_test(test_diagonal),
      cmocka_unit_test(test_kronecker),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
