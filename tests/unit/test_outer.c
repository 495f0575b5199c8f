/* test_outer.c - compares twelve meta-steps of the outer optimizers with PyTorch (tests/reference/outer.py). The
 * cases cover Adam, AdamW, SGD, momentum, clipping, schedules, and groups that are trained only in some
 * meta-steps. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reference/outer_values.h"
#include "train/outer.h"
#include "train/schema.h"

static void lay_out(wl_layout *phi) {
  memset(phi, 0, sizeof *phi);
  for (int g = 0; g < OUTER_GROUPS; g++)
    assert_int_equal(wl_layout_add(phi, outer_groups[g].name, outer_groups[g].name, 1,
                                   &outer_groups[g].size, NULL),
                     WL_OK);
}

static wl_outer *open_case(const struct outer_case *c) {
  wl_config *config = NULL;
  wl_outer *outer = NULL;
  wl_layout phi;
  char text[1024];
  lay_out(&phi);
  snprintf(text, sizeof text, "task: {family: quadratic}\n%s\n", c->yaml);
  assert_int_equal(wl_config_parse(text, "test", wl_schema(), NULL, 0, &config), WL_OK);
  assert_int_equal(wl_outer_create(config, &phi, &outer), WL_OK);
  wl_config_destroy(&config);
  wl_layout_clear(&phi);
  return outer;
}

static void same_as_pytorch(void **state) {
  const struct outer_case *c = *state;
  double phi[OUTER_SIZE], gradient[OUTER_SIZE];
  wl_outer *outer = open_case(c);
  memcpy(phi, outer_start, sizeof phi);
  for (int t = 0; t < OUTER_STEPS; t++) {
    memcpy(gradient, outer_gradient[t], sizeof gradient);
    wl_outer_update(outer, t, WL_OUTER_ALL, gradient, phi);
    for (int i = 0; i < OUTER_SIZE; i++)
      if (!(fabs(phi[i] - c->phi[t][i]) <= 1e-13 * (1 + fabs(c->phi[t][i]))))
        fail_msg("%s: meta-step %d, number %d: %.17g, PyTorch has %.17g", c->yaml, t, i, phi[i],
                 c->phi[t][i]);
  }
  wl_outer_destroy(&outer);
}

/* If an update omits a group, the meta-parameters and moments of this group must remain unchanged. The elements of
 * the gradient that belong to this group must count as 0. */
static void groups_left_out(void **state) {
  (void)state;
  wl_outer *outer = open_case(&outer_cases[0]);
  double phi[OUTER_SIZE], gradient[OUTER_SIZE];
  memcpy(phi, outer_start, sizeof phi);
  memcpy(gradient, outer_gradient[1], sizeof gradient);
  const double norm = wl_outer_update(outer, 0, 1u << WL_OUTER_PRECONDITION, gradient, phi);
  const double a = outer_gradient[1][3], b = outer_gradient[1][4];
  assert_true(fabs(norm - hypot(a, b)) <= 1e-12 * norm);
  for (int i = 0; i < OUTER_SIZE; i++) {
    const bool updated = i == 3 || i == 4;
    assert_true((phi[i] != outer_start[i]) == updated);
    assert_true((outer->first[i] != 0) == updated && (outer->second[i] != 0) == updated);
    assert_true((gradient[i] != 0) == updated);
  }
  wl_outer_destroy(&outer);
}

int main(void) {
  struct CMUnitTest tests[OUTER_CASES + 1];
  for (int i = 0; i < OUTER_CASES; i++)
    tests[i] = (struct CMUnitTest){.name = outer_cases[i].yaml,
                                   .test_func = same_as_pytorch,
                                   .initial_state = (void *)&outer_cases[i]};
  tests[OUTER_CASES] = (struct CMUnitTest)cmocka_unit_test(groups_left_out);
  return _cmocka_run_group_tests("outer", tests, OUTER_CASES + 1, NULL, NULL);
}
